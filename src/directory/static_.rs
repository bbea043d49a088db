//! Directory type `static`: one answer for every name of its domains, or for a list of names.

use std::{collections::BTreeSet, sync::Arc};

use gatepost_protocol::secret::Secret;
use zeroize::Zeroizing;

use super::row::{Audience, BadRow, Recipe, Row, Value};
use crate::{
    account::{Account, Password},
    password::{Decoy, Unusable},
    username::Username,
};

/// One stored password and one set of fields. Without a password nobody can log in, and userdb questions are
/// answered all the same: what Dovecot's `userdb static` is used for.
pub(super) struct Static {
    recipe: Recipe,
    password: Option<Zeroizing<Vec<u8>>>,
    /// `None`: every name. They cannot be listed then.
    users: Option<BTreeSet<Username>>,
}

impl Static {
    /// Asks the system for the ids in `fields`; lookups then ask nobody.
    ///
    /// # Errors
    ///
    /// A password that could never be verified.
    pub(super) fn new(
        recipe: Recipe,
        password: Option<&Secret>,
        users: Option<BTreeSet<Username>>,
        decoy: &Decoy,
    ) -> Result<Self, Unusable> {
        recipe.warm();
        let password = password.map(|password| Zeroizing::new(password.expose().to_vec()));
        match password.as_ref().map(|password| recipe.password(password)) {
            Some(Password::Stored(stored)) => decoy.note(&stored),
            Some(Password::Unusable(unusable)) => return Err(unusable),
            Some(Password::Missing | Password::Locked | Password::Bind(_) | Password::Elsewhere(_))
            | None => {}
        }
        Ok(Self { recipe, password, users })
    }

    pub(super) fn lookup(&self, user: &Username) -> Result<Option<Arc<Account>>, BadRow> {
        if self.users.as_ref().is_some_and(|users| !users.contains(user)) {
            return Ok(None);
        }
        let mut row = Row::default();
        if let Some(password) = &self.password {
            row.put(Audience::Field, "password", Value::Text(password));
        }
        self.recipe.account(user, &row).map(|account| Some(Arc::new(account)))
    }

    /// The names, where they are known.
    pub(super) fn names(&self) -> impl Iterator<Item = &Username> {
        self.users.iter().flatten()
    }
}
