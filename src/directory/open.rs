//! From a configuration to a directory.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use super::{
    Directory, Inner, Kind, Misfit,
    domains::Domains,
    ids::Ids,
    ldap::Ldap,
    passwd_file::PasswdFile,
    row::Recipe,
    sql::Sql,
    sqlite::{self, Sqlite, Trouble, Users},
    static_::Static,
};
use crate::{
    account::Services,
    config::{self, OwnMap},
    password::{Broken, Decoy, Scheme},
    username::Username,
};

impl Directory {
    /// Makes a directory of its configuration. A file that cannot be read now is no error: the directory starts as
    /// unavailable.
    ///
    /// # Errors
    ///
    /// What the configuration says and no account could be made with.
    pub fn open(config: &config::Directory, default_domain: Option<&str>) -> Result<Self, Misfit> {
        let misfit = |what: String| Misfit::new(config, what);
        let mut recipe = recipe(config, default_domain)?;
        let domains = recipe.domains.clone();
        let decoy = Arc::new(Decoy::new().map_err(|broken: Broken| misfit(broken.to_string()))?);
        let kind = match &config.kind {
            config::Kind::Sqlite { file, provision } => {
                let database = Sqlite::open(file, provision.as_deref(), recipe, &decoy);
                Kind::Sqlite(database.map_err(misfit)?)
            }
            config::Kind::Sql(sql) => {
                recipe.default_scheme = scheme(sql.default_scheme.as_deref()).map_err(misfit)?;
                Kind::Sql(Box::new(Sql::open(sql, config.change_poll, recipe, &decoy).map_err(misfit)?))
            }
            config::Kind::Ldap(ldap) => {
                recipe.default_scheme = scheme(ldap.default_scheme.as_deref()).map_err(misfit)?;
                let ldap = Ldap::new(ldap, config.change_poll, recipe, Arc::clone(&decoy));
                Kind::Ldap(Box::new(ldap.map_err(|roots| misfit(format!("ca_file: {roots}")))?))
            }
            config::Kind::PasswdFile { file, default_scheme } => {
                recipe.default_scheme = scheme(default_scheme.as_deref()).map_err(misfit)?;
                let file = PasswdFile::open(file.clone(), recipe, Arc::clone(&decoy));
                Kind::PasswdFile(Box::new(file))
            }
            config::Kind::Static { password, users } => {
                let name = |user: &String| Username::normalise(user.as_bytes(), default_domain);
                let users = users.as_ref().map(|users| users.iter().map(name).collect::<Result<_, _>>());
                let users: Option<BTreeSet<Username>> =
                    users.transpose().map_err(|invalid| misfit(format!("users: a name is {invalid}")))?;
                let fixed = Static::new(recipe, password.as_ref(), users, &decoy);
                let fixed = fixed.map_err(|unusable| misfit(format!("password: {unusable}")))?;
                Kind::Static(Box::new(fixed))
            }
        };
        let primary = config.primary_password_services.as_deref();
        let primary = primary.map(|services| Services::only(&services.join(" "))).unwrap_or_default();
        let (name, place) = (Arc::clone(&config.name), config.place.clone());
        let master = config.master.clone();
        let change_poll = config.change_poll;
        let maps = match &config.kind {
            // Nobody is anybody's alias among master users.
            config::Kind::Sqlite { .. } if config.master.is_none() => {
                OwnMap::ALL.into_iter().map(OwnMap::table).collect()
            }
            config::Kind::Sqlite { .. }
            | config::Kind::Sql(_)
            | config::Kind::Ldap(_)
            | config::Kind::PasswdFile { .. }
            | config::Kind::Static { .. } => config.maps.clone(),
        };
        Ok(Self(Arc::new(Inner { name, domains, master, decoy, primary, kind, change_poll, maps, place })))
    }
}

/// Makes the user databases that are to be there when the daemon is started for the first time, if they are not: the one
/// that nobody configured, and one that users come to by themselves. Any other is made by `gatepost user add`, and so is
/// one outside of the state directory: where its file system is not mounted, an empty one would bounce everybody's mail.
///
/// # Errors
///
/// The daemon can go on: the directory is unavailable.
pub fn make_embedded(configs: &[config::Directory], state_dir: &Path) -> Result<(), Trouble> {
    for config in configs {
        if let config::Kind::Sqlite { file, provision } = &config.kind
            && (config.place.is_none() || provision.is_some() && file.parent() == Some(state_dir))
        {
            sqlite::make(file)?;
        }
    }
    Ok(())
}

/// Opens the user database of a directory for changes, in `gatepost user`. With `create`, makes it first, if it is not
/// there; the directory that it is in as well.
///
/// # Errors
///
/// A directory of another type, or one that no account could be made with, is the operator's to mend. The rest is
/// trouble with the file.
pub fn users(
    config: &config::Directory,
    default_domain: Option<&str>,
    create: bool,
) -> Result<Result<Users, Trouble>, Misfit> {
    match &config.kind {
        config::Kind::Sqlite { file, .. } => {
            Ok(Users::open(file, create, Arc::new(recipe(config, default_domain)?)))
        }
        config::Kind::Sql(_)
        | config::Kind::Ldap(_)
        | config::Kind::PasswdFile { .. }
        | config::Kind::Static { .. } => {
            let what = "is no database of gatepost's own: its users are not kept by gatepost";
            Err(Misfit::new(config, what.to_owned()))
        }
    }
}

/// The scheme of stored passwords that do not name theirs: those of crypt(3), unless the operator says another.
fn scheme(default_scheme: Option<&str>) -> Result<Scheme, String> {
    let Some(name) = default_scheme else { return Ok(Scheme::Crypt) };
    Scheme::named(name).ok_or_else(|| format!("default_scheme: {name} is not supported"))
}

fn recipe(config: &config::Directory, default_domain: Option<&str>) -> Result<Recipe, Misfit> {
    let recipe = Recipe {
        directory: Arc::clone(&config.name),
        domains: Domains::new(config.domains.clone()),
        default_domain: default_domain.map(Arc::from),
        default_scheme: Scheme::Crypt,
        rehash: config.rehash,
        fields: config.fields.clone(),
        ids: Ids::default(),
    };
    match recipe.check() {
        Ok(()) => Ok(recipe),
        Err((field, bad)) => Err(Misfit::new(config, format!("fields.{field}: {bad}"))),
    }
}
