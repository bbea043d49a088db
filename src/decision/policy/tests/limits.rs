//! Limits among other rules, as Postfix asks about mails.

use super::*;

/// Asks about a mail of one recipient from its recipient to its end, and gives what is said in both places.
async fn send(engine: &Engine, attributes: &str, now: Instant) -> [String; 2] {
    let rcpt = police(engine, &format!("{attributes} protocol_state=RCPT"), false, now).await;
    let end = format!("{attributes} protocol_state=END-OF-MESSAGE recipient_count=1");
    let end = police(engine, &end, false, now).await;
    [rcpt, end].map(|verdict| verdict.action.to_string())
}

const DUNNO: &str = "DUNNO";
const OVER: &str = "DEFER 4.7.1 sending limit reached, try again later";

/// A rule with a limit of one mail an hour.
fn one(per: &str, more: &str) -> String {
    format!(
        "[[policy.rule]]\nname = 'one {per}'\n{more}[policy.rule.limit]\nper = '{per}'\nwindow = '1h'\nmessages = 1\n"
    )
}

#[tokio::test]
async fn mails_are_counted_by_login_by_its_domain_and_by_sender() {
    let now = Instant::now();
    for (per, same, other, uncounted) in [
        (
            "user",
            ["sasl_username=anna sender=a@x.test", "sasl_username=ANNA@example.org sender=b@x.test"],
            "sasl_username=bob sender=a@x.test",
            "sender=anna@example.org",
        ),
        (
            "domain",
            ["sasl_username=anna", "sasl_username=bob@Example.org"],
            "sasl_username=anna@x.test",
            "sender=anna@example.org",
        ),
        (
            "address",
            ["sender=a@x.test", "sender=A+b@X.test"],
            "sender=b@x.test",
            "sasl_username=anna sender=",
        ),
    ] {
        let (_dir, engine) = engine(&one(per, ""));
        let mail = |attributes: &str, instance: u8| format!("{attributes} instance={instance}");
        assert_eq!(send(&engine, &mail(same[0], 1), now).await, [DUNNO; 2], "{per}");
        assert_eq!(send(&engine, &mail(same[1], 2), now).await, [OVER; 2], "{per}");
        assert_eq!(send(&engine, &mail(other, 3), now).await, [DUNNO; 2], "{per}");
        for instance in 4..8 {
            assert_eq!(send(&engine, &mail(uncounted, instance), now).await, [DUNNO; 2], "{per}");
        }
        let later = now + Duration::from_secs(3662);
        assert_eq!(send(&engine, &mail(same[1], 9), later).await, [DUNNO; 2], "{per}");
    }
}

#[tokio::test]
async fn some_may_send_more_and_some_as_much_as_they_like() {
    let now = Instant::now();
    let rule = one("user", "")
        + "recipients = 5\n\
           [[policy.rule.limit.override]]\nfor = ['bob', 'carol']\nmessages = 2\n\
           [[policy.rule.limit.override]]\nfor = ['@lists.test']\nunlimited = true\n";
    let (_dir, engine) = engine(&rule);
    for (login, most) in [("anna", 1), ("bob", 2), ("x@lists.test", 9)] {
        for number in 0..9 {
            let attributes = format!("sasl_username={login} instance={login}{number}");
            let expected = if number < most { DUNNO } else { OVER };
            assert_eq!(send(&engine, &attributes, now).await, [expected; 2], "{login} {number}");
        }
    }
    let many = "sasl_username=carol instance=c protocol_state=END-OF-MESSAGE recipient_count=6";
    assert_eq!(said(&engine, many).await.1, "REJECT 5.7.1 this is more than may be sent at once");
}

#[tokio::test]
async fn what_another_rule_refuses_is_not_counted() {
    let now = Instant::now();
    let refuse = "[[policy.rule]]\nname = 'no'\nsender = ['@bad.test']\nstate = ['end-of-message']\naction = 'reject'\n";
    let hold = "[[policy.rule]]\nname = 'look'\nsender = ['@odd.test']\nstate = ['end-of-message']\naction = 'hold'\n";
    let (_dir, engine) = engine(&format!("{}{refuse}{hold}", one("user", "")));
    for instance in 0..5 {
        let bad = format!("sasl_username=anna sender=a@bad.test instance=bad{instance}");
        assert_eq!(send(&engine, &bad, now).await, [DUNNO, "REJECT 5.7.1"]);
    }
    let held = send(&engine, "sasl_username=anna sender=a@odd.test instance=odd", now).await;
    assert_eq!(held, [DUNNO, "HOLD"], "it is taken");
    assert_eq!(send(&engine, "sasl_username=anna sender=a@odd.test instance=more", now).await, [OVER; 2]);
}

/// Postfix goes on with a transaction when its mail is refused at its end, as by a milter behind us.
#[tokio::test]
async fn a_transaction_that_goes_on_with_another_mail_pays_for_it() {
    let (_dir, engine) = engine(&one("user", "").replace("messages = 1", "recipients = 10"));
    let end = |recipients, size| {
        format!(
            "sasl_username=anna instance=1 protocol_state=END-OF-MESSAGE recipient_count={recipients} size={size}"
        )
    };
    for (recipients, size, action) in [
        (1, 5, DUNNO),
        (1, 5, DUNNO),
        (9, 5, DUNNO),
        (9, 5, DUNNO),
        (1, 6, OVER),
        (1, 5, DUNNO),
        (10, 5, OVER),
    ] {
        assert_eq!(said(&engine, &end(recipients, size)).await.1, action, "{recipients} {size}");
    }
}

#[tokio::test]
async fn to_ask_what_would_be_said_costs_nothing_and_a_trial_refuses_nothing() {
    let now = Instant::now();
    let (_dir, engine) = engine(&one("user", "dry_run = true\n"));
    let end = "sasl_username=anna instance=1 protocol_state=END-OF-MESSAGE recipient_count=1";
    for _ in 0..3 {
        assert_eq!(police(&engine, end, true, now).await, Verdict::default());
    }
    for instance in 0..3 {
        let attributes = format!("sasl_username=anna instance=n{instance}");
        assert_eq!(send(&engine, &attributes, now).await, [DUNNO; 2]);
    }
    let verdict = police(&engine, "sasl_username=anna instance=9", true, now).await;
    assert_eq!(verdict.trials.len(), 1);
    assert!(verdict.trips.is_empty(), "it has tripped before");
}

#[tokio::test]
async fn a_trip_is_told_once_and_with_whom_it_is_about() {
    let (_dir, engine) = engine(&format!("{}suspend = '2h'\n", one("domain", "action = '421 too much'\n")));
    let now = Instant::now();
    assert_eq!(send(&engine, "sasl_username=anna instance=1", now).await, [DUNNO; 2]);
    let verdict = police(&engine, "sasl_username=bob instance=2", false, now).await;
    assert_eq!((verdict.why, &*verdict.action.to_string()), (Why::Limit, "421 4.7.1 too much"));
    let [trip] = &*verdict.trips else { panic!("{:?}", verdict.trips) };
    assert_eq!((&*trip.rule, &*trip.key, trip.trial), ("one domain", "@example.org", false));
    assert_eq!(trip.tripped.suspended, Some(Duration::from_secs(7200)));
    let later = now + Duration::from_secs(7100);
    let verdict = police(&engine, "sasl_username=bob instance=3", false, later).await;
    assert_eq!((verdict.why, verdict.trips.len()), (Why::Limit, 0));
    let later = now + Duration::from_secs(7200);
    assert_eq!(send(&engine, "sasl_username=bob instance=4", later).await, [DUNNO; 2]);
}
