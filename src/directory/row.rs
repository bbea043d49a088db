//! The one place where a row, an entry or a line becomes an [`Account`].
//!
//! Every kind of directory fills a [`Row`] with names and values as text; [`Recipe`] knows which names are reserved,
//! puts the row's values into the templates of `fields`, and checks everything. What is put into a template is never
//! looked at for names again.
//!
//! A value that cannot be what its name says makes the whole account unavailable. To leave out an `allow_nets` that
//! does not parse would admit everybody, to refuse the login would blame the user; neither is what the row says.
//!
//! Empty text in a list (`allow_nets`, `services`) is an empty list: nowhere, nothing. Only NULL means "no rule".

use std::{fmt, sync::Arc};

use zeroize::Zeroizing;

use self::{
    draft::Draft,
    place::{Own, Place},
};
use super::{domains::Domains, ids::Ids};
use crate::{
    account::{Account, Password},
    config::{Part, Template},
    password::{NewHash, Scheme, Stored},
    username::Username,
};

mod draft;
pub(super) mod moment;
mod place;

/// What one directory answered about one user. Keeps the order; of two values for one name the later one counts.
#[derive(Default)]
pub(super) struct Row<'a> {
    entries: Vec<(Audience, &'a str, Value<'a>)>,
}

/// For whom a value is meant, as far as the directory's form says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    /// A column of a query: `uid`, `gid`, `home`, `userdb_*` and the reserved names are used, the rest is there for
    /// templates.
    Column,
    /// Templates only, whatever its name: an attribute of an entry, where `uid` is a login name and `host` a machine.
    Attribute,
    /// The login process, unless reserved or `userdb_*`: an extra field of a passwd file.
    Passdb,
    /// The mail process.
    Userdb,
    /// The mail process, unless reserved: what an operator writes under `fields`.
    Field,
}

/// One value.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    /// The name is known, and there is no value: SQL's NULL.
    Null,
    /// The bare name, without `=`.
    Flag,
    /// The value as text. It may be a secret.
    Text(&'a [u8]),
}

/// How the rows of one directory become accounts.
pub(super) struct Recipe {
    /// The directory's name.
    pub(super) directory: Arc<str>,
    /// The domains that it serves.
    pub(super) domains: Domains,
    /// Appended to bare names, as in logins.
    pub(super) default_domain: Option<Arc<str>>,
    /// The scheme of stored passwords that do not name theirs.
    pub(super) default_scheme: Scheme,
    /// What weaker stored passwords are to be replaced by.
    pub(super) rehash: Option<NewHash>,
    /// The operator's `fields`, in the order of the file.
    pub(super) fields: Vec<(String, Template)>,
    /// The numbers behind names of system users.
    pub(super) ids: Ids,
}

/// Why a row is no account. For the log; no value of the row is part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BadRow {
    /// Neither yes nor no.
    Boolean(&'static str),
    /// No list of networks.
    Nets,
    /// The canonical name is no name.
    Name,
    /// The name to be looked up by elsewhere is no name.
    PasswordUser,
    /// No moment in time.
    Moment,
    /// The canonical name belongs to a domain of somebody else.
    Domain,
    /// No id that a mail process may run under.
    Id(&'static str),
    /// Not UTF-8.
    Text(&'static str),
    /// A name that gatepost does not act upon and may not ignore.
    Refused(&'static str),
    /// Almost a name that keeps somebody out, and as it is it would not.
    Slip(&'static str),
    /// A name that cannot be sent.
    FieldName,
    /// A template names what there is not.
    Template { field: String, name: String },
}

impl<'a> Row<'a> {
    /// Adds a value.
    pub(super) fn put(&mut self, audience: Audience, name: &'a str, value: Value<'a>) {
        self.entries.push((audience, name, value));
    }

    /// What a template gets for a name: the last value with it.
    fn find(&self, name: &str) -> Option<Value<'a>> {
        self.entries.iter().rev().find(|(_, known, _)| *known == name).map(|(_, _, value)| *value)
    }
}

impl Recipe {
    /// Makes the account of the user who was asked for.
    ///
    /// # Errors
    ///
    /// A row that cannot be understood in all that it says.
    pub(super) fn account(&self, asked: &Username, row: &Row<'_>) -> Result<Account, BadRow> {
        let user = self.canonical(asked, row)?;
        let mut rendered = Vec::with_capacity(self.fields.len());
        for (name, template) in &self.fields {
            let place = Place::of(Audience::Field, name)?;
            if place == Place::Own(Own::User) {
                continue;
            }
            if let Some(text) = render(name, template, place, &user, row)? {
                rendered.push((place, text));
            }
        }
        let mut draft = Draft::new(self);
        for (audience, name, value) in &row.entries {
            let place = Place::of(*audience, name)?;
            if !rendered.iter().any(|(taken, _)| *taken == place) {
                draft.put(place, *value)?;
            }
        }
        for (place, text) in &rendered {
            draft.put(*place, Value::Text(text))?;
        }
        draft.finish(user)
    }

    /// A stored password, or none for the marks that mean "nobody": nothing, and what stands in a passwd file for a
    /// locked account or one whose password is elsewhere. An account without a password is judged like an unknown
    /// one; an empty password is never one that somebody could log in with.
    pub(super) fn password(&self, text: &[u8]) -> Password {
        if text.is_empty() || (text == b"x" && self.default_scheme == Scheme::Crypt) {
            return Password::Missing;
        }
        match Stored::parse(text, self.default_scheme) {
            Ok(stored) if stored.is_locked() => Password::Locked,
            Ok(stored) => Password::Stored(match self.rehash {
                Some(new) => stored.renewed_by(new, text),
                None => stored,
            }),
            Err(unusable) => Password::Unusable(unusable),
        }
    }

    /// Finds the first of the operator's `fields` that could not be part of any account.
    pub(super) fn check(&self) -> Result<(), (&str, BadRow)> {
        self.check_fields(&self.fields)
    }

    /// The same of other fields.
    pub(super) fn check_fields<'f>(&self, fields: &'f [(String, Template)]) -> Result<(), (&'f str, BadRow)> {
        for (name, template) in fields {
            let place = Place::of(Audience::Field, name).map_err(|bad| (name.as_str(), bad))?;
            if let [Part::Literal(text)] = template.parts() {
                let mut draft = Draft::new(self);
                match (place, draft.put(place, Value::Text(text.as_bytes()))) {
                    // Whether the system knows the name of an account may change.
                    (Place::Userdb("uid" | "gid"), _) | (_, Ok(())) => {}
                    (_, Err(bad)) => return Err((name, bad)),
                }
            }
        }
        Ok(())
    }

    /// Looks up the ids that `fields` names literally, so that no lookup has to wait for the system's answer.
    pub(super) fn warm(&self) {
        for (name, template) in &self.fields {
            if let [Part::Literal(text)] = template.parts() {
                match Place::of(Audience::Field, name) {
                    Ok(Place::Userdb("uid")) => drop(self.ids.uid(text)),
                    Ok(Place::Userdb("gid")) => drop(self.ids.gid(text)),
                    Ok(_) | Err(_) => {}
                }
            }
        }
    }

    /// The name under which the account is known from here on: the template `user`, the row's `user`, or, where they
    /// say nothing, as asked.
    fn canonical(&self, asked: &Username, row: &Row<'_>) -> Result<Username, BadRow> {
        let mut text = None;
        for (name, template) in self.fields.iter().filter(|(name, _)| name == "user") {
            text = render(name, template, Place::Own(Own::User), asked, row)?;
        }
        if text.is_none() {
            for (audience, name, value) in &row.entries {
                if *name == "user"
                    && Place::of(*audience, name)? == Place::Own(Own::User)
                    && let Value::Text(value) = value
                {
                    text = Some(Zeroizing::new(value.to_vec()));
                }
            }
        }
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(asked.clone()) };
        let user = Username::normalise(&text, self.default_domain.as_deref()).map_err(|_| BadRow::Name)?;
        // A bare name belongs to no domain: a system user may stand behind an address.
        if user.domain().is_some() && !self.domains.serve(&user) {
            return Err(BadRow::Domain);
        }
        Ok(user)
    }
}

/// What a text says where `active` stands.
pub(super) fn is_active(text: &str) -> Result<bool, BadRow> {
    draft::active(Value::Text(text.as_bytes()))
}

/// Puts the row's values into a template; `None` where one of them is NULL.
///
/// A name that the row does not hold at all is left out as well where only the mail process would see it, because
/// lines and entries need not have the same names. In what decides over the login it is an error: a misspelt
/// `allow_nets = "{netz}"` must not admit everybody.
fn render(
    field: &str,
    template: &Template,
    place: Place<'_>,
    user: &Username,
    row: &Row<'_>,
) -> Result<Option<Zeroizing<Vec<u8>>>, BadRow> {
    let missing = |name: &str| BadRow::Template { field: field.to_owned(), name: name.to_owned() };
    let mut text = Zeroizing::new(Vec::new());
    for part in template.parts() {
        match part {
            Part::Literal(literal) => text.extend_from_slice(literal.as_bytes()),
            Part::Name(name) => match (value(name, user, row), place) {
                (Some(Value::Text(value)), _) => text.extend_from_slice(value),
                (Some(Value::Flag), _) => text.extend_from_slice(b"yes"),
                // Without its domain, `/var/vmail/{domain}/{local}` would be a mailbox of somebody else.
                (None, Place::Userdb(_)) if name == "domain" => return Err(missing(name)),
                (Some(Value::Null), Place::Own(Own::Active)) => return Err(missing(name)),
                (Some(Value::Null), _) | (None, Place::Userdb(_)) => return Ok(None),
                (None, Place::Own(_) | Place::Passdb(..) | Place::Nowhere) => return Err(missing(name)),
            },
            Part::NameOr(name, default) => match value(name, user, row) {
                Some(Value::Text(value)) if !value.is_empty() => text.extend_from_slice(value),
                Some(Value::Flag) => text.extend_from_slice(b"yes"),
                Some(Value::Text(_) | Value::Null) | None => text.extend_from_slice(default.as_bytes()),
            },
        }
    }
    Ok(Some(text))
}

/// What a name in a template stands for: a part of the canonical name, or what the row says.
fn value<'v>(name: &str, user: &'v Username, row: &Row<'v>) -> Option<Value<'v>> {
    match name {
        "user" => Some(Value::Text(user.as_str().as_bytes())),
        "local" => Some(Value::Text(user.local().as_bytes())),
        "domain" => user.domain().map(|domain| Value::Text(domain.as_bytes())),
        _ => row.find(name),
    }
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(name) => write!(f, "{name} is neither yes nor no"),
            Self::Nets => f.write_str("allow_nets is no list of networks"),
            Self::PasswordUser => f.write_str("password_user is not a name that a login can have"),
            Self::Moment => f.write_str("expires_at is neither seconds since 1970 nor a date and time"),
            Self::Name => f.write_str("user is not a name that a login can have"),
            Self::Domain => f.write_str("user belongs to a domain that this directory does not serve"),
            Self::Id(name) => write!(f, "{name} is no number or name of a system account other than root"),
            Self::Text(name) => write!(f, "{name} is not UTF-8"),
            Self::Refused(name) => {
                write!(f, "{name} is not supported, and leaving it out might let somebody in")
            }
            Self::Slip(name) => {
                write!(f, "a field has almost the name of {name}: write that, or another name")
            }
            Self::FieldName => f.write_str("the name of a field cannot be sent"),
            Self::Template { field, name } => {
                write!(f, "the field {field} needs {{{name}}}, which there is not")
            }
        }
    }
}

#[cfg(test)]
mod tests;
