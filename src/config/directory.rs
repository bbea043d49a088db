//! `[[directory]]`: who knows the users.

use std::{path::PathBuf, sync::Arc, time::Duration};

use gatepost_protocol::secret::Secret;

pub use self::maps::{MapFind, MapSearch, MapTable, OwnMap};
use super::{
    domain::DomainPattern,
    maps::Maps,
    master::{Master, master},
    problem::{Place, Wrong, quoted},
    query::Dialect,
    reader::Reader,
    secret::secret,
    server::Server,
    surroundings::Surroundings,
    template::Template,
    tree::Spot,
};
use crate::password::NewHash;

pub mod ldap;
mod maps;
mod provision;
pub mod sql;

/// One `[[directory]]`.
#[derive(Debug)]
pub struct Directory {
    /// `name`: for logs and commands, 1 to 64 letters, digits, `-`, `_` and `.`. No two directories have the
    /// same.
    pub name: Arc<str>,
    /// `domains`: which users it is asked about, each once. Empty: all, bare names too.
    pub domains: Vec<DomainPattern>,
    /// `[directory.fields]`: what the peer gets besides, in the order of the file. Names without `=`, TAB and
    /// LF.
    pub fields: Vec<(String, Template)>,
    /// `primary_password_services`: where the main password may be used. `None`: everywhere; empty: nowhere.
    pub primary_password_services: Option<Vec<String>>,
    /// `type`, with what belongs to it alone.
    pub kind: Kind,
    /// `master`, `targets`: it knows master users, who log in as others with their own password, and nobody else.
    /// `None`: it knows ordinary users.
    pub master: Option<Master>,
    /// `rehash`: what stored passwords are replaced by when somebody logs in with one that is weaker. `None`: they stay.
    pub rehash: Option<NewHash>,
    /// `change_poll`: how often it is asked who has changed, 100ms to 1h. `None`, written `0s`: never; always where it
    /// cannot tell, and with a `cache.ttl` of 0s.
    pub change_poll: Option<Duration>,
    /// `[directory.maps]`: tables that Postfix looks things up in, in the order of the file.
    pub maps: Vec<MapTable>,
    /// Where it was configured; `None` for the embedded default.
    pub place: Option<Place>,
}

/// What kind of directory it is.
#[derive(Debug)]
pub enum Kind {
    /// `sqlite`: the embedded schema, which `gatepost user` manages.
    Sqlite {
        /// `file`: the database. Absolute. Default: `users.db` in the state directory.
        file: PathBuf,
        /// `provision`, `[directory.provision_fields]`: what users are made of whom a provider vouches for and no directory
        /// knows, in the order of the file. Never a `password`. `None`: nobody is made.
        provision: Option<Vec<(String, Template)>>,
    },
    /// `mysql`, `postgres`, and `sqlite` with a `user_query`: tables of somebody else.
    Sql(Box<sql::Sql>),
    /// `ldap`: the entries of a directory server.
    Ldap(Box<ldap::Ldap>),
    /// `passwd-file`: Dovecot's format, one user a line.
    PasswdFile {
        /// `file`: absolute.
        file: PathBuf,
        /// `default_scheme`: for a password without `{SCHEME}`, in capitals. `None`: the crypt(3) ones, told
        /// by `$`.
        default_scheme: Option<String>,
    },
    /// `static`: one answer for everybody.
    Static {
        /// `password`, `password_file` or `password_credential`: as stored, with its `{SCHEME}`. `None`:
        /// nobody can log in by password here, but users can be looked up.
        password: Option<Secret>,
        /// `users`: who exists. `None`: everybody in `domains`.
        users: Option<Vec<String>>,
    },
}

impl Directory {
    /// Whether it is asked about users of `domain` (`None`: bare names), which must be normalised.
    pub fn serves(&self, domain: Option<&str>) -> bool {
        let covers = |domain| self.domains.iter().any(|pattern| pattern.matches(domain));
        self.domains.is_empty() || domain.is_some_and(covers)
    }
}

impl Kind {
    /// Whether a stored password can be replaced.
    fn is_written(&self) -> bool {
        match self {
            Self::Sqlite { .. } => true,
            Self::Sql(sql) => sql.update_password_query.is_some(),
            Self::Ldap(_) | Self::PasswdFile { .. } | Self::Static { .. } => false,
        }
    }
}

#[derive(Clone, Copy)]
enum Type {
    Sqlite,
    Server(Dialect),
    Ldap,
    PasswdFile,
    Static,
}

const TYPES: &[(&str, Type)] = &[
    ("sqlite", Type::Sqlite),
    ("mysql", Type::Server(Dialect::MySql)),
    ("postgres", Type::Server(Dialect::Postgres)),
    ("ldap", Type::Ldap),
    ("passwd-file", Type::PasswdFile),
    ("static", Type::Static),
];

/// Reads all `[[directory]]`. `vouched`: whether anybody vouches for users who have to be in one of them.
pub(super) fn directories(
    readers: Vec<Reader<'_>>,
    server: &Server,
    around: &Surroundings,
    maps: &Maps,
    vouched: bool,
) -> Vec<Directory> {
    let mut names: Vec<(Arc<str>, Option<&Spot>)> = Vec::new();
    let mut directories = Vec::with_capacity(readers.len());
    for mut reader in readers {
        let name = reader.text("name", name);
        reader.need("name", "write a short one for logs and commands, as in name = \"local\"");
        if let Some(name) = &name {
            match names.iter().find(|(other, _)| other == name) {
                Some((_, first)) => {
                    let first = first.map_or_else(String::new, |spot| format!(" at {}", spot.place()));
                    let what = format!("{} is taken already{first}", quoted(name));
                    reader.wrong("name", Wrong::new(what, "give each directory a name of its own"));
                }
                None => names.push((Arc::clone(name), reader.spot_of("name"))),
            }
        }
        directories.extend(directory(reader, name, server, around, maps, vouched));
    }
    directories
}

/// What there is without any file.
pub(super) fn embedded(server: &Server) -> Directory {
    Directory {
        name: Arc::from("local"),
        domains: Vec::new(),
        fields: Vec::new(),
        primary_password_services: None,
        kind: Kind::Sqlite { file: server.state_dir.join(USERS_DB), provision: None },
        master: None,
        rehash: None,
        change_poll: Some(OWN_POLL),
        maps: Vec::new(),
        place: None,
    }
}

/// How often a server is asked who has changed, unless the operator says otherwise.
const POLL: Duration = Duration::from_secs(10);

/// The same for a file of gatepost's own, where it costs nothing to speak of.
const OWN_POLL: Duration = Duration::from_secs(1);

/// The embedded database in the state directory.
const USERS_DB: &str = "users.db";

fn directory(
    mut reader: Reader<'_>,
    name: Option<Arc<str>>,
    server: &Server,
    around: &Surroundings,
    maps: &Maps,
    vouched: bool,
) -> Option<Directory> {
    let kind = reader.one_of("type", TYPES, &[]);
    reader.need("type", "write what it is, as in type = \"sqlite\"");
    let domains = domains(&mut reader);
    let fields = reader.table("fields").free(field_name, |text| field(text, kind));
    let primary_password_services = reader.list("primary_password_services", service);
    let primary_password_services =
        primary_password_services.map(|services| services.into_iter().map(|(service, _)| service).collect());
    let master = master(&mut reader);
    let place = reader.spot().map(Spot::place);
    let has_own = !reader.has("user_query");
    let maps = maps::tables(&mut reader, kind, has_own, maps);
    // Without a type nobody knows which keys belong here.
    let kind = match kind? {
        Type::Sqlite => {
            let file = reader.path("file");
            if reader.has("user_query") {
                reader.need("file", "write the path of the database that user_query is for");
                sql::file(&mut reader, file).map(|sql| Kind::Sql(Box::new(sql)))
            } else {
                let file = file.unwrap_or_else(|| server.state_dir.join(USERS_DB));
                Some(Kind::Sqlite { file, provision: provision::provision(&mut reader) })
            }
        }
        Type::Server(dialect) => {
            let sql = sql::server(&mut reader, dialect, around.credentials_dir.as_deref());
            sql.map(|sql| Kind::Sql(Box::new(sql)))
        }
        Type::Ldap => {
            let ldap = ldap::ldap(&mut reader, &fields, scheme, around);
            ldap.map(|ldap| Kind::Ldap(Box::new(ldap)))
        }
        Type::PasswdFile => {
            let file = reader.path("file");
            reader.need("file", "write the path of the passwd-file, as in file = \"/etc/gatepost/users\"");
            let default_scheme = reader.text("default_scheme", scheme);
            file.map(|file| Kind::PasswdFile { file, default_scheme })
        }
        Type::Static => {
            let password = secret(&mut reader, "password", around.credentials_dir.as_deref());
            let users = reader.list("users", user);
            let users = users.map(|users| users.into_iter().map(|(user, _)| user).collect());
            Some(Kind::Static { password, users })
        }
    };
    if let Some(kind) = &kind {
        provision::judge(&reader, kind, master.is_some(), vouched);
    }
    let rehash = reader.one_of("rehash", &NewHash::NAMES, &[]);
    if rehash.is_some() && !kind.as_ref().is_none_or(Kind::is_written) {
        let what = "needs a directory that gatepost can write to";
        let remedy = "leave it out here, or give a directory of tables its update_password_query";
        reader.wrong("rehash", Wrong::new(what, remedy));
    }
    let change_poll = change_poll(&mut reader, kind.as_ref());
    reader.finish();
    let (name, kind) = (name?, kind?);
    Some(Directory {
        name,
        domains,
        fields,
        primary_password_services,
        kind,
        master,
        rehash,
        change_poll,
        maps,
        place,
    })
}

/// How often to ask who has changed, where somebody can say.
fn change_poll(reader: &mut Reader<'_>, kind: Option<&Kind>) -> Option<Duration> {
    /// More often it would only be a load.
    const LEAST: Duration = Duration::from_millis(100);
    let usual = match kind {
        Some(Kind::Sqlite { .. }) => OWN_POLL,
        Some(Kind::Ldap(_)) => POLL,
        Some(Kind::Sql(sql)) => {
            // A query that is wrong has been told of already.
            if sql.changes.is_none() && !reader.has("changed_query") {
                let why = "needs a query that says who has changed";
                reader.refuse(&["change_poll"], why, "write a changed_query, or take it away");
                return None;
            }
            POLL
        }
        Some(Kind::PasswdFile { .. }) => {
            let why = "is for what is asked, and this file is looked at each second anyway";
            reader.refuse(&["change_poll"], why, "take it away");
            return None;
        }
        Some(Kind::Static { .. }) => {
            reader.refuse(&["change_poll"], "is for what can change", "take it away");
            return None;
        }
        None => {
            reader.know(&["change_poll"]);
            return None;
        }
    };
    let poll = reader.duration_or_zero("change_poll", LEAST..=Duration::from_secs(3600)).unwrap_or(usual);
    (!poll.is_zero()).then_some(poll)
}

fn domains(reader: &mut Reader<'_>) -> Vec<DomainPattern> {
    let listed = reader.list("domains", DomainPattern::parse).unwrap_or_default();
    if reader.is_empty_list("domains") {
        let what = "is empty, so that this directory would never be asked";
        reader.wrong("domains", Wrong::new(what, "name the domains, or leave the key out for all of them"));
    }
    let mut domains: Vec<DomainPattern> = Vec::with_capacity(listed.len());
    for (domain, spot) in listed {
        if domains.contains(&domain) {
            let wrong = Wrong::new(format!("{domain} is listed twice"), "keep one of the two");
            reader.found().at(spot, reader.path_of("domains"), wrong);
        } else {
            domains.push(domain);
        }
    }
    domains
}

fn name(text: &str) -> Result<Arc<str>, Wrong> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
        return Ok(Arc::from(text));
    }
    let remedy = "write 1 to 64 letters, digits, - _ and .";
    Err(Wrong::new(format!("{} is no name for a directory", quoted(text)), remedy))
}

/// The name of a password scheme. Whether there is such a scheme, the passwords know.
fn scheme(text: &str) -> Result<String, Wrong> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if !text.is_empty() && text.bytes().all(fits) {
        return Ok(text.to_ascii_uppercase());
    }
    let remedy = "write the name without braces, as in \"SHA512-CRYPT\"";
    Err(Wrong::new(format!("{} is no name of a password scheme", quoted(text)), remedy))
}

pub(super) fn user(text: &str) -> Result<String, Wrong> {
    if (1..=255).contains(&text.len()) && !text.chars().any(|letter| letter.is_control() || letter == ' ') {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(format!("{} is no login name", quoted(text)), "write such as \"anna@example.org\""))
}

/// The name of a service. It may be one that only a login server of the operator's own uses.
fn service(text: &str) -> Result<String, Wrong> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
        return Ok(text.to_ascii_lowercase());
    }
    let remedy = "write one name each, such as \"imap\", \"pop3\", \"smtp\" or \"sieve\"";
    Err(Wrong::new(format!("{} is no name of a service", quoted(text)), remedy))
}

/// On the wire a field is `name=value` between TABs.
pub(super) fn field_name(name: &str) -> Result<(), Wrong> {
    let fits = |letter: char| !letter.is_control() && !letter.is_whitespace() && letter != '=';
    if (1..=64).contains(&name.len()) && name.chars().all(fits) {
        return Ok(());
    }
    Err(Wrong::new("is no name for a field", "write 1 to 64 letters, digits and signs without blanks and ="))
}

fn field(text: &str, kind: Option<Type>) -> Result<Template, Wrong> {
    let template = Template::parse(text)?;
    if template.names().any(|column| column.eq_ignore_ascii_case("password")) {
        let what = "would hand the stored password to the peer";
        return Err(Wrong::new(what, "leave {password} out: gatepost checks passwords itself"));
    }
    let of_the_name = |name: &str| matches!(name, "user" | "local" | "domain");
    if matches!(kind, Some(Type::Static)) && !template.names().all(of_the_name) {
        let what = "needs a column, and a static directory has none";
        return Err(Wrong::new(what, "write {user}, {local}, {domain} and plain text only"));
    }
    Ok(template)
}
