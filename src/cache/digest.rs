//! What is kept of a password: a digest under a key that lives as long as the process.

use std::{fmt, hash::Hasher as _, num::NonZeroU64};

use siphasher::sip128::{Hasher128 as _, SipHasher24};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

/// 128 bits under a key: of BLAKE3 of a name and a password, or of SipHash of a token.
///
/// Who can read the memory of this process finds the key beside it, and can guess passwords as fast as with any plain
/// hash; who can read digests alone, in a dump of a part of it, can guess nothing.
#[derive(Clone, Copy)]
pub struct Digest([u8; 16]);

/// 64 bits of the same, of how a password is checked: whether that is still the same. The lowest tells whether it is by
/// comparison with a stored one, so that as long as it is the same, so is the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(NonZeroU64);

/// Makes digests. Drawn anew by every process, so that they are worth nothing to anybody else.
pub struct Digester {
    key: Zeroizing<[u8; 32]>,
    /// Of tokens.
    tokens: Zeroizing<[u8; 16]>,
}

/// What fits on the stack: names and passwords of the usual length.
const ROOM: usize = 128;

impl Digester {
    /// One with a new key.
    ///
    /// # Errors
    ///
    /// Without random numbers.
    pub fn new() -> Result<Self, getrandom::Error> {
        let (mut key, mut tokens) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 16]));
        getrandom::fill(&mut *key)?;
        getrandom::fill(&mut *tokens)?;
        Ok(Self { key, tokens })
    }

    /// Of a password of somebody: of somebody else it is another one.
    pub fn password(&self, user: &str, password: &[u8]) -> Digest {
        // No name holds a NUL.
        self.digest(&[user.as_bytes(), b"\0", password])
    }

    /// The same of both as they stand in the response of PLAIN: a name in normal form, a NUL and a password.
    pub fn proof(&self, proof: &[u8]) -> Digest {
        Digest::first_of(&blake3::keyed_hash(&self.key, proof))
    }

    /// Of everything that the answer to a login depends on, so that logins which are the same wait for one answer.
    pub fn login(&self, user: &str, password: &[u8], service: &str, remote: &[u8]) -> Digest {
        let length = |part: &[u8]| u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes();
        let (first, second) = (length(service.as_bytes()), length(remote));
        self.digest(&[b"\0", &first, service.as_bytes(), &second, remote, user.as_bytes(), b"\0", password])
    }

    /// Of a token, whoever it is of.
    ///
    /// SipHash-2-4 with 128 bits (Aumasson and Bernstein, 2012), under a key that nobody sees: without it, no two tokens
    /// can be found that have one digest. A token, unlike a password, cannot be guessed, and may be a thousand bytes
    /// long, of which BLAKE3 takes three times as long.
    pub fn token(&self, token: &[u8]) -> Digest {
        Digest(SipHasher24::new_with_key(&self.tokens).hash(token).as_bytes())
    }

    /// Of a token that was shown for somebody of a domain, on which it may depend who is asked about it.
    pub fn routed(&self, token: &Digest, domain: Option<&str>) -> Digest {
        let mut hasher = SipHasher24::new_with_key(&self.tokens);
        // No token has such a byte.
        hasher.write_u8(u8::from(domain.is_some()));
        hasher.write(&token.0);
        hasher.write(domain.unwrap_or_default().as_bytes());
        Digest(hasher.finish128().as_bytes())
    }

    /// Of a key that a table is asked for.
    pub fn map(&self, directory: u16, table: u16, key: &str) -> Digest {
        let mut hasher = SipHasher24::new_with_key(&self.tokens);
        hasher.write(&directory.to_le_bytes());
        hasher.write(&table.to_le_bytes());
        hasher.write(key.as_bytes());
        Digest(hasher.finish128().as_bytes())
    }

    /// Of a stored password; `feed` hands out the bytes that make it what it is.
    pub fn stored(&self, feed: impl FnOnce(&mut dyn FnMut(&[u8]))) -> Fingerprint {
        Fingerprint(NonZeroU64::MIN | self.bits(b"\0stored\0", feed))
    }

    /// Of another way to check a password, which says nothing about which one is right.
    pub fn check(&self, way: &[u8]) -> Fingerprint {
        let bits = self.bits(b"\0check\0", |sink| sink(way)) & !1;
        Fingerprint(NonZeroU64::new(bits).unwrap_or(NonZeroU64::MIN.saturating_add(1)))
    }

    fn bits(&self, what: &[u8], feed: impl FnOnce(&mut dyn FnMut(&[u8]))) -> u64 {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(what);
        feed(&mut |part| {
            hasher.update(part);
        });
        let mut first = [0; 8];
        first.copy_from_slice(hasher.finalize().as_bytes().split_at(8).0);
        hasher.zeroize();
        u64::from_le_bytes(first)
    }

    fn digest(&self, parts: &[&[u8]]) -> Digest {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let mut room = [0; ROOM];
        let hash = match room.get_mut(..length) {
            Some(text) => {
                let mut rest = &mut *text;
                for part in parts {
                    let (head, tail) = rest.split_at_mut(part.len());
                    head.copy_from_slice(part);
                    rest = tail;
                }
                let hash = blake3::keyed_hash(&self.key, text);
                text.zeroize();
                hash
            }
            None => {
                let mut hasher = blake3::Hasher::new_keyed(&self.key);
                for part in parts {
                    hasher.update(part);
                }
                let hash = hasher.finalize();
                hasher.zeroize();
                hash
            }
        };
        Digest::first_of(&hash)
    }
}

impl Digest {
    fn first_of(hash: &blake3::Hash) -> Self {
        let mut digest = [0; 16];
        digest.copy_from_slice(hash.as_bytes().split_at(16).0);
        Self(digest)
    }

    /// Whether they are the same, in a time that does not tell how much of them is.
    pub fn is(&self, other: &Self) -> bool {
        // As one number: byte by byte takes ten times as long.
        u128::from_ne_bytes(self.0).ct_eq(&u128::from_ne_bytes(other.0)).into()
    }

    /// A number between 0 and 255 that is the same every time, and says nothing.
    pub const fn salt(&self) -> u8 {
        self.0[15]
    }

    /// The bytes, to find it among others in memory.
    pub(super) const fn bytes(&self) -> [u8; 16] {
        self.0
    }

    pub(super) const fn of(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl Fingerprint {
    /// Whether it is that of a stored password.
    pub const fn is_of_hash(self) -> bool {
        self.0.get() & 1 == 1
    }

    pub(super) const fn get(self) -> NonZeroU64 {
        self.0
    }

    pub(super) const fn of(bits: NonZeroU64) -> Self {
        Self(bits)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

impl fmt::Debug for Digester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digester(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::{Digester, ROOM};

    #[test]
    fn a_digest_is_of_this_name_and_this_password_and_no_other() {
        let (digester, other) = (Digester::new().unwrap(), Digester::new().unwrap());
        let long = vec![b'x'; 2 * ROOM];
        let passwords: [&[u8]; 5] = [b"", b"secret", b"Secret", b"secret\0", &long];
        let users = ["alice", "alic", "bob@example.org"];
        let all: Vec<_> = users.iter().flat_map(|user| passwords.map(|password| (user, password))).collect();
        for (one, (user, password)) in all.iter().enumerate() {
            let digest = digester.password(user, password);
            for (another, (user, password)) in all.iter().enumerate() {
                assert_eq!(digest.is(&digester.password(user, password)), one == another);
            }
            assert!(!digest.is(&other.password(user, password)), "every process has its own key");
            assert!(!digest.is(&digester.login(user, password, "", b"")));
            let proof = [user.as_bytes(), b"\0", password].concat();
            assert!(digest.is(&digester.proof(&proof)), "the two stand one behind the other");
        }
    }

    #[test]
    fn what_is_on_the_stack_and_what_is_not_have_one_digest() {
        let digester = Digester::new().unwrap();
        let edge = vec![b'x'; ROOM - 2];
        // The same bytes, cut at another place.
        assert!(digester.digest(&[b"a", b"b", &edge]).is(&digester.digest(&[b"ab", &edge])));
        let longer = vec![b'x'; ROOM];
        assert!(digester.digest(&[b"a", &longer]).is(&digester.digest(&[&[b"a", &*longer].concat()])));
    }

    #[test]
    fn a_login_is_this_service_from_there() {
        let digester = Digester::new().unwrap();
        let one = digester.login("alice", b"x", "imap", b"1.2.3.4");
        assert!(one.is(&digester.login("alice", b"x", "imap", b"1.2.3.4")));
        for (user, password, service, remote) in [
            ("alice", &b"x"[..], "imap", &b"1.2.3.5"[..]),
            ("alice", b"x", "imap1", b".2.3.4"),
            ("alice", b"x", "", b"imap1.2.3.4"),
            ("alice", b"y", "imap", b"1.2.3.4"),
            ("alicf", b"x", "imap", b"1.2.3.4"),
        ] {
            assert!(!one.is(&digester.login(user, password, service, remote)));
        }
    }

    #[test]
    fn a_token_is_no_password_and_goes_by_its_domain() {
        let digester = Digester::new().unwrap();
        let token = digester.token(b"t");
        assert!(token.is(&digester.token(b"t")) && !token.is(&digester.token(b"u")));
        assert!(!token.is(&digester.password("", b"t")) && !token.is(&digester.login("", b"t", "", b"")));
        let routes = [None, Some(""), Some("a.test"), Some("b.test")];
        for (one, domain) in routes.iter().enumerate() {
            for (another, other) in routes.iter().enumerate() {
                assert_eq!(
                    digester.routed(&token, *domain).is(&digester.routed(&token, *other)),
                    one == another
                );
            }
            assert!(!digester.routed(&token, *domain).is(&token));
        }
    }

    #[test]
    fn a_fingerprint_is_of_what_was_fed() {
        let digester = Digester::new().unwrap();
        let of = |text: &[u8]| digester.stored(|sink| sink(text));
        assert_eq!(of(b"{SSHA}x"), of(b"{SSHA}x"));
        assert_ne!(of(b"{SSHA}x"), of(b"{SSHA}y"));
        assert_ne!(of(b"x"), digester.check(b"x"));
        assert!(of(b"x").is_of_hash() && !digester.check(b"x").is_of_hash());
    }
}
