//! Servers that do what no real one does.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use gatepost_protocol::secret::Secret;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::ber;
use crate::{
    account::Password,
    directory::{
        Bound, Directory, Inquiry, Kind, Known, Unavailable,
        tests::{config, name},
    },
};

/// A server that answers each message as it is told: what comes back is sent as it is, and `None` closes.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

/// A message of a client.
#[derive(Clone, Copy)]
struct Asked {
    /// Of its connection, from 0.
    connection: usize,
    id: u8,
    /// The application tag.
    operation: u8,
}

const BIND: u8 = 0x60;
const SEARCH: u8 = 0x63;
const EXTENDED: u8 = 0x77;

/// What a server says to a message.
type Reply = fn(Asked) -> Vec<u8>;

impl Server {
    async fn start(answer: impl Fn(Asked) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, connections) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let (answer, counted) = (Arc::new(answer), Arc::clone(&connections));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = counted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(converse(stream, connection, Arc::clone(&answer)));
            }
        });
        Self { address, connections }
    }

    /// How many connections there have been.
    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn converse(
    mut stream: TcpStream,
    connection: usize,
    answer: Arc<impl Fn(Asked) -> Option<Vec<u8>> + Send + Sync>,
) {
    let mut buffer = Vec::new();
    loop {
        while let Some(length) = ber::frame(&buffer).unwrap() {
            let (message, _) = ber::element(&buffer).unwrap();
            let (id, rest) = ber::element(message.content).unwrap();
            let asked = Asked { connection, id: id.content[0], operation: rest[0] };
            buffer.drain(..length);
            let Some(reply) = answer(asked) else { return };
            if stream.write_all(&reply).await.is_err() {
                return;
            }
        }
        match stream.read_buf(&mut buffer).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
    }
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x82], length.as_slice(), content].concat()
}

fn message(id: u8, operation: &[u8]) -> Vec<u8> {
    element(0x30, &[&[0x02, 0x01, id], operation].concat())
}

/// An answer with a result code and no more.
fn result(asked: Asked, code: u8) -> Vec<u8> {
    let tag = match asked.operation {
        BIND => 0x61,
        SEARCH => 0x65,
        EXTENDED => 0x78,
        other => panic!("asked {other:#x}"),
    };
    message(asked.id, &element(tag, &[0x0a, 0x01, code, 0x04, 0x00, 0x04, 0x00]))
}

/// An entry `cn=NAME` without attributes.
fn entry(id: u8, cn: &str) -> Vec<u8> {
    let dn = element(0x04, format!("cn={cn}").as_bytes());
    message(id, &element(0x64, &[dn, element(0x30, b"")].concat()))
}

/// A directory over servers, which finds people by a filter.
fn directory(servers: &[&Server], more: &str) -> Directory {
    let urls: Vec<_> = servers.iter().map(|server| format!("ldap://{}", server.address)).collect();
    let text = format!(
        "[[directory]]\nname = 'staff'\ntype = 'ldap'\nurls = {urls:?}\nbase_dn = 'dc=x'\n\
        user_filter = '(mail={{user}})'\n{more}\n"
    );
    Directory::open(&config(&text), None).unwrap()
}

async fn lookup(directory: &Directory) -> Result<Known, Unavailable> {
    let user = name("alice@example.org");
    directory.lookup(&Inquiry { user: &user, service: "imap" }).await
}

#[track_caller]
fn dn(known: Result<Known, Unavailable>) -> String {
    let Ok(Known::Account(account)) = known else { panic!("{known:?}") };
    let Password::Bind(entry) = &account.password else { panic!("{account:?}") };
    entry.to_string()
}

fn good(asked: Asked) -> Option<Vec<u8>> {
    (asked.operation == SEARCH).then(|| [entry(asked.id, "alice"), result(asked, 0)].concat())
}

#[tokio::test]
async fn what_no_server_would_say_costs_its_connection_and_nothing_else() {
    // Each wraps what is inside it: as deep as a message of this length can be.
    let deep = (0..4000).fold(Vec::new(), |inside, _| element(0x30, &inside));
    let bad: Vec<(&str, Vec<u8>)> = vec![
        ("no BER", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        ("too deep", message(1, &deep)),
        ("no content", element(0x30, b"")),
        ("no operation", message(1, b"")),
        ("another operation", message(1, &element(0x6b, b""))),
        ("no result", message(1, &element(0x65, b""))),
        ("an empty entry", message(1, &element(0x64, b""))),
        ("an entry of another shape", message(1, &element(0x64, &element(0x30, b"x\x01a")))),
        (
            "a control of another shape",
            message(
                1,
                &[element(0x65, b"\x0a\x01\x00\x04\x00\x04\x00"), element(0xa0, &element(0x04, b"x"))]
                    .concat(),
            ),
        ),
        ("nothing", Vec::new()),
    ];
    for (what, reply) in bad {
        let closes = reply.is_empty();
        // The first is asked, and another one after it was lost; the third finds a server in its right mind.
        let server =
            Server::start(
                move |asked| {
                    if asked.connection >= 2 { good(asked) } else { (!closes).then(|| reply.clone()) }
                },
            )
            .await;
        let directory = directory(&[&server], "timeout = '3s'");
        let known = lookup(&directory).await;
        assert!(known.is_err(), "{what}: {known:?}");
        assert_eq!(dn(lookup(&directory).await), "cn=alice", "{what}");
        assert_eq!(server.connections(), 3, "{what}");
    }
}

#[tokio::test]
async fn a_server_that_heeds_no_limit_is_not_listened_to_for_long() {
    let server = Server::start(|asked| {
        let many = (0..1000).flat_map(|number| entry(asked.id, &format!("u{number}")));
        Some(many.collect())
    })
    .await;
    let directory = directory(&[&server], "");
    assert!(matches!(lookup(&directory).await, Ok(Known::Several)));
}

#[tokio::test]
async fn only_an_answer_in_full_says_who_there_is() {
    // Two entries of three, as the limit has it; one, and a limit of the server's own; nobody, for whatever reason.
    let table: [(usize, u8, Option<&str>); 9] = [
        (2, 4, Some("several")),
        (2, 0, Some("several")),
        (1, 0, Some("cn=u0")),
        (0, 0, Some("nobody")),
        (1, 4, None),
        (0, 4, None),
        (0, 32, None),
        (0, 50, None),
        (0, 10, None),
    ];
    for (entries, code, expected) in table {
        let server = Server::start(move |asked| {
            // A reference to another server, which nobody follows.
            let elsewhere = message(asked.id, &element(0x73, &element(0x04, b"ldap://192.0.2.1/dc=x")));
            let entries = (0..entries).flat_map(|number| entry(asked.id, &format!("u{number}")));
            Some([entries.collect(), elsewhere, result(asked, code)].concat())
        })
        .await;
        let known = match lookup(&directory(&[&server], "")).await {
            Ok(Known::Several) => Some("several".to_owned()),
            Ok(Known::Nobody) => Some("nobody".to_owned()),
            Err(_) => None,
            account => Some(dn(account)),
        };
        assert_eq!(known.as_deref(), expected, "{entries} entries and result {code}");
    }
}

#[tokio::test]
async fn a_server_that_is_busy_or_going_away_is_passed_over() {
    for code in [51, 52] {
        let away = Server::start(move |asked| Some(result(asked, code))).await;
        let there = Server::start(good).await;
        assert_eq!(dn(lookup(&directory(&[&away, &there], "")).await), "cn=alice", "{code}");
        let known = lookup(&directory(&[&away], "")).await;
        assert!(known.is_err_and(|error| error.why.contains("result 5")), "{code}");
    }
}

#[tokio::test]
async fn a_bind_is_asked_again_only_where_the_connection_has_ended() {
    let password = Secret::new(b"secret".to_vec());
    // Ends the first connection instead of answering.
    let server = Server::start(|asked| (asked.connection > 0).then(|| result(asked, 0))).await;
    let binding = directory(&[&server], "");
    assert_eq!(binding.bind("cn=alice", &password).await, Ok(Bound::Verified));
    assert_eq!(server.connections(), 2);
    // The connection is used again.
    assert_eq!(binding.bind("cn=alice", &password).await, Ok(Bound::Verified));
    assert_eq!(server.connections(), 2);

    // Two connections that are there and end as soon as they are used, as behind a firewall that has forgotten them.
    let server =
        Server::start(|asked| (asked.connection > 1 || asked.id == 1).then(|| result(asked, 0))).await;
    let binding = directory(&[&server], "");
    let both = tokio::join!(binding.bind("cn=alice", &password), binding.bind("cn=bob", &password));
    assert_eq!((both, server.connections()), ((Ok(Bound::Verified), Ok(Bound::Verified)), 2));
    assert_eq!(binding.bind("cn=alice", &password).await, Ok(Bound::Verified));
    assert_eq!(server.connections(), 3);

    // Never answers a bind, and everything else.
    let binds = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&binds);
    let server = Server::start(move |asked| {
        let is_bind = asked.operation == BIND;
        counted.fetch_add(usize::from(is_bind), Ordering::Relaxed);
        Some(if is_bind { Vec::new() } else { result(asked, 0) })
    })
    .await;
    let binding = directory(&[&server], "timeout = '1500ms'");
    let begun = Instant::now();
    assert!(binding.bind("cn=alice", &password).await.is_err());
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert_eq!(binds.load(Ordering::Relaxed), 1, "it may have counted");
}

#[tokio::test]
async fn binds_are_remembered_only_where_somebody_asks_who_has_changed() {
    let server = Server::start(|asked| (asked.operation == BIND).then(|| result(asked, 0))).await;
    let table = [
        ("user_filter = '(uid={user})'\nbase_dn = 'dc=x'", 1),
        ("user_filter = '(uid={user})'\nbase_dn = 'dc=x'\nchange_poll = '0s'", 0),
        // Nobody could search, so nobody would ever forget them.
        ("user_dn = 'uid={local},dc=x'", 0),
    ];
    for (keys, remembered) in table {
        let text = format!(
            "[[directory]]\nname = 'staff'\ntype = 'ldap'\nurls = ['ldap://{}']\n{keys}\n",
            server.address
        );
        let directory = Directory::open(&config(&text), None).unwrap();
        let password = Secret::new(b"secret".to_vec());
        assert_eq!(directory.bind("uid=alice,dc=x", &password).await, Ok(Bound::Verified));
        let Kind::Ldap(ldap) = &directory.0.kind else { panic!("{keys}") };
        assert_eq!(ldap.bound.len(), remembered, "{keys}");
    }
}

#[tokio::test]
async fn a_slow_server_is_not_taken_for_a_dead_one() {
    // Answers the search only after it was asked, twice, whether it is there.
    let server = Server::start(|asked| match asked.id {
        1 => Some(Vec::new()),
        2 => Some(result(asked, 0)),
        3 => Some(
            [
                result(asked, 0),
                entry(1, "alice"),
                message(1, &element(0x65, b"\x0a\x01\x00\x04\x00\x04\x00")),
            ]
            .concat(),
        ),
        _ => None,
    })
    .await;
    assert_eq!(dn(lookup(&directory(&[&server], "")).await), "cn=alice");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn nothing_empty_and_nothing_that_cannot_be_sent_is_asked() {
    let server = Server::start(|asked| Some(result(asked, 0))).await;
    let binding = directory(&[&server], "");
    for (entry, password) in
        [("cn=alice", b"".as_slice()), ("", b"secret"), ("cn=alice", b"sec\0ret"), ("cn=alice", b"\0")]
    {
        let bound = binding.bind(entry, &Secret::new(password.to_vec())).await;
        assert!(bound.is_err(), "{entry} {}: {bound:?}", password.escape_ascii());
    }
    // What is no UTF-8 is nobody's password.
    let bound = binding.bind("cn=alice", &Secret::new(b"\xff".to_vec())).await;
    assert_eq!(bound, Ok(Bound::Rejected));
}

#[tokio::test]
async fn without_tls_nothing_is_said() {
    let asked_for_more = Arc::new(AtomicUsize::new(0));
    let ca = tempfile::tempdir().unwrap();
    let ca = ca.path().join("ca.pem");
    write_ca(&ca);
    let starttls = format!("starttls = true\nca_file = {ca:?}\nbind_dn = 'cn=g'\nbind_password = 'secret'");
    let replies: [(&str, Reply); 5] = [
        ("refused", |asked| result(asked, 2)),
        ("the answer to something else", |asked| {
            message(asked.id + 1, &element(0x78, b"\x0a\x01\x00\x04\x00\x04\x00"))
        }),
        ("words of somebody between", |asked| {
            [result(asked, 0), message(1, &element(0x61, b"\x0a\x01\x00\x04\x00\x04\x00"))].concat()
        }),
        ("no LDAP", |_| b"SSH-2.0-OpenSSH\r\n".to_vec()),
        ("no TLS", |asked| result(asked, 0)),
    ];
    for (what, reply) in replies {
        let more = Arc::clone(&asked_for_more);
        let server = Server::start(move |asked| {
            more.fetch_add(usize::from(asked.operation != EXTENDED), Ordering::Relaxed);
            Some(reply(asked))
        })
        .await;
        let directory = directory(&[&server], &format!("{starttls}\nconnect_timeout = '500ms'"));
        let known = lookup(&directory).await;
        assert!(known.is_err(), "{what}: {known:?}");
    }
    assert_eq!(asked_for_more.load(Ordering::Relaxed), 0);
}

fn write_ca(file: &Path) {
    let ca = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(file, ca.cert.pem()).unwrap();
}

#[tokio::test]
async fn a_list_that_may_not_be_whole_is_an_error() {
    let listing = "list_filter = '(cn=*)'\nfields.user = '{dn}@example.org'";
    // Nothing is said of further pages; the server knows no pages; a page of more than was asked for.
    let replies: [Reply; 3] = [
        |asked| result(asked, 0),
        |asked| result(asked, 12),
        |asked| (0..600).flat_map(|_| entry(asked.id, "alice")).collect(),
    ];
    for reply in replies {
        let server = Server::start(move |asked| Some(reply(asked))).await;
        let mut names = directory(&[&server], listing).list();
        let mut last = None;
        while let Some(next) = names.recv().await {
            last = Some(next);
        }
        assert!(matches!(last, Some(Err(_))), "{last:?}");
    }
}
