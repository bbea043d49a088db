//! Auth tokens: what an IMAP process shows when it logs in somewhere else on behalf of its user (`imap-urlauth`).
//!
//! `auth_token` is the lower-case hex of HMAC-SHA1 with the user name as the key over session pid, session id,
//! service and a secret of 32 bytes that outlives restarts: M6 of [`super::rules`].

use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use gatepost_protocol::secret::Secret;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::Sha256;

/// Name of the file under the state directory; the same as Dovecot's, so that an existing one can be moved over.
pub const FILE: &str = "auth-token-secret.dat";

/// Length of the secret, in bytes.
const LENGTH: usize = 32;

/// Makes the tokens of one installation.
#[derive(Debug)]
pub struct TokenKey(Secret);

impl TokenKey {
    /// A key that lives as long as the process.
    pub fn ephemeral() -> io::Result<Self> {
        let mut bytes = vec![0; LENGTH];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        Ok(Self(Secret::new(bytes)))
    }

    /// Reads the key of `state_dir`, or makes one and keeps it there with mode 0600.
    pub fn load(state_dir: &Path) -> io::Result<Self> {
        let path = state_dir.join(FILE);
        match fs::File::open(&path) {
            Ok(mut file) => {
                let mut bytes = Vec::with_capacity(LENGTH);
                file.read_to_end(&mut bytes)?;
                let key = Secret::new(bytes);
                if key.len() == LENGTH {
                    return Ok(Self(key));
                }
                // Cut short by a full disk, perhaps: tokens of before are void, which costs a new login.
                fs::remove_file(&path)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let key = Self::ephemeral()?;
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(key.0.expose())?;
        Ok(key)
    }

    /// A key for something else, from which nothing can be learnt about this one. `None` only if this one cannot be used.
    pub fn derive(&self, purpose: &[u8]) -> Option<Secret> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose()).ok()?;
        mac.update(purpose);
        Some(Secret::new(mac.finalize().into_bytes().to_vec()))
    }

    /// The token of one session.
    pub fn token(
        &self,
        user: &str,
        session_pid: u32,
        session: Option<&str>,
        service: &str,
    ) -> Option<String> {
        let mut mac = Hmac::<Sha1>::new_from_slice(user.as_bytes()).ok()?;
        mac.update(session_pid.to_string().as_bytes());
        mac.update(session.unwrap_or_default().as_bytes());
        mac.update(service.as_bytes());
        mac.update(self.0.expose());
        let digest = mac.finalize().into_bytes();
        Some(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::{FILE, Secret, TokenKey};

    #[test]
    fn the_token_is_hmac_sha1_keyed_with_the_user() {
        // printf '%s' "4711sessimap$(head -c 32 /dev/zero | tr '\0' k)" | openssl dgst -sha1 -hmac alice
        let key = TokenKey(Secret::new(vec![b'k'; 32]));
        let token = key.token("alice", 4711, Some("sess"), "imap").unwrap();
        assert_eq!(token, "dd6c6b9556f7a6d6a8ebcf47ce7a7e9d82b1d3c2");
    }

    #[test]
    fn the_key_outlives_a_restart_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let first = TokenKey::load(dir.path()).unwrap().token("a", 1, None, "imap");
        let second = TokenKey::load(dir.path()).unwrap().token("a", 1, None, "imap");
        assert_eq!(first, second);
        let mode = fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_key_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), b"short").unwrap();
        TokenKey::load(dir.path()).unwrap();
        assert_eq!(fs::read(dir.path().join(FILE)).unwrap().len(), 32);
    }
}
