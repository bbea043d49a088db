//! Which password is asked about where, in which order, and how often.

use std::{
    cell::{Cell, RefCell},
    fs,
    sync::Arc,
};

use futures_util::FutureExt as _;
use gatepost_protocol::secret::Secret;
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;

use super::{Main, Prover, Source};
use crate::{
    account::{Account, Services},
    app_password::{self, AppPasswords, Barred, MOST_LISTED, Moment, New, Records},
    decision::{AppMismatch, AppPassword, By, Refusal, TempFail, app_password::Here},
    directory::{Bound, Record, Unavailable, Uncheckable},
    mechanism::Credential,
    password::{Evidence, Pool, Scheme, Stored},
    username::Username,
};

/// A directory that counts what it is asked.
struct Asked {
    account: Option<Account>,
    primary: Services,
    /// `None`: it checks passwords itself, and `main` is the right one.
    stored: Option<Stored>,
    rows: Result<Vec<Record>, Unavailable>,
    elsewhere: Result<bool, Unavailable>,
    bound: Cell<u32>,
    listed: Cell<u32>,
    log: RefCell<String>,
}

impl Source for Asked {
    fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    fn several(&self) -> bool {
        false
    }

    fn allows_primary(&self, service: &str) -> bool {
        self.primary.allow(service)
    }

    fn main(&self) -> Result<Main, Uncheckable> {
        Ok(self.stored.clone().map_or(Main::Bind, Main::Stored))
    }

    async fn bind(&self, password: &Secret) -> Result<Bound, Unavailable> {
        self.bound.update(|count| count + 1);
        self.log.borrow_mut().push('b');
        Ok(if password.expose() == b"main" { Bound::Verified } else { Bound::Rejected })
    }

    fn known_elsewhere(&self) -> Result<bool, Unavailable> {
        self.elsewhere.clone()
    }

    async fn app_passwords(&self, _service: &str) -> Result<Vec<Record>, Unavailable> {
        self.listed.update(|count| count + 1);
        self.log.borrow_mut().push('l');
        match &self.rows {
            Ok(rows) => Ok(rows.iter().map(copy).collect()),
            Err(unavailable) => Err(unavailable.clone()),
        }
    }
}

fn copy(row: &Record) -> Record {
    let mut copy = Record::with_capacity(8);
    for (name, value) in row.columns() {
        copy.push(name, value.map(<[u8]>::to_vec));
    }
    copy
}

fn row(columns: &[(&str, &str)]) -> Record {
    let mut row = Record::with_capacity(columns.len());
    for (name, value) in columns {
        row.push(name, Some(value.as_bytes().to_vec()));
    }
    if !row.has("user") {
        row.push("user", Some(b"alice".to_vec()));
    }
    row
}

/// Two app passwords of another program, one for all and one for SMTP.
fn rows() -> Vec<Record> {
    vec![
        row(&[
            ("id", "1"),
            ("label", "Mailer"),
            ("password", "{PLAIN}for-smtp"),
            ("imap", "0"),
            ("smtp", "1"),
        ]),
        row(&[("id", "2"), ("label", "Old phone"), ("password", "{PLAIN}for-all")]),
        row(&[("id", "3"), ("label", "Off"), ("password", "{PLAIN}was-on"), ("active", "0")]),
    ]
}

fn binding() -> Asked {
    Asked {
        account: Some(Account::named("alice")),
        primary: Services::default(),
        stored: None,
        rows: Ok(rows()),
        elsewhere: Ok(true),
        bound: Cell::new(0),
        listed: Cell::new(0),
        log: RefCell::default(),
    }
}

fn storing() -> Asked {
    Asked { stored: Some(Stored::parse(b"{PLAIN}main", Scheme::Plain).unwrap()), ..binding() }
}

/// Tries a password for IMAP: what comes of it, and what was asked, in order (`b`: a bind, `l`: the app passwords).
fn prove(asked: &Asked, password: &str) -> (Result<By, Refusal>, String) {
    prove_with(&AppPasswords::none(), false, asked, password)
}

fn prove_with(
    app_passwords: &AppPasswords,
    on_behalf: bool,
    asked: &Asked,
    password: &str,
) -> (Result<By, Refusal>, String) {
    let pool = Pool::with_queue(1, 1 << 26, 1);
    let here =
        Here { service: "imap", remote: None, now: Moment::of_unix(1000), on_behalf, default_domain: None };
    let prover = Prover { pool: &pool, app_passwords, here, known: false };
    asked.log.borrow_mut().clear();
    let credential = Credential::Password(Secret::new(password.as_bytes().to_vec()));
    let verdict = prover.prove(asked, &credential).now_or_never().unwrap();
    let verdict = match verdict.map(|proven| proven.by) {
        Ok(By::AppPassword(which)) => Ok(By::AppPassword(without_scope(*which))),
        Err(Refusal::AppPasswordBarred(which, why)) => {
            Err(Refusal::AppPasswordBarred(without_scope(*which), why))
        }
        verdict => verdict,
    };
    (verdict, asked.log.borrow().clone())
}

/// Which one it was, whatever it is good for.
fn without_scope(which: AppPassword) -> Box<AppPassword> {
    Box::new(AppPassword { scope: app_password::Scope::everything(), ..which })
}

fn by(id: &str, label: &str) -> Box<AppPassword> {
    Box::new(AppPassword {
        id: id.into(),
        label: label.into(),
        own: None,
        scope: app_password::Scope::everything(),
    })
}

fn denied() -> Refusal {
    Refusal::PrimaryPasswordDenied { service: "imap".into() }
}

#[test]
fn a_right_app_password_costs_no_bind_and_a_wrong_password_exactly_one() {
    let asked = binding();
    let phone = || Ok(By::AppPassword(by("2", "Old phone")));
    let for_smtp = Err(Refusal::AppPasswordBarred(by("1", "Mailer"), Barred::Service));
    let off = Err(Refusal::AppPasswordBarred(by("3", "Off"), Barred::Inactive));
    assert_eq!(prove(&asked, "for-all"), (phone(), "l".to_owned()));
    assert_eq!(prove(&asked, "for-smtp"), (for_smtp, "l".to_owned()), "it is not forwarded either");
    assert_eq!(prove(&asked, "was-on"), (off, "l".to_owned()), "nor is this");
    assert_eq!(prove(&asked, "main"), (Ok(By::Password), "lb".to_owned()));
    assert_eq!(prove(&asked, "wrong"), (Err(Refusal::PasswordMismatch), "lb".to_owned()));
    for impossible in ["", "main\0", "for-all\0"] {
        assert_eq!(prove(&asked, impossible), (Err(Refusal::PasswordMismatch), String::new()));
    }
}

#[test]
fn a_main_password_that_is_here_is_compared_before_anything_is_asked() {
    let asked = storing();
    assert_eq!(prove(&asked, "main"), (Ok(By::Password), String::new()));
    assert_eq!(prove(&asked, "for-all"), (Ok(By::AppPassword(by("2", "Old phone"))), "l".to_owned()));
    assert_eq!(prove(&asked, "wrong"), (Err(Refusal::PasswordMismatch), "l".to_owned()));
    let nobody = Asked { account: None, ..storing() };
    assert_eq!(prove(&nobody, "wrong"), (Err(Refusal::UserUnknown), String::new()));
}

/// A row that leaves the password to a server: who is gone from there comes in by no other password either.
#[test]
fn an_app_password_is_no_better_than_the_account_that_the_password_is_left_to() {
    let asked = Asked { elsewhere: Ok(false), ..binding() };
    assert_eq!(prove(&asked, "for-all").0, Err(Refusal::UserDisabled));
    let asked = Asked { elsewhere: Err(Unavailable::new("staff", "it is away")), ..binding() };
    assert!(matches!(prove(&asked, "for-all").0, Err(Refusal::TempFail(TempFail::Directory(_)))));
    assert!(matches!(prove(&asked, "for-smtp").0, Err(Refusal::AppPasswordBarred(..))));
}

#[test]
fn where_the_main_password_may_not_be_used_no_directory_is_asked_about_it() {
    for services in ["", "smtp pop3"] {
        let asked = Asked { primary: Services::only(services), ..binding() };
        for password in ["main", "wrong"] {
            assert_eq!(prove(&asked, password), (Err(denied()), "l".to_owned()));
        }
        assert!(prove(&asked, "for-all").0.is_ok());
        assert_eq!(asked.bound.get(), 0);
        // A hash tells who has the right one and who does not.
        let asked = Asked { primary: Services::only(services), ..storing() };
        assert_eq!(prove(&asked, "main"), (Err(denied()), "l".to_owned()));
        assert_eq!(prove(&asked, "wrong"), (Err(Refusal::PasswordMismatch), "l".to_owned()));
        assert!(prove(&asked, "for-all").0.is_ok());
        assert_eq!(prove(&asked, ""), (Err(Refusal::PasswordMismatch), String::new()));
    }
    let asked = Asked { primary: Services::only("IMAP"), ..binding() };
    assert_eq!(prove(&asked, "main").0, Ok(By::Password));
}

/// CRAM-MD5, SCRAM: they prove the main password, so what holds for it holds for them. No app password can be proven so.
#[test]
fn what_proves_the_main_password_without_showing_it_is_no_way_around_either() {
    let evidence = |password: &str| {
        let mut hmac = Hmac::<Md5>::new_from_slice(password.as_bytes()).unwrap();
        hmac.update(b"<challenge>");
        let digest = hmac.finalize().into_bytes().into();
        Credential::Evidence(Arc::new(Evidence::CramMd5 { challenge: (*b"<challenge>").into(), digest }))
    };
    let (pool, app_passwords) = (Pool::with_queue(1, 1 << 26, 1), AppPasswords::none());
    let here = Here {
        service: "imap",
        remote: None,
        now: Moment::of_unix(1000),
        on_behalf: false,
        default_domain: None,
    };
    let prover = Prover { pool: &pool, app_passwords: &app_passwords, here, known: false };
    let prove = |asked: &Asked, password: &str| {
        let proven = prover.prove(asked, &evidence(password)).now_or_never().unwrap();
        (proven.map(|proven| proven.by), asked.log.borrow().clone())
    };
    let nothing = String::new;
    assert_eq!(prove(&storing(), "main"), (Ok(By::Password), nothing()));
    assert_eq!(prove(&storing(), "for-all"), (Err(Refusal::PasswordMismatch), nothing()));
    let strict = || Asked { primary: Services::only("smtp"), ..storing() };
    assert_eq!(prove(&strict(), "main"), (Err(denied()), nothing()));
    assert_eq!(prove(&strict(), "wrong"), (Err(Refusal::PasswordMismatch), nothing()));
    assert_eq!(prove(&binding(), "main"), (Err(Refusal::NoCredentials("CRAM-MD5")), nothing()));
}

#[test]
fn nobody_says_no_while_an_app_password_cannot_be_read() {
    let unreadable = [
        row(&[("password", "{NO-SUCH}x")]),
        row(&[("password", "{PLAIN}x"), ("imap", "perhaps")]),
        row(&[("password", "{PLAIN}x"), ("allow_net", "192.0.2.0/24")]),
        row(&[("id", "9")]),
    ];
    let is_unclear = |(verdict, _): &(Result<By, Refusal>, String)| {
        matches!(verdict, Err(Refusal::TempFail(TempFail::Directory(_))))
    };
    let mut tables: Vec<_> =
        unreadable.into_iter().map(|bad| Ok([vec![bad], rows()].into_iter().flatten().collect())).collect();
    tables.push(Ok((0..=MOST_LISTED).map(|_| row(&[("password", "{PLAIN}one of many")])).collect()));
    tables.push(Err(Unavailable::new("people", "it is away")));
    for rows in tables {
        let few = rows.as_ref().is_ok_and(|rows: &Vec<_>| rows.len() < MOST_LISTED);
        let rows = || match &rows {
            Ok(rows) => Ok(rows.iter().map(copy).collect()),
            Err(unavailable) => Err(Unavailable::clone(unavailable)),
        };
        for asked in [Asked { rows: rows(), ..binding() }, Asked { rows: rows(), ..storing() }] {
            assert!(is_unclear(&prove(&asked, "wrong")));
            assert_eq!(prove(&asked, "main").0, Ok(By::Password), "the right one always works");
            assert_eq!(prove(&asked, "for-all").0.is_ok(), few);
        }
        let asked = Asked { rows: rows(), primary: Services::only(""), ..binding() };
        assert!(is_unclear(&prove(&asked, "main")));
        assert_eq!(asked.bound.get(), 0);
    }
}

/// To MySQL, `alicé` and `alice` are equal.
#[test]
fn a_row_that_only_the_database_takes_for_theirs_lets_nobody_in() {
    let of = |user: &str| vec![row(&[("id", "1"), ("password", "{PLAIN}app"), ("user", user)])];
    for (user, expected) in
        [("alice", true), ("alic\u{e9}", false), ("Alice", true), ("alice2", false), ("", false)]
    {
        let asked = Asked { rows: Ok(of(user)), ..binding() };
        assert_eq!(prove(&asked, "app").0.is_ok(), expected, "{user:?}");
    }
}

#[test]
fn an_app_password_that_lets_in_is_taken_before_an_equal_one_that_does_not() {
    let twins = vec![
        row(&[("id", "1"), ("password", "{PLAIN}same"), ("expires_at", "1000")]),
        row(&[("id", "2"), ("password", "{PLAIN}same"), ("services", "smtp")]),
        row(&[("id", "3"), ("password", "{PLAIN}same"), ("allow_nets", "local")]),
    ];
    assert_eq!(prove(&Asked { rows: Ok(twins), ..binding() }, "same").0, Ok(By::AppPassword(by("3", ""))));
}

/// Everything that looks like one of gatepost's own, right or wrong, stays here.
#[tokio::test]
async fn what_looks_like_an_app_password_is_never_asked_of_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(app_password::FILE);
    let mut records = Records::open(&file, true).unwrap();
    let mut make = |user: &str, change: &dyn Fn(&mut New)| {
        let mut new = New { label: "phone".to_owned(), ..New::default() };
        change(&mut new);
        records.create(&Username::normalise(user.as_bytes(), None).unwrap(), &new).unwrap()
    };
    let good = make("alice", &|_| {});
    let for_smtp = make("alice", &|new| new.services = Some("smtp".to_owned()));
    let far = make("alice", &|new| new.allow_nets = Some("192.0.2.0/24".to_owned()));
    let late = make("alice", &|new| new.expires_at = Some(Moment::of_unix(1000)));
    let of_bob = make("bob", &|_| {});

    let passwords = AppPasswords::at(dir.path());
    let pool = Pool::with_queue(1, 1 << 26, 1);
    let prove = async |asked: &Asked, on_behalf: bool, password: &str| {
        let here = Here {
            service: "imap",
            remote: None,
            now: Moment::of_unix(1000),
            on_behalf,
            default_domain: None,
        };
        let prover = Prover { pool: &pool, app_passwords: &passwords, here, known: false };
        let credential = Credential::Password(Secret::new(password.as_bytes().to_vec()));
        prover.prove(asked, &credential).await.map(|proven| proven.by)
    };
    let barred = |why: Barred| move |verdict: &Result<By, Refusal>| matches!(verdict, Err(Refusal::AppPasswordBarred(_, barred)) if *barred == why);
    let mismatch = |why: AppMismatch| Err(Refusal::AppPasswordMismatch(why));
    let unknown = app_password::AppPassword::random().unwrap().text();
    // The row of this one has another secret by now.
    let other = make("alice", &|_| {});
    let db = rusqlite::Connection::open(&file).unwrap();
    let change = "UPDATE app_passwords SET digest = randomblob(32) WHERE id = ?1";
    assert_eq!(db.execute(change, [other.id().as_str()]).unwrap(), 1);
    let mut mistyped = good.text().to_string();
    mistyped.replace_range(20..21, if mistyped.get(20..21) == Some("b") { "c" } else { "b" });

    let asked = binding();
    let Ok(By::AppPassword(which)) = prove(&asked, false, &good.text()).await else { panic!("refused") };
    assert_eq!((&*which.id, &*which.label, which.own), (good.id().as_str(), "phone", Some(good.id())));
    assert!(prove(&asked, false, &good.text().to_uppercase().replace('-', " ")).await.is_ok());
    assert!(barred(Barred::Service)(&prove(&asked, false, &for_smtp.text()).await));
    assert!(barred(Barred::Network)(&prove(&asked, false, &far.text()).await));
    assert!(barred(Barred::Expired)(&prove(&asked, false, &late.text()).await));
    for (wrong, why) in [
        (of_bob.text().as_str(), AppMismatch::OfAnother),
        (unknown.as_str(), AppMismatch::Unknown),
        (other.text().as_str(), AppMismatch::Unknown),
        (mistyped.as_str(), AppMismatch::Mistyped),
        (good.text().split_at(37).0, AppMismatch::Mistyped),
    ] {
        assert_eq!(prove(&asked, false, wrong).await, mismatch(why), "{wrong}");
    }
    assert!(barred(Barred::OnBehalf)(&prove(&asked, true, &good.text()).await));
    let nobody = Asked { account: None, ..binding() };
    assert_eq!(prove(&nobody, false, &good.text()).await, Err(Refusal::UserUnknown));
    assert_eq!(prove(&nobody, false, &unknown).await, Err(Refusal::UserUnknown));

    fs::rename(&file, dir.path().join("away")).unwrap();
    let verdict = prove(&asked, false, &good.text()).await;
    assert!(matches!(verdict, Err(Refusal::TempFail(TempFail::Directory(_)))), "{verdict:?}");
    for asked in [asked, nobody] {
        assert_eq!((asked.bound.get(), asked.listed.get()), (0, 0));
    }
}

#[test]
fn on_behalf_of_somebody_only_the_main_password_counts() {
    let barred = || Err(Refusal::AppPasswordBarred(by("2", "Old phone"), Barred::OnBehalf));
    for asked in [binding(), storing()] {
        let prove = |password: &str| prove_with(&AppPasswords::none(), true, &asked, password).0;
        assert_eq!(prove("for-all"), barred());
        assert_eq!((asked.bound.get(), prove("main")), (0, Ok(By::Password)));
    }
}
