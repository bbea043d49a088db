//! Master and userdb sockets.

use super::{Row, row};
use crate::{CROWD, good, peer::To};

const MASTER: To = To::Master("master");
const USERDB: To = To::Master("userdb");
const ALICE: &str = "USER\t1\talice@example.org\tuid=5000\tgid=5000\thome=/srv/alice\n";
const REQUEST: &str = "REQUEST\t1\t7\t1\t69e1a8ba17881df894b135f8a8d853f9";

pub(super) fn rows() -> Vec<Row> {
    [lines(), lookups(), listings(), requests()].into_iter().flatten().collect()
}

fn lines() -> Vec<Row> {
    let bare = To::BareMaster("master");
    let padded = |length: usize| {
        let (head, tail) = ("USER\t1\t", "\tservice=lmtp");
        format!("{head}{}{tail}\n", "y".repeat(length - head.len() - tail.len()))
    };
    vec![
        row("the longest line of a master socket", MASTER, padded(8192)).hears("NOTFOUND\t1\n"),
        row("a byte more on a master socket", MASTER, padded(8193)).closes(),
        row("a byte more and no end on a userdb socket", USERDB, "A".repeat(8193)).closes(),
        row("an empty line on a master socket", MASTER, "\n").closes(),
        row("LFs on a userdb socket", USERDB, "\n".repeat(10_000)).closes(),
        row("half a line, then the end, on a master socket", MASTER, "USER\t1\talice").then_eof().closes(),
        row("a lookup, then the end", USERDB, "USER\t1\talice@example.org\tservice=lmtp\n")
            .then_eof()
            .hears(ALICE)
            .closes(),
        row("CPID on a master socket", bare, "VERSION\t1\t1\nCPID\t7\n").closes(),
        row("CPID at once on a master socket", bare, "CPID\t7\n").closes(),
        row("AUTH on a master socket", MASTER, good(1)).closes(),
        row("a lookup before VERSION", bare, "USER\t1\talice@example.org\tservice=lmtp\n").closes(),
        row("another major version on a master socket", bare, "VERSION\t2\t0\n").closes(),
        row("VERSION twice on a master socket", MASTER, "VERSION\t1\t1\n").closes(),
        row("CR LF throughout", bare, "VERSION\t1\t4\r\nUSER\t1\talice@example.org\tprotocol=lmtp\r\n")
            .hears(ALICE),
    ]
}

fn lookups() -> Vec<Row> {
    let user = |name: &str| format!("USER\t1\t{name}\tservice=lmtp\n");
    vec![
        row("USER without a service", USERDB, "USER\t1\talice@example.org\n").closes(),
        row("USER of id 0", USERDB, "USER\t0\talice@example.org\tservice=lmtp\n").closes(),
        row("USER of nobody", USERDB, user("")).hears("NOTFOUND\t1\n"),
        row("USER with an escaped TAB", USERDB, user("alice@example.org\u{1}tuid=0")).hears("NOTFOUND\t1\n"),
        row("USER with an escaped LF", USERDB, user("alice@example.org\u{1}nUSER")).hears("NOTFOUND\t1\n"),
        row("USER with an escaped NUL", USERDB, user("alice@example.org\u{1}0")).hears("NOTFOUND\t1\n"),
        row("USER with a blank", USERDB, user("alice @example.org")).hears("NOTFOUND\t1\n"),
        row("USER in capitals", USERDB, user("ALICE@EXAMPLE.ORG")).hears(ALICE),
        row("USER with a path", USERDB, user("../alice@example.org")).hears("NOTFOUND\t1\n"),
        row("USER that is no UTF-8", USERDB, b"USER\t1\t\xff\xfe\tservice=lmtp\n".as_slice())
            .hears("NOTFOUND\t1\n"),
        row("USER of a directory that does not answer", USERDB, user("x@away.example.org"))
            .hears("FAIL\t1\treason=Temporary internal error\n"),
        row("PASS of a stranger", USERDB, "PASS\t1\tx@example.org\tservice=lmtp\n").hears("NOTFOUND\t1\n"),
        row("PASS, which tells no password", MASTER, "PASS\t1\talice@example.org\tservice=lmtp\n")
            .hears("PASS\t1\tuser=alice@example.org\n"),
        row("five thousand lookups at once", USERDB, user("alice@example.org").repeat(5000))
            .hears(ALICE.repeat(5000)),
        row("duplicate ids of lookups", USERDB, user("alice@example.org").repeat(2)).hears(ALICE.repeat(2)),
    ]
}

fn listings() -> Vec<Row> {
    let list = |mask: &str| format!("LIST\t1\tuser={mask}\tservice=doveadm\n");
    // The directory that does not answer is a part of every listing.
    let done = "DONE\t1\tfail\n";
    let crowd: String =
        (0..CROWD).map(|number| format!("LIST\t1\tuser{number:05}@crowd.example.org\n")).collect();
    vec![
        row("a mask of 2700 stars", MASTER, list(&"*a?".repeat(2700))).hears(done),
        row("a mask of stars only", MASTER, list(&"*".repeat(8000))).hears_whole_listing(&crowd),
        row("a mask of question marks", MASTER, list(&"?".repeat(8000))).hears(done),
        row("a mask with brackets", MASTER, list("[a-z]*")).hears(done),
        row("a mask with a backslash", MASTER, list("\\*")).hears(done),
        row("a mask with an escaped TAB", MASTER, list("alice\u{1}t*")).hears(done),
        row("a mask in capitals", MASTER, list("ALICE*"))
            .hears(format!("LIST\t1\talice@example.org\n{done}")),
        row("LIST of id 0", MASTER, "LIST\t0\n").closes(),
        row("two listings at once", MASTER, "LIST\t1\tuser=bob*\nLIST\t2\tuser=bob*\n")
            .hears("LIST\t1\tbob@example.org\nDONE\t1\tfail\nLIST\t2\tbob@example.org\nDONE\t2\tfail\n"),
        row("a listing, then the end", MASTER, list("user*"))
            .then_eof()
            .hears(format!("{crowd}{done}"))
            .in_any_order()
            .closes(),
    ]
}

impl Row {
    fn hears_whole_listing(self, crowd: &str) -> Self {
        let others =
            ["alice", "bob", "closed", "slow", "watch"].map(|name| format!("LIST\t1\t{name}@example.org\n"));
        self.hears(format!("{crowd}{}DONE\t1\tfail\n", others.concat())).in_any_order()
    }
}

fn requests() -> Vec<Row> {
    let line = |more: &str| format!("{REQUEST}{more}\n");
    vec![
        row("REQUEST of a login that nobody made", MASTER, line("")).hears("FAIL\t1\n"),
        row("REQUEST a thousand times", MASTER, line("").repeat(1000)).hears("FAIL\t1\n".repeat(1000)),
        row("REQUEST on a userdb socket", USERDB, line("")).closes(),
        row("REQUEST with a cookie that is not hexadecimal", MASTER, line("").replace("69e1", "69g1"))
            .closes(),
        row("REQUEST with a short cookie", MASTER, line("").replace("69e1", "69")).closes(),
        row("REQUEST with a long cookie", MASTER, line("").replace("69e1", "69e169e1")).closes(),
        row("REQUEST without a cookie", MASTER, "REQUEST\t1\t7\t1\n").closes(),
        row("REQUEST of request 0", MASTER, line("").replace("\t7\t1\t", "\t7\t0\t")).closes(),
        row("REQUEST for a process of another pid", MASTER, line("\tsession_pid=1")).hears("FAIL\t1\n"),
        row("REQUEST for a process that is no number", MASTER, line("\tsession_pid=x")).closes(),
        row("REQUEST for a pid above 32 bits", MASTER, line("\tsession_pid=4294967296")).closes(),
        row("CACHE-FLUSH on a userdb socket", USERDB, "CACHE-FLUSH\t1\n").closes(),
        row("CACHE-STATUS on a userdb socket", USERDB, "CACHE-STATUS\t1\n").closes(),
        row("CACHE-FLUSH of two thousand users", MASTER, format!("CACHE-FLUSH\t1{}\n", "\ty*".repeat(2000)))
            .hears("OK\t1\t0\n"),
    ]
}
