//! One people in three databases, and the directories that are made of them.

use std::{fmt::Write as _, net::SocketAddr, path::PathBuf};

use crate::support::{Gatepost, Listener, MariaDb, Place, Postgres};

/// Whose database.
pub(crate) enum Database<'a> {
    MariaDb(MariaDb<'a>),
    Postgres(Postgres<'a>),
    Sqlite(&'a Place),
}

/// What a server was asked to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Statements {
    pub(crate) executed: u64,
    pub(crate) prepared: u64,
    pub(crate) others: u64,
}

/// The kinds by their names in the configuration.
pub(crate) const KINDS: [&str; 3] = ["mysql", "postgres", "sqlite"];

/// Alice, whose password is `wonder` and who has an alias, Bob (`builder`), and Carol, who is switched off.
const PEOPLE: &str = "
CREATE TABLE people (name VARCHAR(255) NOT NULL, alias VARCHAR(255), password VARCHAR(255), active INT NOT NULL DEFAULT 1, quota BIGINT, note VARCHAR(255));
CREATE INDEX people_name ON people (name);
INSERT INTO people (name, alias, password, active, quota) VALUES ('alice@example.test', 'ally@example.test', '{PLAIN}wonder', 1, 1048576);
INSERT INTO people (name, alias, password, active, quota) VALUES ('bob@example.test', NULL, '{PLAIN}builder', 1, NULL);
INSERT INTO people (name, alias, password, active, quota) VALUES ('carol@example.test', NULL, '{PLAIN}carol', 0, NULL);
";

/// Finds somebody by name or alias.
pub(crate) const QUERY: &str =
    "SELECT name AS user, password, active, quota FROM people WHERE name = :user OR alias = :user";

impl<'a> Database<'a> {
    /// A database of this kind with the people in it.
    pub(crate) fn start(kind: &str, place: &'a Place) -> Self {
        let database = match kind {
            "mysql" => Self::MariaDb(MariaDb::start(place)),
            "postgres" => Self::Postgres(Postgres::start(place)),
            "sqlite" => Self::Sqlite(place),
            _ => panic!("{kind}"),
        };
        database.sql(PEOPLE);
        if let Self::Postgres(server) = &database {
            server.sql("mail", "GRANT ALL ON ALL TABLES IN SCHEMA public TO gatepost");
        }
        database
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::MariaDb(_) => "mysql",
            Self::Postgres(_) => "postgres",
            Self::Sqlite(_) => "sqlite",
        }
    }

    /// Runs statements and returns what they print.
    pub(crate) fn sql(&self, statements: &str) -> String {
        match self {
            Self::MariaDb(server) => server.sql("mail", statements),
            Self::Postgres(server) => server.sql("mail", statements),
            Self::Sqlite(place) => {
                let db = rusqlite::Connection::open(place.outside("people.db")).unwrap();
                db.execute_batch(statements).unwrap();
                String::new()
            }
        }
    }

    /// What says where it is, the nearest way there.
    pub(crate) fn source(&self) -> String {
        match self {
            Self::MariaDb(server) => {
                format!(
                    "url = \"mysql://gatepost@/mail?socket={}\"\npassword = \"service\"\n",
                    server.socket().display()
                )
            }
            Self::Postgres(server) => {
                let (socket, port) = (server.socket(), server.port());
                let socket = socket.display();
                format!(
                    "url = \"postgres://gatepost@:{port}/mail?socket={socket}\"\npassword = \"service\"\n"
                )
            }
            Self::Sqlite(place) => format!("file = \"{}\"\n", place.outside("people.db").display()),
        }
    }

    /// The same over TCP, to `host:port`.
    pub(crate) fn source_at(&self, address: impl std::fmt::Display) -> String {
        let scheme = self.kind();
        format!("url = \"{scheme}://gatepost@{address}/mail\"\npassword = \"service\"\n")
    }

    /// Where the server listens.
    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::MariaDb(server) => server.address(),
            Self::Postgres(server) => server.address(),
            Self::Sqlite(_) => panic!("a file listens nowhere"),
        }
    }

    /// Who vouches for the server.
    pub(crate) fn ca_file(&self) -> PathBuf {
        match self {
            Self::MariaDb(server) => server.ca_file(),
            Self::Postgres(server) => server.ca_file(),
            Self::Sqlite(_) => panic!("nobody vouches for a file"),
        }
    }

    pub(crate) fn stop(&mut self) {
        match self {
            Self::MariaDb(server) => server.stop(),
            Self::Postgres(server) => server.stop(),
            Self::Sqlite(_) => panic!("a file does not stop"),
        }
    }

    pub(crate) fn start_again(&mut self) {
        match self {
            Self::MariaDb(server) => server.start_again(),
            Self::Postgres(server) => server.start_again(),
            Self::Sqlite(_) => panic!("a file does not start"),
        }
    }

    /// Ends all connections of the service user from the server's side. How many there were.
    pub(crate) fn end_connections(&self) -> usize {
        match self {
            Self::MariaDb(server) => server.end_connections(),
            Self::Postgres(server) => server.end_connections(),
            Self::Sqlite(_) => panic!("a file has no connections"),
        }
    }

    pub(crate) fn set_service_password(&self, password: &str) {
        let change = match self {
            Self::MariaDb(_) => format!("ALTER USER gatepost@'%' IDENTIFIED BY '{password}'"),
            Self::Postgres(_) => format!("ALTER USER gatepost PASSWORD '{password}'"),
            Self::Sqlite(_) => panic!("a file has no users"),
        };
        self.sql(&change);
    }

    /// How many questions the server is sleeping over.
    pub(crate) fn sleepers(&self) -> usize {
        let ask = match self {
            Self::MariaDb(_) => {
                "SELECT count(*) FROM information_schema.processlist WHERE user = 'gatepost' AND state = 'User sleep'"
            }
            Self::Postgres(_) => {
                "SELECT count(*) FROM pg_stat_activity WHERE usename = 'gatepost' AND wait_event = 'PgSleep'"
            }
            Self::Sqlite(_) => panic!("a file does not sleep"),
        };
        self.sql(ask).trim().parse().unwrap()
    }

    /// From now on, for new connections.
    pub(crate) fn count_statements(&self) {
        if let Self::Postgres(_) = self {
            self.sql("ALTER ROLE gatepost SET log_min_duration_statement = 0");
        }
    }

    /// What the service user has had done so far.
    pub(crate) fn statements(&self) -> Statements {
        match self {
            Self::MariaDb(server) => {
                let (executed, prepared) =
                    (server.status("Com_stmt_execute"), server.status("Com_stmt_prepare"));
                let others = ["Com_set_option", "Com_begin", "Com_admin_commands", "Com_change_db"];
                let others = others.iter().map(|name| server.status(name)).sum();
                Statements { executed, prepared, others }
            }
            Self::Postgres(server) => {
                let log = server.log();
                let of = |what: &str| {
                    log.lines().filter(|line| line.contains("duration: ") && line.contains(what)).count()
                };
                let (executed, prepared) = (of(" execute "), of(" parse "));
                let all = of("");
                // Parsing, binding and executing are told one by one.
                let others = all - executed - prepared - of(" bind ");
                Statements { executed: executed as u64, prepared: prepared as u64, others: others as u64 }
            }
            Self::Sqlite(_) => panic!("a file does not count"),
        }
    }

    /// Lets the service user in over TCP by TLS alone, or in any way.
    pub(crate) fn require_tls(&self, required: bool) {
        match self {
            Self::MariaDb(server) => {
                let what = if required { "SSL" } else { "NONE" };
                server.sql("", &format!("ALTER USER gatepost@'%' REQUIRE {what}"));
            }
            Self::Postgres(server) => server.require_tls(required),
            Self::Sqlite(_) => panic!("a file has no TLS"),
        }
    }

    /// A directory table.
    pub(crate) fn directory(&self, source: &str, query: &str, place: &Place) -> String {
        let mut text = format!("[[directory]]\nname = \"people\"\ntype = \"{}\"\n{source}", self.kind());
        writeln!(text, "user_query = {query:?}").unwrap();
        let home = place.inside("mail");
        write!(text, "[directory.fields]\nuid = \"5000\"\ngid = \"5000\"\nhome = \"{home}/{{user}}\"\n")
            .unwrap();
        text
    }
}

/// Gatepost between a Dovecot and the people.
pub(crate) fn gatepost_over<'a>(place: &'a Place, directory: &str) -> Gatepost<'a> {
    // Of the one before.
    let _ = std::fs::remove_file(place.outside("notify"));
    Gatepost::start_over(place, &Listener::dovecot(place), directory)
}
