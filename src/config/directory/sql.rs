//! What `mysql`, `postgres` and a `sqlite` with a `user_query` have of their own.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use gatepost_protocol::secret::Secret;

use self::url::Url;
use super::scheme;
use crate::config::{
    problem::{Wrong, quoted},
    query::{Dialect, Parameter, Query},
    reader::{Reader, path},
    secret::secret,
};

mod url;

/// A database that is asked by queries of the operator's.
#[derive(Debug)]
pub struct Sql {
    /// Whose SQL the queries are.
    pub dialect: Dialect,
    /// Where it is.
    pub source: Source,
    /// `user_query`: one row a user; its column `user` is the canonical name. `None`: it knows nobody, and has tables of
    /// Postfix's only.
    pub user_query: Option<Query>,
    /// `list_query`: one row for each user, with a column `user`. With `:after` and `:limit` it is asked page by page.
    pub list_query: Option<Query>,
    /// `app_password_query`: one row for each app password of the user.
    pub app_password_query: Option<Query>,
    /// `update_password_query`: replaces `:old_password` by `:password`.
    pub update_password_query: Option<Query>,
    /// `provision_query`: makes a user whom a provider vouches for and no directory knows.
    pub provision_query: Option<Query>,
    /// `changed_query` and `changed_since`.
    pub changes: Option<Changes>,
    /// `default_scheme`: for a stored password without `{SCHEME}`, in capitals.
    pub default_scheme: Option<String>,
    /// `max_connections`, 1 to 1000. A listing has one more.
    pub max_connections: usize,
    /// `timeout`: how long a question may take altogether.
    pub timeout: Duration,
    /// `connect_timeout`: how much of it a new connection may take, with TLS and the login.
    pub connect_timeout: Duration,
}

/// How to find out who has changed.
#[derive(Debug, Clone)]
pub struct Changes {
    /// `changed_query` as it is written: its column `user` says who has changed, `changed` when. It asks for what is not
    /// before `:since`.
    pub written: Query,
    /// The same, the latest first, [`MOST_CHANGES`] rows and one more at most.
    pub query: Query,
    /// `changed_since`: what `:since` is before anything is known. Default: 1970, as the database writes it.
    pub since: String,
}

/// Changes of one poll that are told one by one.
pub const MOST_CHANGES: usize = 10_000;

/// Where a database is.
#[derive(Debug)]
pub enum Source {
    /// A file, which SQLite reads.
    File(PathBuf),
    /// A server.
    Server(Server),
}

/// How to reach a server.
#[derive(Debug)]
pub struct Server {
    /// Host and port, or a unix socket.
    pub address: Address,
    /// Whom to log in as.
    pub user: String,
    /// `password`, `password_file` or `password_credential`. `None`: the server asks for none.
    pub password: Option<Secret>,
    /// The database.
    pub database: String,
    /// Certificates are verified. `None`: without TLS.
    pub tls: Option<Tls>,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A name or an address without brackets, and a port.
    Tcp(String, u16),
    /// A socket. For PostgreSQL the directory that it is in, and the number in its name.
    Unix(PathBuf, u16),
}

/// Whom to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// `ca_file`. `None`: whom the system trusts.
    pub ca_file: Option<PathBuf>,
}

const USER: &[Parameter] =
    &[Parameter::User, Parameter::Local, Parameter::Domain, Parameter::Service, Parameter::Key];

const UPDATE: &[Parameter] = &[
    Parameter::User,
    Parameter::Local,
    Parameter::Domain,
    Parameter::Service,
    Parameter::Key,
    Parameter::Password,
    Parameter::OldPassword,
];

const PROVISION: &[Parameter] =
    &[Parameter::User, Parameter::Local, Parameter::Domain, Parameter::Key, Parameter::Claim(0)];

const CHANGES: &[Parameter] = &[Parameter::Since];

const LIST: &[Parameter] = &[Parameter::After, Parameter::Limit];

/// Reads what a server needs.
pub(super) fn server(reader: &mut Reader<'_>, dialect: Dialect, credentials: Option<&Path>) -> Option<Sql> {
    let url = reader.text("url", |text| Url::parse(text, dialect));
    let example = match dialect {
        Dialect::Postgres => "write such as url = \"postgres://gatepost@db.example.org/mail\"",
        Dialect::MySql | Dialect::Sqlite => "write such as url = \"mysql://gatepost@db.example.org/mail\"",
    };
    reader.need("url", example);
    let password = secret(reader, "password", credentials);
    let ca_file = reader.text("ca_file", path);
    let wanted = reader.one_of("tls", &[("required", true), ("off", false)], &[]);
    if let (true, Some(false)) = (reader.has("ca_file"), wanted) {
        let wrong = Wrong::new("is for TLS, which is off here", "take ca_file or tls = \"off\" away");
        reader.wrong("ca_file", wrong);
    }
    if let (Some(Url { address: Address::Unix(..), .. }), true) = (&url, reader.has("ca_file")) {
        let what = "is for TLS, and a unix socket needs none";
        reader.wrong("ca_file", Wrong::new(what, "take ca_file away, or name a host"));
    }
    let tls = url.as_ref().is_some_and(|url| match &url.address {
        Address::Unix(..) => false,
        // Who is not on this machine could be anybody, and everybody could listen.
        Address::Tcp(host, _) => wanted.unwrap_or(!is_loopback(host) || reader.has("ca_file")),
    });
    let queries = queries(reader, dialect);
    let url = url?;
    let server = Server {
        address: url.address,
        user: url.user,
        password,
        database: url.database,
        tls: tls.then_some(Tls { ca_file }),
    };
    Some(Sql { source: Source::Server(server), ..queries? })
}

/// Reads what a file needs besides its path.
pub(super) fn file(reader: &mut Reader<'_>, file: Option<PathBuf>) -> Option<Sql> {
    let queries = queries(reader, Dialect::Sqlite)?;
    Some(Sql { source: Source::File(file?), ..queries })
}

fn queries(reader: &mut Reader<'_>, dialect: Dialect) -> Option<Sql> {
    let user_query = reader.text("user_query", |text| asks_for_a_user(Query::parse(text, dialect, USER)?));
    if !reader.has("maps") {
        reader.need(
            "user_query",
            "write such as user_query = \"SELECT name AS user, password FROM people WHERE name = :user\"",
        );
    } else if !reader.has("user_query") {
        let why = "is about users, and without a user_query there are none here";
        let about =
            ["list_query", "app_password_query", "update_password_query", "provision_query", "changed_query"];
        reader.refuse(&about, why, "write a user_query, or take it away");
    }
    let list_query = reader.text("list_query", |text| pages(Query::parse(text, dialect, LIST)?));
    let app_password_query =
        reader.text("app_password_query", |text| asks_for_a_user(Query::parse(text, dialect, USER)?));
    let update_password_query =
        reader.text("update_password_query", |text| replaces(Query::parse(text, dialect, UPDATE)?));
    let what = "is for gatepost's own database, and these tables are somebody else's";
    reader.refuse(&["provision", "provision_fields"], what, "write a provision_query");
    let provision_query =
        reader.text("provision_query", |text| asks_for_a_user(Query::parse(text, dialect, PROVISION)?));
    let changes = changes(reader, dialect);
    let default_scheme = reader.text("default_scheme", scheme);
    // A server far away answers each connection's questions one after the other; Dovecot has 30 workers. A file does
    // not answer sooner for being read by many.
    let many = if dialect == Dialect::Sqlite { 8 } else { 32 };
    let max_connections = reader.number("max_connections", 1..=1000).unwrap_or(many);
    let times = Duration::from_millis(100)..=Duration::from_secs(60);
    let timeout = reader.duration("timeout", times.clone()).unwrap_or(Duration::from_secs(3));
    let connect_timeout =
        reader.duration("connect_timeout", times).unwrap_or(Duration::from_secs(2)).min(timeout);
    Some(Sql {
        dialect,
        source: Source::File(PathBuf::new()),
        user_query,
        list_query,
        app_password_query,
        update_password_query,
        provision_query,
        changes,
        default_scheme,
        max_connections,
        timeout,
        connect_timeout,
    })
}

/// Without one of them every user would get the same rows.
fn asks_for_a_user(query: Query) -> Result<Query, Wrong> {
    if [Parameter::User, Parameter::Local, Parameter::Key].iter().any(|name| query.names(*name)) {
        return Ok(query);
    }
    Err(Wrong::new("asks for nobody in particular", "write a condition such as WHERE username = :user"))
}

fn changes(reader: &mut Reader<'_>, dialect: Dialect) -> Option<Changes> {
    let query = reader.text("changed_query", |text| from_since(Query::parse(text, dialect, CHANGES)?));
    let since = reader.text("changed_since", since);
    if reader.has("changed_since") && !reader.has("changed_query") {
        let what = "is where changed_query starts, and there is none";
        reader.wrong("changed_since", Wrong::new(what, "write a changed_query, or take it away"));
    }
    let since = since.unwrap_or_else(|| {
        let first = match dialect {
            // The first that a TIMESTAMP of MySQL can be, wherever on earth.
            Dialect::MySql | Dialect::Postgres => "1970-01-02 00:00:00",
            // Before every number and every text of a time.
            Dialect::Sqlite => "0",
        };
        first.to_owned()
    });
    let written = query?;
    Some(Changes { query: newest(written.clone(), dialect), written, since })
}

fn from_since(query: Query) -> Result<Query, Wrong> {
    if query.names(Parameter::Since) {
        return Ok(query);
    }
    // It would give everybody each time.
    Err(Wrong::new("does not name :since", "write a condition such as WHERE modified >= :since"))
}

/// The database sorts, as it alone knows what is later; and it has a limit, however much has changed.
fn newest(query: Query, dialect: Dialect) -> Query {
    let user = match dialect {
        Dialect::MySql => "`user`",
        Dialect::Postgres | Dialect::Sqlite => "\"user\"",
    };
    let behind = format!(
        ") AS gatepost_changed WHERE changed IS NOT NULL ORDER BY changed DESC, {user} LIMIT {}",
        MOST_CHANGES + 1
    );
    query.between("SELECT * FROM (", &behind)
}

fn since(text: &str) -> Result<String, Wrong> {
    if !text.is_empty() && text.len() <= 64 && !text.contains(char::is_control) {
        return Ok(text.to_owned());
    }
    let remedy =
        "write a time before all others as the database would, such as \"1970-01-02 00:00:00\" or \"0\"";
    Err(Wrong::new(format!("{} is no time of a database", quoted(text)), remedy))
}

fn pages(query: Query) -> Result<Query, Wrong> {
    if query.names(Parameter::After) == query.names(Parameter::Limit) {
        return Ok(query);
    }
    let remedy = "write WHERE name > :after ORDER BY name LIMIT :limit, or neither for all at once";
    Err(Wrong::new("names only one of :after and :limit", remedy))
}

fn replaces(query: Query) -> Result<Query, Wrong> {
    let query = asks_for_a_user(query)?;
    if query.names(Parameter::Password) && query.names(Parameter::OldPassword) {
        return Ok(query);
    }
    // Who changed their password meanwhile would get the old one back.
    let remedy = "write SET password = :password WHERE name = :user AND password = :old_password";
    Err(Wrong::new("does not name both :password and :old_password", remedy))
}

fn is_loopback(host: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    address.map_or(host.eq_ignore_ascii_case("localhost"), |address| address.to_canonical().is_loopback())
}
