//! The events of what Postfix is told of mails.

use std::{borrow::Cow, time::Duration};

use gatepost_protocol::postfix::policy::Request;
use tracing::{debug, error, field::display, info, level_filters::LevelFilter, warn};

use super::micros;
use crate::decision::{Trip, Verdict, Why};

/// The events of a mail that was judged.
///
/// Postfix asks for each recipient: what no rule says anything of is for debugging, and so is what is over a limit. That a
/// limit has tripped is a `warn`, once for a window: somebody may have found out a password. An outage is `error`.
pub fn policed(request: &Request<'_>, verdict: &Verdict, took: Duration) {
    for (rule, action) in &verdict.trials {
        tell(Level::Info, request, Some(rule), action.to_string(), "policy on trial", None);
    }
    for Trip { rule, key, tripped, trial } in &verdict.trips {
        let (rule, key, spent) = (&**rule, &**key, tripped.spent);
        let suspended_s = tripped.suspended.map(|time| time.as_secs());
        warn!(
            rule,
            key,
            messages = spent.messages,
            recipients = spent.recipients,
            bytes = spent.bytes,
            suspended_s,
            on_trial = trial,
            "a sending limit has tripped",
        );
    }
    if let Some(unavailable) = &verdict.unavailable {
        let Who { state, sender, login, .. } = Who::of(request);
        error!(
            rule = verdict.rule.as_deref(), directory = %unavailable.directory, reason = %unavailable,
            state = &*state, sender = &*sender, login = login.as_deref(), took_us = micros(took),
            "policy not decided",
        );
    }
    let level = match verdict.why {
        // Nothing is put together that nobody reads.
        Why::Nothing | Why::Limit | Why::Unavailable if tracing::Level::DEBUG > LevelFilter::current() => {
            return;
        }
        Why::Nothing | Why::Limit | Why::Unavailable => Level::Debug,
        Why::Action | Why::Sender => Level::Info,
    };
    let (rule, action) = (verdict.rule.as_deref(), verdict.action.to_string());
    tell(level, request, rule, action, "policy decided", Some(micros(took)));
}

/// The event of a request that is none for a mail: nobody knows what it wants.
pub fn no_such_request(kind: &[u8]) {
    warn!(request = %kind.escape_ascii(), "a policy request of an unknown kind was left to Postfix");
}

enum Level {
    Debug,
    Info,
}

fn tell(
    level: Level,
    request: &Request<'_>,
    rule: Option<&str>,
    action: String,
    what: &str,
    took_us: Option<u64>,
) {
    let (who, action) = (Who::of(request), &*action);
    let Who { state, sender, recipient, login, client, queue_id } = &who;
    let (state, sender, recipient) = (&**state, &**sender, recipient.as_deref());
    let (login, queue_id) = (login.as_deref(), queue_id.as_deref());
    let client = client.as_ref().map(display);
    match level {
        Level::Debug => {
            debug!(action, rule, state, sender, recipient, login, client, queue_id, took_us, "{what}",)
        }
        Level::Info => {
            info!(action, rule, state, sender, recipient, login, client, queue_id, took_us, "{what}",)
        }
    }
}

/// What others chose.
struct Who<'a> {
    state: Cow<'a, str>,
    sender: Cow<'a, str>,
    recipient: Option<Cow<'a, str>>,
    login: Option<Cow<'a, str>>,
    client: Option<std::net::IpAddr>,
    queue_id: Option<Cow<'a, str>>,
}

impl<'a> Who<'a> {
    fn of(request: &Request<'a>) -> Self {
        let text = String::from_utf8_lossy;
        Self {
            state: text(request.protocol_state.map(|state| state.as_bytes()).unwrap_or_default()),
            sender: text(request.sender.unwrap_or_default()),
            recipient: request.recipient.map(text),
            login: request.sasl_username.map(text),
            client: request.client_ip(),
            queue_id: request.queue_id.map(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gatepost_protocol::postfix::policy::{Action, Request, Text};

    use super::{no_such_request, policed};
    use crate::{
        decision::{Cost, Trip, Tripped, Verdict, Why},
        directory::Unavailable,
        observe::tests::lines,
    };

    const MAIL: &str = "state=\"RCPT\" sender=\"a\" recipient=\"b\\\"c\" login=\"anna\" client=192.0.2.7";

    fn told(verdict: &Verdict) -> Vec<String> {
        let block = b"request=smtpd_access_policy\nprotocol_state=RCPT\nsender=a\nrecipient=b\"c\nsasl_username=anna\n\
                      client_address=192.0.2.7\nqueue_id=\n";
        let request = Request::parse(block).unwrap();
        lines(|| policed(&request, verdict, Duration::from_micros(7)))
    }

    #[test]
    fn what_a_rule_says_is_told_with_whom_it_is_about() {
        let text = Text::cleaned("no");
        let rule = Some("own".into());
        let reject = || Action::Hold(text.clone());
        let said = Verdict { action: reject(), rule, why: Why::Action, ..Verdict::default() };
        assert_eq!(
            told(&said),
            [format!(" INFO policy decided action=\"HOLD no\" rule=\"own\" {MAIL} took_us=7")]
        );
        let limit = Verdict { why: Why::Limit, ..said.clone() };
        assert_eq!(
            told(&limit),
            [format!("DEBUG policy decided action=\"HOLD no\" rule=\"own\" {MAIL} took_us=7")]
        );
        let nothing = format!("DEBUG policy decided action=\"DUNNO\" {MAIL} took_us=7");
        assert_eq!(told(&Verdict::default()), [&*nothing]);
        let trial = Verdict { trials: vec![("own".into(), reject())], ..Verdict::default() };
        let first = format!(" INFO policy on trial action=\"HOLD no\" rule=\"own\" {MAIL}");
        assert_eq!(told(&trial), [&*first, &*nothing]);
    }

    #[test]
    fn a_limit_that_has_tripped_is_for_the_operator_to_look_at() {
        let spent = Cost { messages: 100, recipients: 120, bytes: 9 };
        let tripped = Tripped { spent, suspended: Some(Duration::from_secs(60)) };
        let trip = Trip { rule: "hourly".into(), key: "anna\"x".into(), tripped, trial: false };
        let verdict = Verdict { trips: vec![trip], ..Verdict::default() };
        assert_eq!(
            told(&verdict)[0],
            " WARN a sending limit has tripped rule=\"hourly\" key=\"anna\\\"x\" messages=100 recipients=120 bytes=9 \
             suspended_s=60 on_trial=false"
        );
    }

    #[test]
    fn an_outage_is_an_error() {
        let told = told(&Verdict::unavailable(Unavailable::new("people", "it is away")));
        assert_eq!(
            told[0],
            "ERROR policy not decided directory=people reason=directory people is unavailable: it is away \
             state=\"RCPT\" sender=\"a\" login=\"anna\" took_us=7"
        );
        assert_eq!(
            lines(|| no_such_request(b"junk\n")),
            [" WARN a policy request of an unknown kind was left to Postfix request=junk\\n"]
        );
    }
}
