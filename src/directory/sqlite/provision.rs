//! Users who are made when they come with a token for the first time: `provision`.

use std::{path::Path, sync::Arc};

use super::users::{AddError, NewUser, Users};
use crate::{config::Template, directory::row::Recipe, username::Username};

/// How users of one database are made.
pub(in crate::directory) struct Maker {
    fields: Vec<(String, Template)>,
    /// The claims that the fields name, each once.
    claims: Vec<String>,
    recipe: Arc<Recipe>,
}

impl Maker {
    /// One that makes them of these fields.
    ///
    /// # Errors
    ///
    /// The first of the fields that could not be part of any user, and why. Holds no value.
    pub(in crate::directory) fn new(
        fields: &[(String, Template)],
        recipe: &Arc<Recipe>,
    ) -> Result<Self, String> {
        if let Err((field, bad)) = recipe.check_fields(fields) {
            return Err(format!("provision_fields.{field}: {bad}"));
        }
        let mut claims: Vec<String> = Vec::new();
        for name in fields.iter().flat_map(|(_, template)| template.names()) {
            if !matches!(name, "user" | "local" | "domain") && !claims.iter().any(|known| known == name) {
                claims.push(name.to_owned());
            }
        }
        Ok(Self { fields: fields.to_vec(), claims, recipe: Arc::clone(recipe) })
    }

    /// What has to be known of a user.
    pub(super) fn claims(&self) -> &[String] {
        &self.claims
    }

    /// Makes a user, unless somebody has the name already. Whether they were made. `claims`: what is said of each of
    /// [`Self::claims`].
    ///
    /// Without a password: nobody has chosen one. Never makes the file, as nobody was looked for in one that is not there.
    pub(super) fn make(
        &self,
        path: &Path,
        user: &Username,
        claims: &[Option<String>],
    ) -> Result<bool, String> {
        let new = self.user(user, claims)?;
        let trouble = |trouble| format!("{}: {trouble}", path.display());
        let mut users = Users::open(path, false, Arc::clone(&self.recipe)).map_err(trouble)?;
        match users.add(user, &new) {
            Ok(()) => Ok(true),
            Err(AddError::Exists) => Ok(false),
            Err(AddError::Bad(why)) => Err(format!("provision_fields: {why}")),
            Err(AddError::Trouble(why)) => Err(trouble(why)),
        }
    }

    /// What is to be known of them.
    fn user(&self, user: &Username, claims: &[Option<String>]) -> Result<NewUser, String> {
        let claim = |name: &str| {
            let at = self.claims.iter().position(|known| known == name)?;
            claims.get(at)?.as_deref()
        };
        let value = |name: &str| match name {
            "user" => Some(user.as_str()),
            "local" => Some(user.local()),
            "domain" => user.domain(),
            _ => claim(name),
        };
        let mut new = NewUser::default();
        for (field, template) in &self.fields {
            let text = template.expand(|name| value(name).map(str::as_bytes));
            let text =
                text.map_err(|name| format!("provision_fields.{field} needs {{{name}}}, and there is none"))?;
            let text =
                String::from_utf8(text).map_err(|_| format!("provision_fields.{field} is not UTF-8"))?;
            match field.as_str() {
                "uid" => new.uid = Some(text),
                "gid" => new.gid = Some(text),
                "home" => new.home = Some(text),
                _ => new.fields.push((field.clone(), text)),
            }
        }
        Ok(new)
    }
}
