//! What one connection can say, and what it hears.

mod exchange;
mod handshake;
mod lookup;
mod map;
mod policy;
pub(crate) mod saslauthd;
mod tcp_table;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use crate::{
    Daemon,
    peer::{Peer, To},
    watch::Watch,
};

/// One row.
struct Row {
    name: &'static str,
    to: To,
    say: Vec<u8>,
    /// Whether it says nothing more after that, and the daemon can know it.
    eof: bool,
    hear: String,
    in_order: bool,
    closes: bool,
}

/// A row whose peer hears nothing and stays connected.
fn row(name: &'static str, to: To, say: impl Into<Vec<u8>>) -> Row {
    Row { name, to, say: say.into(), eof: false, hear: String::new(), in_order: true, closes: false }
}

impl Row {
    fn hears(mut self, lines: impl Into<String>) -> Self {
        self.hear = lines.into();
        self
    }

    /// The lines may come in any order.
    fn in_any_order(mut self) -> Self {
        self.in_order = false;
        self
    }

    /// The daemon hangs up, after whatever is to be heard.
    fn closes(mut self) -> Self {
        self.closes = true;
        self
    }

    fn then_eof(mut self) -> Self {
        self.eof = true;
        self
    }

    fn run(&self, peer: &mut Peer) {
        let mouth = peer.mouth();
        let heard = thread::scope(|scope| {
            // Much that is said at once may wait for what was heard to be read.
            let said = scope.spawn(|| {
                mouth.say(&self.say);
                if self.eof {
                    mouth.say_eof();
                }
            });
            if self.closes {
                let heard = peer.all();
                said.join().unwrap();
                return heard;
            }
            let heard = peer.lines(self.hear.lines().count());
            said.join().unwrap();
            // Nothing but the answer to this is left to be heard.
            let (question, answer) = self.fence();
            peer.say(question);
            assert_eq!(peer.lines(1), answer, "{}: still in its place", self.name);
            heard
        });
        assert_eq!(self.sorted(&heard), self.sorted(&self.hear), "{}", self.name);
    }

    fn sorted<'a>(&self, lines: &'a str) -> Vec<&'a str> {
        let mut lines: Vec<_> = lines.split_inclusive('\n').collect();
        if !self.in_order {
            lines.sort_unstable();
        }
        lines
    }

    /// What is always answered in the same way, and at once.
    fn fence(&self) -> (String, &'static str) {
        const NOT_FOUND: &str = "NOTFOUND\t4294967295\n";
        const TIMED_OUT: &str = "FAIL\t4294967295\treason=Authentication request timed out\n";
        let introduced = self.say.starts_with(b"VERSION");
        let unless_introduced = |lines: &'static str| if introduced { "" } else { lines };
        let cont = "CONT\t4294967295\tAAAA\n";
        let user = "USER\t4294967295\tnobody\tservice=fence\n";
        match self.to {
            To::Bare(_) => (format!("{}{cont}", unless_introduced("VERSION\t1\t2\nCPID\t7\n")), TIMED_OUT),
            To::Auth(..) => (cont.to_owned(), TIMED_OUT),
            To::BareMaster(_) => (format!("{}{user}", unless_introduced("VERSION\t1\t1\n")), NOT_FOUND),
            To::Master(_) => (user.to_owned(), NOT_FOUND),
            To::Table => ("get %20\n".to_owned(), "500 not%20found\n"),
            To::Map(_) | To::Policy(_) | To::Once(_) => {
                panic!("{}: has no lines, so it ends with the connection", self.name)
            }
        }
    }
}

#[test]
fn whatever_one_peer_says_it_gets_its_due_and_nobody_else_waits() {
    let mut daemon = Daemon::start();
    let tables = [
        handshake::rows(),
        exchange::rows(),
        lookup::rows(),
        map::rows(),
        policy::rows(),
        tcp_table::rows(),
        saslauthd::rows(),
    ];
    let rows: Vec<_> = tables.into_iter().flatten().collect();
    assert!(rows.len() >= 60, "{} rows", rows.len());
    let mut failed = Vec::new();
    for row in &rows {
        // All rows that fail are of interest, not the first alone.
        let done = catch_unwind(AssertUnwindSafe(|| {
            Watch::over(row.name, &mut daemon.gatepost, |gatepost| {
                let mut peer = Peer::connect(gatepost, row.to);
                row.run(&mut peer);
                peer
            });
        }));
        failed.extend(done.is_err().then_some(row.name));
    }
    assert!(failed.is_empty(), "{failed:#?}");
    eprintln!("{} rows", rows.len());
    daemon.end();
}
