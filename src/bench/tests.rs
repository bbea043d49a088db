use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use gatepost_protocol::{
    dovecot::auth::{Auth, Command},
    sasl::Plain,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
};

use super::{
    Failure, Length, Outcome, Plan, Target,
    load::{Kind, Load, Mechanism, Mix, Order},
    run,
};

/// When a server tells its mechanisms.
#[derive(Clone, Copy)]
enum Greeting {
    /// Unasked.
    Old,
    /// To who has told a version.
    New,
}

/// Makes the replies to what has arrived; nothing: hangs up.
type Judge = fn(&[Judged]) -> Option<Vec<String>>;

struct Judged {
    id: u32,
    right: bool,
}

/// A server of its own making, with `alice` and `bob`, whose passwords are their names.
struct Server {
    dir: TempDir,
    cpids: Arc<Mutex<Vec<u32>>>,
}

impl Server {
    /// Answers whenever `batch` requests have come.
    fn start(greeting: Greeting, batch: usize, judge: Judge) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(socket(&dir)).unwrap();
        let cpids = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&cpids);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, greeting, batch, judge, Arc::clone(&seen)));
            }
        });
        Self { dir, cpids }
    }

    async fn drive(&self, connections: u32, requests: u64) -> Result<Outcome, Failure> {
        drive(&socket(&self.dir), connections, requests).await
    }
}

fn socket(dir: &TempDir) -> PathBuf {
    dir.path().join("auth")
}

fn load(bad: u8, unknown: u8) -> Load {
    let mechanism = Mechanism::Plain;
    let mix = Mix { mechanism, service: "imap".to_owned(), bad, unknown, fresh: false, order: Order::Random };
    Load::read("alice:alice\nbob:bob\n", &mix).unwrap()
}

fn plan(socket: &Path, length: Length) -> Plan {
    let target = Target::Unix(socket.to_owned());
    Plan { target, connections: 2, depth: 4, reconnect: false, rate: None, warm_up: 0, length }
}

async fn drive(socket: &Path, connections: u32, requests: u64) -> Result<Outcome, Failure> {
    let plan = Plan { connections, depth: 8, warm_up: 16, ..plan(socket, Length::Requests(requests)) };
    run(&plan, &load(20, 20), None, |_, _| {}).await
}

async fn serve(
    stream: UnixStream,
    greeting: Greeting,
    batch: usize,
    judge: Judge,
    cpids: Arc<Mutex<Vec<u32>>>,
) -> io::Result<()> {
    const REST: &[u8] = b"MECH\tLOGIN\tplaintext\nMECH\tPLAIN\tplaintext\nSPID\t7\nCUID\t1\n\
        COOKIE\t0123456789abcdef0123456789abcdef\nDONE\n";
    let (from, mut to) = stream.into_split();
    to.write_all(b"VERSION\t1\t2\n").await?;
    if matches!(greeting, Greeting::Old) {
        to.write_all(REST).await?;
    }
    let mut lines = BufReader::new(from).lines();
    let mut judged = Vec::new();
    while let Some(line) = lines.next_line().await? {
        match Command::parse(line.as_bytes()).unwrap() {
            Command::Version(_) if matches!(greeting, Greeting::New) => to.write_all(REST).await?,
            Command::Version(_) => {}
            Command::Cpid(cpid) => cpids.lock().unwrap().push(cpid),
            Command::Auth(auth) => judged.push(look_at(&auth)),
            other => panic!("{other:?}"),
        }
        if judged.len() == batch {
            let Some(replies) = judge(&judged) else { return Ok(()) };
            to.write_all(replies.concat().as_bytes()).await?;
            judged.clear();
        }
    }
    Ok(())
}

fn look_at(auth: &Auth<'_>) -> Judged {
    let response = auth.response.unwrap().decode().unwrap();
    let plain = Plain::parse(response.expose()).unwrap();
    let right = plain.authcid == plain.password && [&b"alice"[..], b"bob"].contains(&plain.authcid);
    Judged { id: auth.id.get(), right }
}

fn rightly(judged: &[Judged]) -> Option<Vec<String>> {
    let reply = |Judged { id, right }: &Judged| match right {
        true => format!("OK\t{id}\tuser=x\n"),
        false => format!("FAIL\t{id}\tuser=x\n"),
    };
    Some(judged.iter().map(reply).collect())
}

fn backwards(judged: &[Judged]) -> Option<Vec<String>> {
    rightly(judged).map(|replies| replies.into_iter().rev().collect())
}

fn all(judged: &[Judged], before: &str, after: &str) -> Option<Vec<String>> {
    Some(judged.iter().map(|Judged { id, .. }| format!("{before}\t{id}{after}\n")).collect())
}

#[tokio::test]
async fn right_answers_are_right_whichever_way_the_server_greets() {
    for greeting in [Greeting::Old, Greeting::New] {
        let tally = Server::start(greeting, 1, rightly).drive(3, 2000).await.unwrap().tally;
        assert_eq!((tally.answered(), tally.ok + tally.fail), (2000, 2000));
        assert_eq!((tally.wrong(), tally.other), (0, 0));
        assert!(tally.ok > 1000 && tally.fail > 600, "{tally:?}");
    }
}

#[tokio::test]
async fn an_answer_finds_its_request_in_any_order() {
    let tally = Server::start(Greeting::Old, 8, backwards).drive(1, 2000).await.unwrap().tally;
    assert_eq!((tally.answered(), tally.wrong()), (2000, 0));
}

#[tokio::test]
async fn wrong_answers_are_told_from_temporary_ones() {
    let table: [(Judge, _); 4] = [
        (|judged| all(judged, "OK", "\tuser=x"), (true, false, false)),
        (|judged| all(judged, "FAIL", "\tuser=x"), (false, true, false)),
        (|judged| all(judged, "FAIL", "\tcode=temp_fail"), (false, false, true)),
        (|judged| all(judged, "FAIL", "\ttemp"), (false, false, true)),
    ];
    for (judge, expected) in table {
        let tally = Server::start(Greeting::Old, 1, judge).drive(2, 500).await.unwrap().tally;
        assert_eq!((tally.let_in > 0, tally.shut_out > 0, tally.other > 0), expected);
        assert_eq!(tally.ok + tally.fail + tally.other + tally.wrong(), 500);
    }
}

#[tokio::test]
async fn a_server_that_breaks_off_or_makes_things_up_ends_the_run() {
    let table: [(Judge, _); 4] = [
        (|_| None, io::ErrorKind::UnexpectedEof),
        (|judged| all(judged, "OK", "0\tuser=x"), io::ErrorKind::InvalidData),
        (|judged| all(judged, "CONT", "\t"), io::ErrorKind::InvalidData),
        (|_| Some(vec!["HELLO\n".to_owned()]), io::ErrorKind::InvalidData),
    ];
    for (judge, expected) in table {
        let failure = Server::start(Greeting::Old, 1, judge).drive(2, 500).await.unwrap_err();
        assert_eq!((failure.at, failure.error.kind()), ("warming up", expected));
    }
}

#[tokio::test]
async fn each_connection_has_a_cpid_that_no_process_can_have() {
    let server = Server::start(Greeting::New, 1, rightly);
    server.drive(50, 100).await.unwrap();
    let cpids: HashSet<u32> = server.cpids.lock().unwrap().iter().copied().collect();
    assert_eq!(cpids.len(), 50);
    assert!(cpids.iter().all(|&cpid| cpid > 1 << 22));
}

#[tokio::test]
async fn without_a_server_there_is_no_run() {
    let dir = tempfile::tempdir().unwrap();
    let failure = drive(&socket(&dir), 1, 1).await.unwrap_err();
    assert_eq!((failure.at, failure.error.kind()), ("connecting", io::ErrorKind::NotFound));
}

#[tokio::test]
async fn a_run_ends_after_its_time_and_waits_for_what_is_in_flight() {
    let server = Server::start(Greeting::Old, 1, rightly);
    let plan = plan(&socket(&server.dir), Length::Time(Duration::from_millis(100)));
    let outcome = run(&plan, &load(0, 0), None, |_, _| {}).await.unwrap();
    let times = &outcome.tally.times;
    assert!(outcome.took >= Duration::from_millis(100) && outcome.tally.answered() > 0);
    assert!(times.percentile(50.0) <= times.percentile(99.0));
    assert!(times.percentile(99.0) <= times.slowest());
}

#[tokio::test]
async fn each_request_has_a_connection_of_its_own_where_that_is_wanted() {
    for greeting in [Greeting::Old, Greeting::New] {
        let server = Server::start(greeting, 1, rightly);
        let plan = Plan {
            connections: 3,
            depth: 1,
            reconnect: true,
            warm_up: 20,
            ..plan(&socket(&server.dir), Length::Requests(100))
        };
        let tally = run(&plan, &load(30, 30), None, |_, _| {}).await.unwrap().tally;
        assert_eq!((tally.answered(), tally.ok + tally.fail), (100, 100));
        let cpids = server.cpids.lock().unwrap();
        let different: HashSet<u32> = cpids.iter().copied().collect();
        assert_eq!((cpids.len(), different.len()), (120, 120));
    }
}

#[tokio::test]
async fn times_are_told_apart_by_what_was_asked() {
    let server = Server::start(Greeting::Old, 1, rightly);
    let plan = plan(&socket(&server.dir), Length::Requests(1000));
    let tally = run(&plan, &load(30, 30), None, |_, _| {}).await.unwrap().tally;
    let [good, bad, unknown] = Kind::ALL.map(|kind| tally.of(kind).count());
    assert_eq!((good, bad + unknown), (tally.ok, tally.fail));
    assert!(bad > 200 && unknown > 200, "{bad} {unknown}");
    assert!(Kind::ALL.into_iter().all(|kind| tally.of(kind).slowest() <= tally.times.slowest()));
}

#[tokio::test]
async fn a_rate_is_kept_and_no_request_is_left_out() {
    for reconnect in [false, true] {
        let server = Server::start(Greeting::Old, 1, rightly);
        let length = Length::Time(Duration::from_millis(200));
        let plan = Plan { reconnect, rate: Some(1000), ..plan(&socket(&server.dir), length) };
        let outcome = run(&plan, &load(0, 0), None, |_, _| {}).await.unwrap();
        // One a millisecond, the first at once.
        assert_eq!(outcome.tally.answered(), 200);
        assert!(outcome.took >= Duration::from_millis(199));
    }
}

#[tokio::test]
async fn what_a_server_keeps_waiting_counts_from_when_it_was_due() {
    // It answers only when eight requests are there, four of either connection.
    let server = Server::start(Greeting::Old, 4, rightly);
    let plan = Plan { rate: Some(100), ..plan(&socket(&server.dir), Length::Requests(16)) };
    let times = run(&plan, &load(0, 0), None, |_, _| {}).await.unwrap().tally.times;
    // The first of four has to wait for three more, 20 ms apart, and so on.
    assert!(times.slowest() >= Duration::from_millis(59), "{times:?}");
    assert!(times.percentile(70.0) >= Duration::from_millis(19), "{times:?}");
}

#[test]
fn a_target_is_a_path_unless_it_names_a_port() {
    let tcp = |text: &str| Target::Tcp(text.to_owned());
    let unix = |text: &str| Target::Unix(text.into());
    for (text, expected) in [
        ("/run/gatepost/client", unix("/run/gatepost/client")),
        ("client", unix("client")),
        ("./a:80", unix("./a:80")),
        ("a:b", unix("a:b")),
        ("127.0.0.1:12345", tcp("127.0.0.1:12345")),
        ("localhost:12345", tcp("localhost:12345")),
        ("[::1]:12345", tcp("[::1]:12345")),
    ] {
        assert_eq!(Target::parse(text), expected, "{text}");
    }
}
