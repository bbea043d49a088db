//! Accounts of users whom no directory knows: made of what their token says.

use std::{borrow::Cow, sync::Arc};

use super::{
    Misfit, Unavailable,
    domains::Domains,
    ids::Ids,
    row::{Audience, Recipe, Row, Value},
};
use crate::{
    account::Account,
    config::{AccountOf, Oidc, Template},
    password::Scheme,
    username::Username,
};

/// What no account of claims has.
const PASSWORDS: [&str; 3] = ["password", "password_from", "password_user"];

/// Finds what is wrong with the `[oidc.fields]` of providers, beyond their form.
pub fn misfits_of_claims(providers: &[Arc<Oidc>]) -> Vec<Misfit> {
    let misfit = |provider: &Arc<Oidc>| match &provider.account {
        AccountOf::FromClaims { fields } => {
            let (field, why) = check_claim_fields(fields).err()?;
            Some(Misfit::of_provider(provider, format!("fields.{field}: {why}")))
        }
        AccountOf::Required => None,
    };
    providers.iter().filter_map(misfit).collect()
}

/// Finds what is wrong with the `[oidc.fields]` of a provider, beyond their form.
///
/// # Errors
///
/// The first of the fields that could not be part of any account, and why.
fn check_claim_fields(fields: &[(String, Template)]) -> Result<(), (String, String)> {
    if let Some((field, _)) = fields.iter().find(|(field, _)| PASSWORDS.contains(&field.as_str())) {
        return Err((field.clone(), "is about passwords, and whoever has a token needs none".to_owned()));
    }
    let recipe = recipe(&"-".into(), fields, None);
    recipe.check().map_err(|(field, bad)| (field.to_owned(), bad.to_string()))
}

/// Makes an account of claims: as of a row, where only what `fields` names counts, and a claim that is not there is NULL.
/// `text` is the claim of a name.
///
/// # Errors
///
/// The claims make no account, which is nobody's refusal: whoever sees to the provider or to `fields` has to mend it.
pub fn account_of_claims<'c>(
    provider: &Arc<str>,
    fields: &[(String, Template)],
    default_domain: Option<&str>,
    user: &Username,
    text: impl Fn(&str) -> Option<Cow<'c, str>>,
) -> Result<Account, Unavailable> {
    let names: Vec<&str> = fields.iter().flat_map(|(_, template)| template.names()).collect();
    let claims: Vec<_> = names.iter().map(|name| (*name, text(name))).collect();
    let mut row = Row::default();
    for (name, claim) in &claims {
        let value = claim.as_ref().map_or(Value::Null, |claim| Value::Text(claim.as_bytes()));
        // For templates alone: what a token calls `nologin` or `user` is not what those words mean here.
        row.put(Audience::Attribute, name, value);
    }
    let account = recipe(provider, fields, default_domain).account(user, &row);
    account.map_err(|bad| Unavailable::new(provider, format!("the claims of a token: {bad}")))
}

fn recipe(provider: &Arc<str>, fields: &[(String, Template)], default_domain: Option<&str>) -> Recipe {
    Recipe {
        directory: Arc::clone(provider),
        domains: Domains::default(),
        default_domain: default_domain.map(Arc::from),
        default_scheme: Scheme::Crypt,
        rehash: None,
        fields: fields.to_vec(),
        ids: Ids::default(),
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::{account_of_claims, check_claim_fields};
    use crate::{account::State, config::Template, username::Username};

    fn fields(list: &[(&str, &str)]) -> Vec<(String, Template)> {
        list.iter().map(|(name, text)| ((*name).to_owned(), Template::of(text))).collect()
    }

    fn account(list: &[(&str, &str)], claims: &[(&str, &'static str)]) -> Result<String, String> {
        let user = Username::normalise(b"alice@x.test", None).unwrap();
        let text = |name: &str| {
            claims.iter().find(|(known, _)| *known == name).map(|(_, text)| Cow::Borrowed(*text))
        };
        let made = account_of_claims(&"idp".into(), &fields(list), Some("x.test"), &user, text);
        made.map_err(|unavailable| unavailable.to_string()).map(|account| {
            let state = if account.state == State::Active { "" } else { " not active" };
            format!("{}{state} {}", account.user, account.userdb.as_fields().raw().escape_ascii())
        })
    }

    #[test]
    fn what_the_fields_name_is_part_of_the_account_and_nothing_else_is() {
        let mail = [("home", "/m/{domain}/{local}"), ("uid", "5000"), ("quota_rule", "*:bytes={quota}")];
        assert_eq!(
            account(
                &mail,
                &[("quota", "7"), ("active", "no"), ("home", "/root"), ("user", "root"), ("uid", "0")]
            ),
            Ok("alice@x.test home=/m/x.test/alice\\tuid=5000\\tquota_rule=*:bytes=7".to_owned())
        );
        assert_eq!(
            account(&mail, &[]).unwrap(),
            "alice@x.test home=/m/x.test/alice\\tuid=5000",
            "no quota is no rule"
        );
        let strict = [("active", "{enabled}")];
        assert_eq!(account(&strict, &[("enabled", "true")]).unwrap(), "alice@x.test ");
        assert_eq!(
            account(&strict, &[("enabled", "false")]).unwrap(),
            "alice@x.test  not active".replace("  ", " ") + " "
        );
        // What decides over the login and cannot be read is no account, and nobody's refusal.
        for claims in [&[][..], &[("enabled", "maybe")]] {
            let refused = account(&strict, claims).unwrap_err();
            assert!(
                refused.starts_with("directory idp is unavailable: the claims of a token: "),
                "{refused}"
            );
        }
        let renamed = [("user", "{preferred_username}@y.test")];
        assert_eq!(account(&renamed, &[("preferred_username", "Al")]).unwrap(), "al@y.test ");
        assert!(account(&renamed, &[("preferred_username", "a b")]).is_err());
        assert!(account(&[("uid", "{uid}")], &[("uid", "0")]).is_err(), "nobody's mail process is root");
    }

    #[test]
    fn fields_that_make_no_account_are_found_at_the_start() {
        assert_eq!(check_claim_fields(&fields(&[("home", "/m/{user}"), ("uid", "{uid}")])), Ok(()));
        let (field, _) = check_claim_fields(&fields(&[("allow_nets", "nonsense")])).unwrap_err();
        assert_eq!(field, "allow_nets");
        for (field, text) in [("allow_real_nets", "{nets}"), ("password_from", "people")] {
            assert!(check_claim_fields(&fields(&[(field, text)])).is_err(), "{field}");
        }
    }
}
