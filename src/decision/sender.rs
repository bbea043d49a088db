//! Who may send under which address.
//!
//! Whom an address belongs to is what the map `senders` says, so that Postfix's own `reject_sender_login_mismatch` and a
//! rule of ours cannot come to different answers.

use gatepost_protocol::postfix::walk::Key;

use super::Engine;
use crate::directory::Unavailable;

/// What a sender is to who wants to use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It belongs to them, or to them as well.
    Own,
    /// It belongs to others alone.
    Others,
    /// It belongs to nobody here.
    Nobodys,
}

impl Engine {
    /// Whether whoever has logged in as `login` may send under `sender`, an address without `<>`. The null sender belongs
    /// to nobody.
    ///
    /// # Errors
    ///
    /// Nobody could tell.
    pub async fn may_send(&self, login: &[u8], sender: &[u8]) -> Result<bool, Unavailable> {
        Ok(self.standing(Some(login), sender).await? == Standing::Own)
    }

    /// What `sender` is to whoever has logged in as `login`; `None`: nobody has.
    ///
    /// # Errors
    ///
    /// Nobody could tell.
    pub async fn standing(&self, login: Option<&[u8]>, sender: &[u8]) -> Result<Standing, Unavailable> {
        // Nobody here has an address that is no text.
        let Ok(sender) = std::str::from_utf8(sender) else { return Ok(Standing::Nobodys) };
        if sender.is_empty() {
            return Ok(Standing::Nobodys);
        }
        let senders = self.who_may_send(&Key::of(sender)).await?;
        // Who has a name that nobody can have owns nothing.
        let login = login.and_then(|login| self.normalise(login).ok());
        let is_login = |owner: &String| {
            let owner = self.normalise(owner.as_bytes()).ok();
            owner.is_some() && owner == login
        };
        match senders.lately {
            _ if senders.logins.iter().any(is_login) => Ok(Standing::Own),
            // They may have been named since.
            Some(lately) => Err(lately),
            None if senders.logins.is_empty() => Ok(Standing::Nobodys),
            None => Ok(Standing::Others),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Standing;
    use crate::{
        daemon,
        decision::testing::{PEOPLE, configured},
    };

    const USERS: &str = "anna@example.org:{PLAIN}a:::::\nbob@example.org:{PLAIN}b:::::\n\
                         alias@example.org:{PLAIN}x:::::user=anna@example.org\n";

    #[tokio::test]
    async fn an_address_is_for_whom_the_map_names_however_they_are_spelt() {
        let (_dir, config) = configured(PEOPLE, USERS);
        let engine = daemon::engine(&config).unwrap();
        for (login, sender, standing) in [
            ("anna@example.org", "anna@example.org", Standing::Own),
            ("ANNA", "Anna+lists@Example.ORG", Standing::Own),
            ("anna", "bob@example.org", Standing::Others),
            ("anna", "bob+anna@example.org", Standing::Others),
            ("anna", "anna@elsewhere.test", Standing::Nobodys),
            ("anna", "", Standing::Nobodys),
            ("anna", "\"a b\"@example.org", Standing::Nobodys),
            ("no name", "bob@example.org", Standing::Others),
            ("", "bob@example.org", Standing::Others),
        ] {
            let found = engine.standing(Some(login.as_bytes()), sender.as_bytes()).await.unwrap();
            assert_eq!(found, standing, "{login} {sender}");
            let may = engine.may_send(login.as_bytes(), sender.as_bytes()).await.unwrap();
            assert_eq!(may, standing == Standing::Own, "{login} {sender}");
        }
        assert_eq!(engine.standing(None, b"bob@example.org").await.unwrap(), Standing::Others);
        assert_eq!(engine.standing(None, b"x@elsewhere.test").await.unwrap(), Standing::Nobodys);
    }

    #[tokio::test]
    async fn an_outage_is_neither_yes_nor_no() {
        let (_dir, config) = configured(PEOPLE, USERS);
        let engine = daemon::engine(&config).unwrap();
        assert!(engine.may_send(b"anna", b"bob@away.test").await.is_err());
        assert!(engine.standing(None, b"bob@away.test").await.is_err());
    }
}
