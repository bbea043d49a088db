//! The tables that Postfix has besides: each as gatepost's socketmap, and as a `mysql:` table of Postfix's own over the same
//! rows, which Postfix itself walks. Both have to do the same for people and their mail.

mod relay;
mod rows;

use std::{collections::BTreeSet, fmt::Write as _};

use self::rows::{FAR, FRIEND, HOSTS, NEAR, Row, WAYS, rows};
use crate::support::{Gatepost, Lines, MariaDb, Place, Postfix, Smtp, Smtpd, Tree, side_by_side, wait_until};

/// Where mail for everywhere is taken from whoever is on this machine.
const OPEN: u16 = 10610;
/// Where a proxy says who the client is.
const PROXIED: u16 = 10611;
/// Another server, which takes the mail of those who have logged in there, by gatepost, and of nobody else.
const RELAY: u16 = 10620;
/// Another one, which takes all mail.
const NEXT: u16 = 10621;

/// Who may log in, and what all tables are made of.
const TABLES: &str = "
CREATE TABLE mailbox (username VARCHAR(255) PRIMARY KEY, password VARCHAR(255) NOT NULL);
INSERT INTO mailbox VALUES ('alice@example.test', '{PLAIN}wonder'), ('blocked@example.test', '{PLAIN}wonder');
CREATE TABLE entries (map VARCHAR(64), name VARCHAR(255), value VARCHAR(255) NOT NULL, PRIMARY KEY (map, name));
";

/// In its main.cf, besides the tables. As there is no DNS, hosts are those that its chroot knows.
const MAIN: &str = "
recipient_delimiter = +
virtual_alias_domains =
relay_transport = discard
smtpd_error_sleep_time = 0
smtp_dns_support_level = disabled
smtp_tcp_port = 10621
smtp_connection_cache_on_demand = no
smtp_sasl_auth_enable = yes
smtp_sasl_security_options = noanonymous
smtp_sender_dependent_authentication = yes
# No server is given up for a while because it has put off the mail of somebody else.
default_destination_concurrency_failed_cohort_limit = 1000
";

/// Who walks the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Own,
    Gatepost,
}

/// What somebody does.
#[derive(Clone, Copy, Debug)]
enum Does {
    /// Sends a mail from this address of the loopback.
    Client(&'static str),
    /// Says this name and sends one.
    Helo(&'static str),
    /// Logs in under this name and sends one from that address.
    Login(&'static str, &'static str),
    /// Connects from this address, and no more.
    Connect(&'static str),
    /// Would send one from this address of IPv6.
    Remote(&'static str),
    /// Asks from this address what may be done.
    Keywords(&'static str),
    /// Would send one to this address, as a stranger.
    Recipient(&'static str),
    /// Sends one from this address to that one.
    Mail(&'static str, &'static str),
}

impl Side {
    fn table(self, place: &Place, map: &str) -> String {
        match self {
            Self::Own => format!("mysql:{}", place.inside(&format!("postfix/etc/own-{map}.cf"))),
            // Relative to the queue directory, for those who are confined to it too.
            Self::Gatepost => format!("socketmap:unix:gatepost/map:{map}"),
        }
    }

    /// The line of main.cf by which Postfix asks a table.
    fn line(self, place: &Place, map: &str) -> String {
        let table = self.table(place, map);
        match map {
            "check_client_access" => format!("smtpd_client_restrictions = check_client_access {table}\n"),
            "check_helo_access" => format!("smtpd_helo_restrictions = check_helo_access {table}\n"),
            "check_sasl_access" => format!(
                "smtpd_sender_restrictions = check_sasl_access {table}, reject_known_sender_login_mismatch\n"
            ),
            "check_helo_a_access" => format!("smtpd_recipient_restrictions = check_helo_a_access {table}\n"),
            _ => format!("{map} = {table}\n"),
        }
    }
}

fn maps() -> BTreeSet<&'static str> {
    rows().map(|row| row.map).collect()
}

fn query(map: &str) -> String {
    format!("SELECT value FROM entries WHERE map = '{map}' AND name = '%s'")
}

/// The statement that puts something into a table.
fn put(map: &str, name: &str, value: &str) -> String {
    format!("INSERT INTO entries VALUES ('{map}', '{name}', '{value}');\n")
}

/// A directory with these tables.
fn directory<'m>(place: &Place, server: &MariaDb<'_>, maps: impl IntoIterator<Item = &'m str>) -> String {
    let mut text = format!(
        "[[directory]]
name = 'mail'
type = 'mysql'
url = 'mysql://gatepost@/mail?socket={}'
password = 'service'
user_query = 'SELECT username AS user, password FROM mailbox WHERE username = :user'
[maps.smtp_sasl_password_maps]
readers = ['{}']
[directory.maps]
",
        server.socket().display(),
        place.tree().uid("postfix")
    );
    for map in maps {
        writeln!(text, "{map} = \"{}\"", query(map)).unwrap();
    }
    text
}

/// A Postfix that can be sent to, and the servers that it sends to, which are others but for their queue: what arrives there
/// goes no further, and the log has its headers.
fn start<'a>(place: &'a Place, main: &str) -> Postfix<'a> {
    let address = place.address();
    place.write("postfix/etc/headers", "/^(from|to):/ INFO\n");
    let headers = place.inside("postfix/etc/headers");
    let other = "-o myhostname=other.example.test -o cleanup_service_name=arriving -o content_filter=discard:arrived \
        -o receive_override_options=no_address_mappings -o smtpd_client_restrictions= -o smtpd_helo_restrictions= \
        -o smtpd_sender_restrictions= -o smtpd_recipient_restrictions= -o smtpd_tls_auth_only=no";
    let master = format!(
        "{address}:{OPEN} inet n - y - - smtpd -o mynetworks=127.0.0.0/8 -o smtpd_tls_auth_only=no
{address}:{PROXIED} inet n - y - - smtpd -o smtpd_authorized_xclient_hosts=127.0.0.1 -o inet_protocols=all
{address}:{RELAY} inet n - n - - smtpd {other} -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
{address}:{NEXT} inet n - n - - smtpd {other} -o smtpd_sasl_auth_enable=no -o mynetworks=127.0.0.0/8
arriving unix n - n - 0 cleanup -o header_checks=regexp:{headers}
smtp unix - - y - - smtp
pickup unix n - n 60 1 pickup
local unix - n n - - local
nobodys unix - - n - - discard -o syslog_name=postfix/nobodys
tlsmgr unix - - n 1000? 1 tlsmgr
"
    );
    let postfix = Postfix::start_told(place, None, &format!("{MAIN}{main}"), &master);
    // The one of Debian 13 puts those of the machine there when it starts.
    place.write("postfix/spool/etc/hosts", &HOSTS.replace("HERE", &address.to_string()));
    place.write("postfix/spool/etc/nsswitch.conf", "hosts: files\n");
    postfix
}

/// What the log says of a mail, and of the same mail at the next server; and whether all of it has been done. Lines begin with
/// the name of the program, and have no times.
fn story(log: &str, queued: &str) -> (String, bool) {
    let (mut ids, mut told, mut ended) = (vec![queued.to_owned()], String::new(), true);
    let mut at = 0;
    while let Some(id) = ids.get(at) {
        let mark = format!("]: {id}: ");
        let (mut next, mut over) = (Vec::new(), false);
        for (head, line) in log.lines().filter_map(|line| line.split_once(&mark)) {
            over |= line == "removed" || line.contains("status=deferred");
            next.extend(line.split_once("queued as ").map(|(_, id)| id.trim_end_matches(')').to_owned()));
            let program = head.rsplit(' ').next().and_then(|name| name.split('[').next()).unwrap();
            let line = match (line.split_once(", delay="), line.split_once(", status=")) {
                (Some((to, _)), Some((_, status))) => format!("{to}, status={status}"),
                _ => line.to_owned(),
            };
            writeln!(told, "{program}: {line}").unwrap();
        }
        ended &= over;
        ids.extend(next);
        at += 1;
    }
    (told, ended)
}

/// Sends a mail. The refusal; or what became of it.
fn sent(postfix: &Postfix<'_>, mut smtp: Smtp, from: &str, to: &str) -> String {
    for command in [format!("MAIL FROM:<{from}>"), format!("RCPT TO:<{to}>"), "DATA".to_owned()] {
        let reply = smtp.command(&command);
        if reply.code >= 400 {
            return reply.text;
        }
    }
    let reply = smtp.command(&format!("From: {from}\r\nTo: {to}\r\nSubject: test\r\n\r\nhello\r\n."));
    let Some((_, queued)) = reply.text.split_once("queued as ") else { return reply.text };
    let mut told = String::new();
    wait_until(&format!("the mail from <{from}> to <{to}> is where it goes"), || {
        let ended;
        (told, ended) = story(&postfix.log(), queued);
        ended
    });
    format!("{}\n{told}", reply.text)
}

/// What is said of a recipient.
fn recipient(smtp: &mut Smtp, address: &str) -> String {
    let reply = smtp.command(&format!("MAIL FROM:<{FRIEND}>"));
    assert_eq!(reply.code, 250, "{}", reply.text);
    smtp.command(&format!("RCPT TO:<{address}>")).text
}

impl Does {
    /// What is said of it.
    fn outcome(self, place: &Place, postfix: &Postfix<'_>) -> String {
        let open = || Smtp::connect(place.port(OPEN));
        let lines = |source: &str| Lines::connect_from(source.parse().unwrap(), place.port(OPEN));
        let from = |source| Smtp::greeted_over(lines(source));
        let log_of = |source: &str| {
            let log = postfix.log();
            log.lines().filter(|line| line.contains(&format!("[{source}]"))).collect::<Vec<_>>().join("\n")
        };
        match self {
            Self::Client(source) => sent(postfix, from(source), FRIEND, FAR) + "\n" + &log_of(source),
            Self::Connect(source) => {
                lines(source).hear();
                wait_until("it is written that the client has gone", || {
                    log_of(source).contains("disconnect from ")
                });
                log_of(source)
            }
            Self::Helo(name) => {
                let mut smtp = open();
                assert_eq!(smtp.command(&format!("EHLO {name}")).code, 250);
                sent(postfix, smtp, FRIEND, FAR)
            }
            Self::Login(user, from) => {
                let mut smtp = open();
                let reply = smtp.auth_plain(user, "wonder");
                assert_eq!(reply.code, 235, "{}", reply.text);
                sent(postfix, smtp, from, FAR)
            }
            Self::Remote(address) => {
                let mut smtp = Smtp::connect(place.port(PROXIED));
                let reply = smtp.command(&format!("XCLIENT NAME=[UNAVAILABLE] ADDR=IPV6:{address}"));
                assert_eq!(reply.code, 220, "{}", reply.text);
                assert_eq!(smtp.command("EHLO client.example.test").code, 250);
                recipient(&mut smtp, NEAR)
            }
            Self::Keywords(source) => from(source).command("EHLO client.example.test").text,
            Self::Recipient(address) => recipient(&mut postfix.connect(Smtpd::ChrootedUnix), address),
            Self::Mail(from, to) => sent(postfix, open(), from, to),
        }
    }
}

/// Tries each row, with a Postfix whose tables are those of this side.
fn each_row_holds(side: Side, place: &Place, server: &MariaDb<'_>) {
    let _gatepost =
        Gatepost::start_over(place, &Postfix::listeners(place), &directory(place, server, maps()));
    let address = server.address();
    for map in maps() {
        let login = format!("hosts = {address}\nuser = gatepost\npassword = service\ndbname = mail\n");
        place.write(&format!("postfix/etc/own-{map}.cf"), &format!("{login}query = {}\n", query(map)));
    }
    let main: String = maps().into_iter().map(|map| side.line(place, map)).collect();
    let postfix = start(place, &main);
    let mut wrong = String::new();
    for row in rows() {
        let outcome = row.does.outcome(place, &postfix);
        if !outcome.contains(row.says) || row.never.is_some_and(|never| outcome.contains(never)) {
            let (map, does, says, never) = (row.map, row.does, row.says, row.never);
            writeln!(wrong, "{map}: {does:?}: not {says:?}, or {never:?}:\n{outcome}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{side:?}:\n{wrong}");
}

#[test]
fn each_table_does_for_mail_what_it_does_as_one_of_postfixs_own() {
    let cellar = Place::new(&Tree::bookworm());
    let server = MariaDb::start(&cellar);
    let of_row = |row: &'static Row| row.has.iter().map(move |(name, value)| (row.map, *name, *value));
    let all = rows().flat_map(of_row).chain(WAYS.iter().copied());
    let entries: String = all.map(|(map, name, value)| put(map, name, value)).collect();
    server.sql("mail", &format!("{TABLES}{entries}"));
    for tree in Tree::all() {
        eprintln!("with {}", tree.name());
        side_by_side([("own", Side::Own), ("gatepost", Side::Gatepost)], |side| {
            each_row_holds(side, &Place::new(&tree), &server);
        });
    }
}
