//! `[directory.maps]`: tables of a directory that Postfix looks things up in.
//!
//! The keys of a table are those of Postfix's own table files (`mysql_table(5)`, `pgsql_table(5)`, `ldap_table(5)`), so that
//! one can be taken over line by line. What says where the server is has no place here: the directory says it.

use std::sync::Arc;

use super::{Type, ldap};
use crate::config::{
    domain::DomainPattern,
    expansion::Expansion,
    maps::{Maps, is_name},
    problem::{Place, Wrong, quoted},
    query::{Dialect, Parameter, Query},
    reader::{Item, Reader},
    tree::Spot,
};

/// One table: `aliases = "SELECT ..."`, or `[directory.maps.aliases]` with its keys.
#[derive(Debug, Clone)]
pub struct MapTable {
    /// Which map it belongs to. Several of one name are asked in turn.
    pub map: Arc<str>,
    /// `query` or `query_filter`: what is asked.
    pub find: MapFind,
    /// `result_format`: what each value becomes. `None`, written `%s`: it stays as it is.
    pub result_format: Option<Expansion>,
    /// `expansion_limit`: more values than these are a temporary error. `None`, written 0: any number.
    pub expansion_limit: Option<usize>,
    /// `domain`: it is asked for addresses of these only. Empty: for everything.
    pub domain: Vec<DomainPattern>,
    /// Where it was configured.
    pub place: Option<Place>,
}

/// What a table asks.
#[derive(Debug, Clone)]
pub enum MapFind {
    /// `query`: the values of all columns of all rows.
    Sql(Query),
    /// `query_filter`: the values of attributes of all entries.
    Ldap(Box<MapSearch>),
    /// What gatepost's own database has without being told.
    Own(OwnMap),
}

/// A table of gatepost's own database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnMap {
    /// `aliases`: where the mail of an address goes on to.
    Aliases,
    /// `alias_domains`: the domain that one is another name of.
    AliasDomains,
    /// `domains`: those in which there is anybody.
    Domains,
}

impl OwnMap {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Aliases, Self::AliasDomains, Self::Domains];

    /// The map that it belongs to.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aliases => "aliases",
            Self::AliasDomains => "alias_domains",
            Self::Domains => "domains",
        }
    }

    /// As a table like any other.
    pub fn table(self) -> MapTable {
        MapTable {
            map: Arc::from(self.name()),
            find: MapFind::Own(self),
            result_format: None,
            expansion_limit: None,
            domain: Vec::new(),
            place: None,
        }
    }
}

/// A search for entries.
#[derive(Debug, Clone)]
pub struct MapSearch {
    /// `query_filter` (RFC 4515).
    pub filter: Expansion,
    /// `search_base`. `None`: that of the directory.
    pub base: Option<Expansion>,
    /// `scope`. Default: `sub`.
    pub scope: ldap::Scope,
    /// `result_attribute`. Default: `maildrop`.
    pub attributes: Vec<String>,
    /// `leaf_result_attribute`: the same, of entries without any of `special`.
    pub leaf: Vec<String>,
    /// `terminal_result_attribute`: where an entry has one of them, nothing else of it counts.
    pub terminal: Vec<String>,
    /// `special_result_attribute`: what holds the names of entries that are to be looked at in turn.
    pub special: Vec<String>,
    /// `recursion_limit`: how deep. Default: 1000.
    pub recursion_limit: usize,
    /// `size_limit`: more entries than these are a temporary error. `None`, written 0: any number.
    pub size_limit: Option<usize>,
}

const NAMES: &[Parameter] =
    &[Parameter::Key, Parameter::User, Parameter::Local, Parameter::Domain, Parameter::Expansion(0)];

/// Keys of Postfix's table files that say where the server is, and how to talk to it.
const ELSEWHERE: &[&str] = &[
    "hosts",
    "user",
    "password",
    "dbname",
    "charset",
    "encoding",
    "idle_interval",
    "retry_interval",
    "option_file",
    "option_group",
    "tls_cert_file",
    "tls_key_file",
    "tls_CAfile",
    "tls_CApath",
    "tls_ciphers",
    "tls_verify_cert",
    "dbpath",
    "server_host",
    "server_port",
    "bind",
    "bind_dn",
    "bind_pw",
    "version",
    "timeout",
    "start_tls",
    "tls_ca_cert_file",
    "tls_ca_cert_dir",
    "tls_cert",
    "tls_key",
    "tls_require_cert",
    "tls_random_file",
    "tls_cipher_suite",
    "chase_referrals",
    "dereference",
    "debuglevel",
    "cache",
    "cache_expiry",
    "cache_size",
    "sasl_mechs",
    "sasl_realm",
    "sasl_authz_id",
    "sasl_minssf",
];

/// Those of the time before `query`.
const OLD: &[&str] = &["table", "select_field", "where_field", "additional_conditions", "select_function"];

/// Reads `[directory.maps]` of a directory of this type.
pub(super) fn tables(reader: &mut Reader<'_>, kind: Option<Type>, own: bool, maps: &Maps) -> Vec<MapTable> {
    let dialect = match kind {
        Some(Type::Server(dialect)) => Some(dialect),
        Some(Type::Sqlite) if !own => Some(Dialect::Sqlite),
        Some(Type::Ldap) => None,
        Some(Type::Sqlite | Type::PasswdFile | Type::Static) => {
            let what = "needs tables or entries to look things up in, and there are none here";
            reader.refuse(
                &["maps"],
                what,
                "write it below a directory of type mysql, postgres, sqlite with a user_query, or ldap",
            );
            return Vec::new();
        }
        None => {
            reader.know(&["maps"]);
            return Vec::new();
        }
    };
    let mut tables = Vec::new();
    for (name, spot, items) in reader.table("maps").sets() {
        let path = reader.path_of(&format!("maps.{name}"));
        if !is_name(name) {
            let remedy = "write 1 to 64 letters, digits, - and _";
            reader.found().at(
                spot,
                path,
                Wrong::new(format!("{} is no name of a map", quoted(name)), remedy),
            );
            continue;
        }
        if let Some(wrong) = maps.refused(name) {
            reader.found().at(spot, path.clone(), wrong);
        }
        let map: Arc<str> = Arc::from(name);
        for item in items {
            let table = match item {
                Item::Text(text, spot) => match dialect.map(|dialect| query(text, dialect)) {
                    Some(Ok(query)) => Some(of_query(query, &map, Some(spot))),
                    Some(Err(wrong)) => {
                        reader.found().at(spot, path.clone(), wrong);
                        None
                    }
                    None => {
                        let remedy = format!("write [{path}] with query_filter and result_attribute below");
                        let wrong =
                            Wrong::new("says what to look for, and not what is to come of it", remedy);
                        reader.found().at(spot, path.clone(), wrong);
                        None
                    }
                },
                Item::Table(reader) => table(reader, dialect, &map),
            };
            tables.extend(table);
        }
    }
    tables
}

fn of_query(query: Query, map: &Arc<str>, spot: Option<&Spot>) -> MapTable {
    MapTable {
        map: Arc::clone(map),
        find: MapFind::Sql(query),
        result_format: None,
        expansion_limit: None,
        domain: Vec::new(),
        place: spot.map(Spot::place),
    }
}

fn table(mut reader: Reader<'_>, dialect: Option<Dialect>, map: &Arc<str>) -> Option<MapTable> {
    let what = "is said of the server, and this is about one table of it";
    reader.refuse(ELSEWHERE, what, "take it away: gatepost asks as the directory says");
    reader.refuse(OLD, "is a part of a query", "write the query as a whole: query = \"SELECT ...\"");
    let why = "is how Postfix asks stored procedures";
    reader.refuse(&["require_result_set"], why, "write a query that gives its rows itself, and take it away");
    let find = match dialect {
        Some(dialect) => {
            let asked = reader.text("query", |text| query(text, dialect));
            reader.need("query", "write such as query = \"SELECT goto FROM alias WHERE address = :key\"");
            asked.map(MapFind::Sql)
        }
        None => search(&mut reader).map(|search| MapFind::Ldap(Box::new(search))),
    };
    let result_format = reader.text("result_format", Expansion::parse).filter(|format| *format != as_it_is());
    let expansion_limit = limit(&mut reader, "expansion_limit");
    let domain = reader.one_or_more("domain", DomainPattern::parse).unwrap_or_default();
    let place = reader.spot().map(Spot::place);
    reader.finish();
    Some(MapTable { map: Arc::clone(map), find: find?, result_format, expansion_limit, domain, place })
}

/// `%s`.
fn as_it_is() -> Expansion {
    Expansion::parse("%s").unwrap_or_else(|_| unreachable!("it is one"))
}

fn search(reader: &mut Reader<'_>) -> Option<MapSearch> {
    let filter = reader.text("query_filter", ldap::pattern::expansion);
    reader.need("query_filter", "write how entries are found, as in query_filter = \"(mail=%s)\"");
    let base = reader.text("search_base", ldap::name::expansion);
    let scope = reader.one_of("scope", ldap::SCOPES, &[]).unwrap_or(ldap::Scope::Subtree);
    let mut attributes = |key: &str| reader.one_or_more(key, ldap::described);
    let (named, leaf) =
        (attributes("result_attribute"), attributes("leaf_result_attribute").unwrap_or_default());
    let terminal = attributes("terminal_result_attribute").unwrap_or_default();
    let special = attributes("special_result_attribute").unwrap_or_default();
    // Postfix's, but not where others are named instead.
    let usual =
        || if leaf.is_empty() && terminal.is_empty() { vec!["maildrop".to_owned()] } else { Vec::new() };
    let attributes = named.unwrap_or_else(usual);
    let recursion_limit = reader.number("recursion_limit", 1..=1000).unwrap_or(1000);
    let size_limit = limit(reader, "size_limit");
    let (filter, terminal) = (filter?, terminal);
    Some(MapSearch { filter, base, scope, attributes, leaf, terminal, special, recursion_limit, size_limit })
}

/// `None`: there is none.
fn limit(reader: &mut Reader<'_>, key: &str) -> Option<usize> {
    reader.number(key, 0..=100_000).filter(|&limit| limit > 0)
}

fn query(text: &str, dialect: Dialect) -> Result<Query, Wrong> {
    let query = Query::parse(text, dialect, NAMES)?;
    if query.is_about_a_key() {
        return Ok(query);
    }
    let remedy = "write a condition such as WHERE address = :key, or = '%s' as in Postfix's own files";
    Err(Wrong::new("gives the same for every key", remedy))
}
