//! `type = "ldap"`: users are entries of a directory server.

use std::{fmt, net::IpAddr, path::PathBuf, time::Duration};

use gatepost_protocol::secret::Secret;

use crate::config::{
    problem::{Wrong, quoted},
    reader::Reader,
    secret::secret,
    surroundings::Surroundings,
    template::Template,
};

pub(super) mod name;
pub(super) mod pattern;

/// What belongs to a directory of this type alone.
#[derive(Debug)]
pub struct Ldap {
    /// `urls`: the servers, in the order in which they are preferred. Never empty.
    pub urls: Vec<Url>,
    /// `starttls`: whether TLS is asked for on a plain connection. Default: no.
    pub starttls: bool,
    /// `ca_file`: who must have signed the servers' certificates, in PEM. Absolute. Default: whom the system trusts.
    pub ca_file: Option<PathBuf>,
    /// `bind_dn` and `bind_password`: the service account that searches. `None`: searches are anonymous.
    pub account: Option<(String, Secret)>,
    /// `base_dn`: where users are looked for. Empty with `user_dn` only.
    pub base_dn: String,
    /// `scope`: how far below it. Default: `sub`.
    pub scope: Scope,
    /// `user_filter` or `user_dn`: how the entry of a user is found.
    pub find: Find,
    /// `password`: the attribute with the stored password. `None`, written `bind`: the server checks it. Default.
    pub password: Option<String>,
    /// `default_scheme`: for a stored password without `{SCHEME}`, in capitals.
    pub default_scheme: Option<String>,
    /// `require_group`: the DN of the group that users must be in, as the entry's `memberOf` has it.
    pub require_group: Option<String>,
    /// `nested_groups`: whether groups in that group count; Active Directory alone can tell. Default: no.
    pub nested_groups: bool,
    /// `list_filter`: which entries are users, for listings.
    pub list_filter: Option<String>,
    /// `connect_timeout`: from a name to a connection that can be used. Shorter than `timeout`. Default: 2 s, or half of
    /// that.
    pub connect_timeout: Duration,
    /// `timeout`: for the answer to one question, connecting included. Default: 5 s.
    pub timeout: Duration,
    /// `search_connections`: shared by all searches. Default: 2.
    pub search_connections: usize,
    /// `bind_connections`: how many passwords are checked at once. Default: 16.
    pub bind_connections: usize,
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Url {
    /// `ldaps://host:636`: TLS from the first byte.
    Tls {
        /// A name or an address, without brackets. The certificate must be for it.
        host: String,
        /// Default: 636.
        port: u16,
    },
    /// `ldap://host:389`
    Plain {
        /// A name or an address, without brackets. With StartTLS, the certificate must be for it.
        host: String,
        /// Default: 389.
        port: u16,
    },
    /// `ldapi://%2Frun%2Fldapi`: a Unix socket.
    Unix {
        /// Absolute.
        path: PathBuf,
    },
}

/// How the entry of a user is found. The templates have holes for `user`, `local` and `domain` only, and only where
/// a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Find {
    /// By a search (RFC 4515).
    Filter(Template),
    /// By its name (RFC 4514).
    Dn(Template),
}

/// How far below `base_dn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// `sub`: everything.
    Subtree,
    /// `one`: the next level.
    OneLevel,
    /// `base`: the entry itself.
    Base,
}

pub(super) const SCOPES: &[(&str, Scope)] =
    &[("sub", Scope::Subtree), ("one", Scope::OneLevel), ("base", Scope::Base)];

/// What is told of secrets that would travel for all to read.
const CLEAR: &str = "write ldaps://, or starttls = true; or allow_cleartext = true, if nobody can listen on the way to the server";

/// Reads what belongs to it. `fields` are the directory's.
pub(super) fn ldap(
    reader: &mut Reader<'_>,
    fields: &[(String, Template)],
    scheme: fn(&str) -> Result<String, Wrong>,
    around: &Surroundings,
) -> Option<Ldap> {
    let urls = reader.list("urls", url);
    reader.need(
        "urls",
        "write the servers, the preferred one first, as in urls = [\"ldaps://ldap.example.org\"]",
    );
    if reader.is_empty_list("urls") {
        reader.wrong("urls", Wrong::new("is empty", "write at least one server"));
    }
    let starttls = reader.boolean("starttls").unwrap_or(false);
    let clear = reader.boolean("allow_cleartext").unwrap_or(false);
    for (url, spot) in urls.iter().flatten() {
        let wrong = match url {
            Url::Plain { host, .. } if !starttls && !clear && !is_loopback(host) => {
                Wrong::new("would send passwords for everybody on the way to read", CLEAR)
            }
            Url::Tls { .. } | Url::Unix { .. } if starttls => {
                Wrong::new("cannot have StartTLS", "write ldap://, or take starttls away")
            }
            Url::Plain { .. } | Url::Tls { .. } | Url::Unix { .. } => continue,
        };
        reader.found().at(spot, reader.path_of("urls"), wrong);
    }
    let ca_file = reader.path("ca_file");

    let bind_dn = reader.text("bind_dn", not_empty);
    let bind_password = secret(reader, "bind_password", around.credentials_dir.as_deref());
    let has_password =
        ["bind_password", "bind_password_file", "bind_password_credential"].iter().any(|key| reader.has(key));
    if reader.has("bind_dn") && !has_password {
        let remedy = "write bind_password_file or bind_password_credential, or take bind_dn away";
        reader.wrong("bind_dn", Wrong::new("has no password, and would be nobody in particular", remedy));
    }
    if has_password && !reader.has("bind_dn") {
        reader.wrong("bind_password", Wrong::new("is nobody's", "write whose it is: bind_dn"));
    }

    let base_dn = reader.text("base_dn", |text| name::dn(text).map(|()| text.to_owned()));
    let scope = reader.one_of("scope", SCOPES, &[]).unwrap_or(Scope::Subtree);
    let filter = reader.text("user_filter", pattern::filter);
    let dn = reader.text("user_dn", name::template);
    let find = match (reader.has("user_filter"), reader.has("user_dn")) {
        (true, true) => {
            let remedy = "keep one of the two";
            reader.wrong("user_dn", Wrong::new("is a second way to a user, besides user_filter", remedy));
            None
        }
        (false, false) => {
            reader.need("user_filter", "write how a user is found, as in user_filter = \"(mail={user})\"");
            None
        }
        (true, false) | (false, true) => filter.map(Find::Filter).or_else(|| dn.map(Find::Dn)),
    };
    let list_filter = reader.text("list_filter", pattern::plain);
    if reader.has("user_filter") || reader.has("list_filter") {
        reader.need(
            "base_dn",
            "write where users are looked for, as in base_dn = \"ou=people,dc=example,dc=org\"",
        );
    }
    if reader.has("list_filter") && !names_an_entry(fields) {
        let what = "finds entries, and nothing says which name they log in with";
        reader.wrong(
            "list_filter",
            Wrong::new(what, "write it below [directory.fields], as in user = \"{mail}\""),
        );
    }

    let password = reader.text("password", attribute);
    let default_scheme = reader.text("default_scheme", scheme);
    if reader.has("default_scheme") && password.as_ref().is_none_or(Option::is_none) {
        let remedy = "write which attribute holds passwords, password = \"userPassword\", or take it away";
        reader.wrong("default_scheme", Wrong::new("is for passwords that are read, and none is", remedy));
    }
    if let Some(Some(password)) = &password {
        let told = |(_, template): &&(String, Template)| {
            template.names().any(|name| name.eq_ignore_ascii_case(password))
        };
        if let Some((field, _)) = fields.iter().find(told) {
            let what = format!("would be handed to the peer by the field {field}");
            reader.wrong("password", Wrong::new(what, "take it out there: gatepost checks passwords itself"));
        }
    }
    let require_group = reader.text("require_group", |text| name::dn(text).map(|()| text.to_owned()));
    let nested_groups = reader.boolean("nested_groups").unwrap_or(false);
    if nested_groups && !reader.has("require_group") {
        let remedy = "write the group's DN, require_group, or take it away";
        reader
            .wrong("nested_groups", Wrong::new("is about the members of a group, and there is none", remedy));
    }

    let second = Duration::from_secs(1);
    let timeout = reader.duration("timeout", second / 10..=60 * second).unwrap_or(5 * second);
    let connect_timeout = reader.duration("connect_timeout", second / 20..=60 * second);
    let connect_timeout = connect_timeout.unwrap_or_else(|| (timeout / 2).min(2 * second));
    if connect_timeout >= timeout {
        // Another server would never have its turn.
        let what = "leaves no time for an answer within timeout";
        reader.wrong("connect_timeout", Wrong::new(what, "make it shorter than timeout, or timeout longer"));
    }
    let search_connections = reader.number("search_connections", 1..=64).unwrap_or(2);
    let bind_connections = reader.number("bind_connections", 1..=1024).unwrap_or(16);
    Some(Ldap {
        urls: urls?.into_iter().map(|(url, _)| url).collect(),
        starttls,
        ca_file,
        account: bind_dn.zip(bind_password),
        base_dn: base_dn.unwrap_or_default(),
        scope,
        find: find?,
        password: password.flatten(),
        default_scheme,
        require_group,
        nested_groups,
        list_filter,
        connect_timeout,
        timeout,
        search_connections,
        bind_connections,
    })
}

/// Whether the login name of an entry can be told without knowing it: `user = "{mail}"`.
fn names_an_entry(fields: &[(String, Template)]) -> bool {
    let of_the_login = |name: &str| matches!(name, "user" | "local" | "domain");
    let mut users = fields.iter().filter(|(field, _)| field == "user");
    users.any(|(_, template)| template.names().next().is_some() && !template.names().any(of_the_login))
}

/// `scheme://host[:port]`, with an address of IPv6 in brackets, or `ldapi://` and an encoded path.
fn url(text: &str) -> Result<Url, Wrong> {
    let remedy = "write such as \"ldaps://ldap.example.org\", \"ldap://[2001:db8::1]:389\" or \"ldapi://%2Frun%2Fldapi\"";
    let wrong = || Wrong::new("is no address of an LDAP server", remedy);
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if scheme.eq_ignore_ascii_case("ldapi") {
        let path = decoded(rest).filter(|path| path.starts_with('/') && !path.contains('\0'));
        return Ok(Url::Unix { path: path.ok_or_else(wrong)?.into() });
    }
    if rest.contains(['/', '?', '@', '#']) {
        let what = "says more than where the server is";
        return Err(Wrong::new(
            what,
            "write the scheme, the host and the port alone; the rest has keys of its own",
        ));
    }
    let (host, port) = match rest.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
            if !matches!(host.parse(), Ok(IpAddr::V6(_))) {
                return Err(wrong());
            }
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or_else(wrong)?) })
        }
        None => match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        },
    };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if host.is_empty() || !(host.contains(':') || host.bytes().all(fits)) {
        return Err(wrong());
    }
    let port = |default: u16| match port {
        None => Ok(default),
        Some(port) => port.parse().ok().filter(|&port| port > 0).ok_or_else(wrong),
    };
    let host = host.to_owned();
    match scheme {
        _ if scheme.eq_ignore_ascii_case("ldaps") => Ok(Url::Tls { port: port(636)?, host }),
        _ if scheme.eq_ignore_ascii_case("ldap") => Ok(Url::Plain { port: port(389)?, host }),
        _ => Err(wrong()),
    }
}

/// `%2F` and its like.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut path = Vec::new();
    while let Some(byte) = bytes.next() {
        path.push(match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(path).ok()
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn not_empty(text: &str) -> Result<String, Wrong> {
    if text.is_empty() || text.contains('\0') {
        return Err(Wrong::new("is nobody", "write the DN of the service account"));
    }
    Ok(text.to_owned())
}

/// `bind`, or the name of an attribute.
fn attribute(text: &str) -> Result<Option<String>, Wrong> {
    if text == "bind" {
        return Ok(None);
    }
    if is_description(text) {
        return Ok(Some(text.to_owned()));
    }
    // What is in it may be a password.
    let what = "is neither \"bind\" nor the name of an attribute";
    Err(Wrong::new(
        what,
        "write password = \"bind\", or the attribute that holds it, such as \"userPassword\"",
    ))
}

/// The name of an attribute.
pub(super) fn described(text: &str) -> Result<String, Wrong> {
    if is_description(text) {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(format!("{} is no attribute", quoted(text)), "write its name, such as \"mail\""))
}

/// `attributedescription` of RFC 4512 2.5.
fn is_description(text: &str) -> bool {
    let mut bytes = text.bytes();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b';' | b'.');
    text.len() <= 64 && bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic()) && bytes.all(fits)
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port) = match self {
            Self::Tls { host, port } => ("ldaps", host, port),
            Self::Plain { host, port } => ("ldap", host, port),
            Self::Unix { path } => return write!(f, "ldapi://{}", path.display()),
        };
        if host.contains(':') {
            write!(f, "{scheme}://[{host}]:{port}")
        } else {
            write!(f, "{scheme}://{host}:{port}")
        }
    }
}

/// What a template of a user may name.
fn holes(template: &Template) -> Result<(), Wrong> {
    if let Some(name) = template.names().find(|name| !matches!(*name, "user" | "local" | "domain")) {
        let what = format!("asks for {}, which is not known before the entry is found", quoted(name));
        return Err(Wrong::new(what, "write {user}, {local} and {domain} only"));
    }
    if !template.names().any(|name| matches!(name, "user" | "local")) {
        let what = "finds the same for everybody, so that anybody could log in as that";
        return Err(Wrong::new(what, "write {user} or {local} where the name belongs"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
