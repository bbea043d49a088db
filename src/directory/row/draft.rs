//! An account while its row is being read.

use std::sync::Arc;

use gatepost_protocol::dovecot::FieldsBuf;

use super::{
    BadRow, Recipe, Value, moment,
    place::{Own, Place, ProxyWord},
};
use crate::{
    account::{Account, Elsewhere, Net, Nologin, Password, Services, State},
    username::Username,
};

/// What is known so far.
pub(super) struct Draft<'r, 'v> {
    recipe: &'r Recipe,
    password: Password,
    /// Where the password is checked, if not here.
    password_from: Option<&'v str>,
    password_user: Option<&'v str>,
    active: bool,
    expired: bool,
    expires_at: Option<i64>,
    allow_nets: Option<Vec<Net>>,
    services: Option<&'v str>,
    switches: Vec<(&'static str, bool)>,
    nologin: bool,
    reason: Option<&'v str>,
    /// `None`: not mentioned.
    proxy: Option<bool>,
    proxy_maybe: Option<bool>,
    proxy_kin: FieldsBuf,
    passdb: FieldsBuf,
    userdb: FieldsBuf,
}

impl<'r, 'v> Draft<'r, 'v> {
    /// An account that may do everything, and cannot prove that it is itself.
    pub(super) fn new(recipe: &'r Recipe) -> Self {
        Self {
            recipe,
            password: Password::Missing,
            password_from: None,
            password_user: None,
            active: true,
            expired: false,
            expires_at: None,
            allow_nets: None,
            services: None,
            switches: Vec::new(),
            nologin: false,
            reason: None,
            proxy: None,
            proxy_maybe: None,
            proxy_kin: FieldsBuf::default(),
            passdb: FieldsBuf::default(),
            userdb: FieldsBuf::default(),
        }
    }

    /// Takes one value to its place.
    pub(super) fn put(&mut self, place: Place<'_>, value: Value<'v>) -> Result<(), BadRow> {
        if let Value::Null = value {
            // The outcome of a comparison with what is not there: `1 AND NULL`. A condition would not hold either.
            if place == Place::Own(Own::Active) {
                self.active = false;
            }
            return Ok(());
        }
        match place {
            Place::Own(own) => self.put_own(own, value),
            Place::Passdb(word, name) => self.put_passdb(word, name, value),
            Place::Userdb(name) => self.put_userdb(name, value),
            Place::Nowhere => Ok(()),
        }
    }

    /// The account.
    pub(super) fn finish(mut self, user: Username) -> Result<Account, BadRow> {
        // A row that says `proxy = 0` has its host for another day. Without the word, a host is a referral.
        match (self.proxy, self.proxy_maybe) {
            (Some(true), _) => self.passdb.flag("proxy"),
            (_, Some(true)) => self.passdb.flag("proxy_maybe"),
            (Some(false), _) | (None, Some(false)) => self.proxy_kin = FieldsBuf::default(),
            (None, None) => {}
        }
        self.passdb.extend(self.proxy_kin.as_fields());
        let mut services = self.services.map(Services::only).unwrap_or_default();
        for (service, allowed) in self.switches {
            services.set(service, allowed);
        }
        let state = match (self.active, self.expired, self.expires_at) {
            (false, _, _) => State::Disabled,
            (true, true, _) => State::Expired,
            (true, false, Some(end)) => State::Until(end),
            (true, false, None) => State::Active,
        };
        let password = match self.password_from {
            None => self.password,
            Some(directory) => {
                let user =
                    |name: &str| Username::normalise(name.as_bytes(), self.recipe.default_domain.as_deref());
                let user = self.password_user.map(user).transpose().map_err(|_| BadRow::PasswordUser)?;
                Password::Elsewhere(Arc::new(Elsewhere { directory: directory.into(), user }))
            }
        };
        Ok(Account {
            password: password.belonging_to(user.as_str()),
            user,
            directory: Arc::clone(&self.recipe.directory),
            state,
            allow_nets: self.allow_nets,
            services,
            nologin: self.nologin.then(|| Nologin { reason: self.reason.map(str::to_owned) }),
            passdb: self.passdb,
            userdb: self.userdb,
        })
    }

    fn put_own(&mut self, own: Own, value: Value<'v>) -> Result<(), BadRow> {
        match own {
            // Already the account's name.
            Own::User => {}
            Own::Password => {
                let Value::Text(stored) = value else { return Ok(()) };
                self.password = self.recipe.password(stored);
            }
            // An empty column of a table where some have their password elsewhere.
            Own::PasswordFrom => {
                self.password_from = Some(text("password_from", value)?).filter(|name| !name.is_empty());
            }
            Own::PasswordUser => {
                self.password_user = Some(text("password_user", value)?).filter(|name| !name.is_empty());
            }
            Own::Active => self.active = active(value)?,
            Own::ExpiresAt => {
                let end = moment::parse(text("expires_at", value)?).ok_or(BadRow::Moment)?;
                self.expires_at = Some(end);
            }
            Own::Expired => self.expired = boolean("expired", value)?,
            Own::AllowNets => {
                let nets = Net::parse_list(text("allow_nets", value)?).map_err(|_| BadRow::Nets)?;
                self.allow_nets = Some(nets);
            }
            Own::Services => self.services = Some(text("services", value)?),
            Own::Service(name) => self.switches.push((name, boolean(name, value)?)),
            Own::Nologin => self.nologin = flag("nologin", value)?,
            Own::Reason => self.reason = Some(text("reason", value)?),
        }
        Ok(())
    }

    fn put_passdb(&mut self, word: Option<ProxyWord>, name: &str, value: Value<'_>) -> Result<(), BadRow> {
        match (word, value) {
            (Some(word @ (ProxyWord::Proxy | ProxyWord::Maybe)), _) => {
                let proxy = if word == ProxyWord::Proxy { &mut self.proxy } else { &mut self.proxy_maybe };
                *proxy = Some(flag("proxy", value)?);
            }
            (Some(ProxyWord::Flag), _) => {
                if flag("a switch of proxy", value)? {
                    self.proxy_kin.flag(name);
                }
            }
            // An empty column of a table that proxies some users only.
            (Some(ProxyWord::Value), Value::Text(b"")) => {}
            (Some(ProxyWord::Value), Value::Text(value)) => self.proxy_kin.push(name, value),
            (Some(ProxyWord::Value), Value::Flag | Value::Null) => self.proxy_kin.flag(name),
            (None, Value::Text(value)) => self.passdb.push(name, value),
            (None, Value::Flag | Value::Null) => self.passdb.flag(name),
        }
        Ok(())
    }

    fn put_userdb(&mut self, name: &str, value: Value<'_>) -> Result<(), BadRow> {
        let ids = &self.recipe.ids;
        let id = match name {
            "uid" => ids.uid(text("uid", value)?).ok_or(BadRow::Id("uid"))?,
            "gid" => ids.gid(text("gid", value)?).ok_or(BadRow::Id("gid"))?,
            _ => {
                match value {
                    Value::Text(value) => self.userdb.push(name, value),
                    Value::Flag | Value::Null => self.userdb.flag(name),
                }
                return Ok(());
            }
        };
        self.userdb.push(name, id.to_string());
        Ok(())
    }
}

fn text<'v>(name: &'static str, value: Value<'v>) -> Result<&'v str, BadRow> {
    match value {
        Value::Text(text) => std::str::from_utf8(text).map_err(|_| BadRow::Text(name)),
        Value::Flag | Value::Null => Ok(""),
    }
}

/// What is written as the outcome of a comparison in some database, or by a person.
fn boolean(name: &'static str, value: Value<'_>) -> Result<bool, BadRow> {
    let Value::Text(text) = value else { return Ok(true) };
    let is_one_of = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word.as_bytes()));
    if is_one_of(&["1", "true", "yes", "y", "t", "on"]) {
        Ok(true)
    } else if is_one_of(&["0", "false", "no", "n", "f", "off"]) {
        Ok(false)
    } else {
        Err(BadRow::Boolean(name))
    }
}

/// As a boolean; and a mailbox that may be delivered to and not be logged in to, which mailcow calls 2.
pub(super) fn active(value: Value<'_>) -> Result<bool, BadRow> {
    match value {
        Value::Text(text) if text == b"2" || text.eq_ignore_ascii_case(b"lookup") => Ok(false),
        Value::Text(_) | Value::Flag | Value::Null => boolean("active", value),
    }
}

/// Dovecot asks only whether such a field exists, so `nologin=` sets it. Here `nologin=no` does not: a table has a
/// value in every row.
fn flag(name: &'static str, value: Value<'_>) -> Result<bool, BadRow> {
    match value {
        Value::Text(b"") => Ok(true),
        Value::Text(_) | Value::Flag | Value::Null => boolean(name, value),
    }
}
