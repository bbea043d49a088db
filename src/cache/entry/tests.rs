use std::sync::Arc;

use super::{Back, Draft, EntryBuf, Front, Proof, Somebody, Span};
use crate::{
    account::{Account, Net, Nologin, State},
    cache::{
        clock::Tick,
        digest::{Digest, Digester},
    },
};

fn account() -> Account {
    let mut userdb = gatepost_protocol::dovecot::FieldsBuf::default();
    userdb.push("uid", "5000");
    userdb.push("home", "/srv/mail\tx");
    Account { userdb, ..Account::named("alice@example.org") }
}

fn packed(account: &Account, user: &str, service: &str) -> EntryBuf {
    let (now, digest) = (Tick::new(7), Digester::new().unwrap().password(user, b"x"));
    let fetched = Span { begun: now, ended: Tick::new(9) };
    let draft = Draft {
        user,
        service,
        found: Some(Somebody::of(account, 3, None)),
        unsettled: false,
        fetched,
        proof: Proof::Of(digest, fetched),
        fingerprint: None,
        app_passwords: Vec::new(),
        wrong: Vec::new(),
    };
    draft.pack().unwrap()
}

#[test]
fn what_is_packed_comes_out_as_it_was() {
    let plain = account();
    let mut strict = account();
    strict.state = State::Until(5);
    strict.allow_nets = Some(vec![Net::Local]);
    strict.services.set("imap", false);
    strict.nologin = Some(Nologin { reason: Some("closed".to_owned()) });
    strict.passdb.push("host", "192.0.2.7");
    for account in [plain, strict] {
        for (user, service) in [("alice@example.org", ""), ("al", "imap")] {
            let first = packed(&account, user, service);
            let entry = first.look();
            assert_eq!((entry.user(), entry.back.service(), entry.directory()), (user, service, 3));
            let again = entry.account(Arc::clone(&account.directory)).unwrap();
            assert_eq!(format!("{again:?}"), format!("{account:?}"));
            assert_eq!(again.userdb.as_fields().raw(), account.userdb.as_fields().raw());
            assert_eq!(again.passdb.as_fields().raw(), account.passdb.as_fields().raw());
            let second = entry.draft(Tick::new(9)).pack().unwrap();
            let second = second.look();
            assert_eq!(
                format!("{:?}", second.account("people".into())),
                format!("{:?}", Some(account.clone()))
            );
            assert_eq!((second.fetched(), second.proof().unwrap().1), (entry.fetched(), entry.fetched()));
            assert!(second.proof().unwrap().0.is(&entry.proof().unwrap().0));
        }
    }
}

#[test]
fn a_digest_tells_whose_entry_it_is_only_where_it_is_proof_and_for_every_service() {
    let known = packed(&account(), "alice", "");
    let (digest, span) = known.look().proof().unwrap();
    assert!(known.front.proves(&digest));
    assert!(!known.front.proves(&Digester::new().unwrap().password("alice", b"x")));
    let for_one_service = packed(&account(), "alice", "imap");
    assert!(!for_one_service.front.proves(&for_one_service.look().proof().unwrap().0));
    for proof in [Proof::After(span.begun, Some(digest)), Proof::After(span.begun, None)] {
        let unproven = Draft { proof, ..known.look().draft(span.ended) }.pack().unwrap();
        assert!(!unproven.front.proves(&digest) && !unproven.front.proves(&Digest::of([0; 16])));
        let nobody = Draft { found: None, proof, ..known.look().draft(span.ended) }.pack().unwrap();
        assert!(!nobody.front.proves(&digest) && !nobody.front.proves(&Digest::of([0; 16])));
    }
}

#[test]
fn an_ordinary_entry_is_small() {
    assert_eq!((size_of::<Front>(), size_of::<Back>()), (30, 104));
    let mut without = account();
    without.userdb = Default::default();
    assert_eq!(packed(&without, "user123456@example.org", "").back.weight(), 0);
}

#[test]
fn what_does_not_fit_is_not_kept() {
    let mut account = account();
    account.passdb.push("x", "y".repeat(70_000));
    let fetched = Span { begun: Tick::new(0), ended: Tick::new(0) };
    let found = Some(Somebody::of(&account, 0, None));
    let draft = Draft {
        user: "alice",
        service: "",
        found,
        unsettled: false,
        fetched,
        proof: Proof::After(Tick::new(0), None),
        fingerprint: None,
        app_passwords: Vec::new(),
        wrong: Vec::new(),
    };
    assert!(draft.pack().is_none());
}

#[test]
fn one_at_a_time_asks_ahead() {
    let entry = packed(&account(), "alice", "");
    let entry = entry.look();
    assert!(entry.may_refresh(Tick::new(100), 50));
    assert!(!entry.may_refresh(Tick::new(120), 50));
    assert!(entry.may_refresh(Tick::new(150), 50));
}
