//! `mysql://user@host:port/database?socket=/path`.

use std::path::PathBuf;

use super::Address;
use crate::config::{
    problem::{Wrong, quoted},
    query::Dialect,
    reader::path,
};

/// What a URL says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) address: Address,
    pub(super) user: String,
    pub(super) database: String,
}

/// What PostgreSQL calls its sockets, before the port.
const POSTGRES_SOCKET: &str = ".s.PGSQL.";

impl Url {
    /// `scheme "://" user "@" host [":" port] "/" database ["?socket=" path]`, with `%XX` for other letters. With a
    /// socket the host is not needed.
    ///
    /// No message holds a part of it: who writes a password here anyhow is told so.
    pub(super) fn parse(text: &str, dialect: Dialect) -> Result<Self, Wrong> {
        let (schemes, port): (&[&str], u16) = match dialect {
            Dialect::Postgres => (&["postgres", "postgresql"], 5432),
            Dialect::MySql | Dialect::Sqlite => (&["mysql", "mariadb"], 3306),
        };
        let scheme = schemes.first().copied().unwrap_or_default();
        let wrong = |what: &str| Wrong::new(what, format!("write {scheme}://USER@HOST/DATABASE"));
        let (given, rest) = text.split_once("://").ok_or_else(|| wrong("is no URL"))?;
        if !schemes.contains(&given) {
            return Err(wrong("has the scheme of something else"));
        }
        let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, host) =
            authority.rsplit_once('@').ok_or_else(|| wrong("does not say whom to log in as"))?;
        if user.contains(':') {
            let remedy =
                "take it away, and write password_file = \"PATH\" with the path of a file that holds it";
            return Err(Wrong::new("holds a password", remedy));
        }
        let (user, database) = (decoded(user)?, decoded(database)?);
        if user.is_empty() {
            return Err(wrong("does not say whom to log in as"));
        }
        if database.is_empty() {
            return Err(wrong("does not name a database"));
        }
        let (host, port) = host_and_port(host, port)?;
        let mut address = Address::Tcp(host, port);
        for option in options.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            match name {
                "socket" => address = socket(path(&decoded(value)?)?, dialect, port),
                // What libpq calls it.
                "host" if dialect == Dialect::Postgres => {
                    address = socket(path(&decoded(value)?)?, dialect, port);
                }
                _ => {
                    let what = format!("has the option {}, which is not known here", quoted(name));
                    return Err(Wrong::new(what, "known here: socket; the rest are keys of this table"));
                }
            }
        }
        if matches!(&address, Address::Tcp(host, _) if host.is_empty()) {
            return Err(Wrong::new("names no host", "write one, or ?socket=PATH behind the database"));
        }
        Ok(Self { address, user, database })
    }
}

fn host_and_port(text: &str, default: u16) -> Result<(String, u16), Wrong> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(rest) => {
            rest.split_once(']').ok_or_else(|| Wrong::new("has a [ without ]", "write [::1]:PORT"))?
        }
        None => text.find(':').and_then(|at| text.split_at_checked(at)).unwrap_or((text, "")),
    };
    let port = match rest.strip_prefix(':') {
        None if rest.is_empty() => default,
        None => return Err(Wrong::new("has something behind the host", "write HOST:PORT")),
        Some(port) => {
            let port = port.parse::<u16>().ok().filter(|port| *port > 0);
            port.ok_or_else(|| Wrong::new("has no number for a port", "write HOST:PORT, from 1 to 65535"))?
        }
    };
    Ok((decoded(host)?, port))
}

/// PostgreSQL's programs name the directory, and people the socket itself.
fn socket(path: PathBuf, dialect: Dialect, port: u16) -> Address {
    let name =
        path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix(POSTGRES_SOCKET));
    match (dialect, name.and_then(|number| number.parse().ok()), path.parent()) {
        (Dialect::Postgres, Some(port), Some(parent)) => Address::Unix(parent.to_owned(), port),
        (Dialect::Postgres | Dialect::MySql | Dialect::Sqlite, _, _) => Address::Unix(path, port),
    }
}

fn decoded(text: &str) -> Result<String, Wrong> {
    let wrong =
        || Wrong::new("has a % that is none", "write %25 for a percent sign, and %XX for other letters");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
            let (high, low) = (digit(rest.next()).ok_or_else(wrong)?, digit(rest.next()).ok_or_else(wrong)?);
            bytes.push(u8::try_from(high * 16 + low).map_err(|_| wrong())?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0')).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::{Address, Url};
    use crate::config::query::Dialect::{self, MySql, Postgres};

    #[test]
    fn a_url_names_user_place_and_database() {
        let tcp = |host: &str, port| Address::Tcp(host.to_owned(), port);
        let unix = |path: &str, port| Address::Unix(path.into(), port);
        let table: &[(Dialect, &str, Address)] = &[
            (MySql, "mysql://gp@db.example.org/mail", tcp("db.example.org", 3306)),
            (MySql, "mariadb://gp@192.0.2.1:3307/mail", tcp("192.0.2.1", 3307)),
            (MySql, "mysql://gp@[2001:db8::1]:3307/mail", tcp("2001:db8::1", 3307)),
            (MySql, "mysql://gp@/mail?socket=/run/mysqld/mysqld.sock", unix("/run/mysqld/mysqld.sock", 3306)),
            (MySql, "mysql://gp@localhost/mail?socket=/a%20b", unix("/a b", 3306)),
            (Postgres, "postgres://gp@db/mail", tcp("db", 5432)),
            (Postgres, "postgresql://gp@[::1]/mail", tcp("::1", 5432)),
            (Postgres, "postgres://gp@/mail?socket=/run/postgresql", unix("/run/postgresql", 5432)),
            (Postgres, "postgres://gp@/mail?host=/run/postgresql", unix("/run/postgresql", 5432)),
            (
                Postgres,
                "postgres://gp@/mail?socket=/run/postgresql/.s.PGSQL.5433",
                unix("/run/postgresql", 5433),
            ),
        ];
        for (dialect, text, address) in table {
            let url = Url::parse(text, *dialect).unwrap_or_else(|wrong| panic!("{text}: {}", wrong.what));
            let expected = Url { address: address.clone(), user: "gp".into(), database: "mail".into() };
            assert_eq!(url, expected, "{text}");
        }
        let url = Url::parse("mysql://g%40p@db/m%2Fail", MySql).unwrap();
        assert_eq!((url.user.as_str(), url.database.as_str()), ("g@p", "m/ail"));
    }

    #[test]
    fn a_wrong_url_is_told_without_a_part_of_it() {
        let table = [
            ("db.example.org", "no URL"),
            ("postgres://gp@db/mail", "scheme"),
            ("mysql://db/mail", "whom to log in as"),
            ("mysql://@db/mail", "whom to log in as"),
            ("mysql://gp:hunter2@db/mail", "holds a password"),
            ("mysql://gp@db", "a database"),
            ("mysql://gp@db/", "a database"),
            ("mysql://gp@/mail", "no host"),
            ("mysql://gp@db:0/mail", "port"),
            ("mysql://gp@db:hunter2/mail", "port"),
            ("mysql://gp@[::1/mail", "[ without ]"),
            ("mysql://gp@[::1]x/mail", "behind the host"),
            ("mysql://gp@db/mail?socket=run/sock", "absolute"),
            ("mysql://gp@db/mail?ssl-mode=required", "the option"),
            ("mysql://gp@db/ma%2", "%"),
            ("mysql://gp@db/ma%00", "%"),
        ];
        for (text, what) in table {
            let wrong = Url::parse(text, MySql).unwrap_err();
            assert!(wrong.what.contains(what), "{text}: {}", wrong.what);
            assert!(!wrong.what.contains("hunter2") && !wrong.remedy.contains("hunter2"), "{text}");
        }
    }
}
