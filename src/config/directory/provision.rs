//! Users who are made when they come with a token for the first time.

use super::{Kind, field_name};
use crate::config::{problem::Wrong, reader::Reader, template::Template};

/// Reads `provision` and `provision_fields` of the embedded database. `None`: it makes nobody.
pub(super) fn provision(reader: &mut Reader<'_>) -> Option<Vec<(String, Template)>> {
    let what = "is for tables of another program, which need a user_query";
    reader.refuse(&["provision_query"], what, "write provision = true for gatepost's own database");
    let wanted = reader.boolean("provision");
    let has_fields = reader.has("provision_fields");
    let fields = reader.table("provision_fields").free(made_of, Template::parse);
    if wanted == Some(true) {
        return Some(fields);
    }
    // What is neither true nor false has been told of already.
    if has_fields && wanted.is_some() == reader.has("provision") {
        let what = "are for users who are made, and here nobody is";
        reader.wrong("provision_fields", Wrong::new(what, "write provision = true, or take the table away"));
    }
    None
}

/// Notes why a directory that is to make users could never make any. `vouched`: whether anybody vouches for users who
/// have to be in a directory.
pub(super) fn judge(reader: &Reader<'_>, kind: &Kind, is_master: bool, vouched: bool) {
    let key = match kind {
        Kind::Sqlite { provision: Some(_), .. } => "provision",
        Kind::Sql(sql) if sql.provision_query.is_some() => "provision_query",
        Kind::Sqlite { .. }
        | Kind::Sql(_)
        | Kind::Ldap(_)
        | Kind::PasswdFile { .. }
        | Kind::Static { .. } => return,
    };
    if is_master {
        let what = "makes users, and here are master users, whom no token is of";
        reader.wrong(key, Wrong::new(what, "take it away, or write it in another directory"));
    }
    if !vouched {
        let what = "is for users who come with a token, and no [[oidc]] has account = \"required\"";
        let remedy = "add such a one, as in 40-oidc.toml, or take it away";
        reader.wrong(key, Wrong::new(what, remedy));
    }
}

/// The name of a field that somebody is made with.
fn made_of(name: &str) -> Result<(), Wrong> {
    if name == "password" {
        let what = "would be the password of everybody who is made";
        return Err(Wrong::new(what, "leave it out: `gatepost user passwd` gives somebody one"));
    }
    field_name(name)
}
