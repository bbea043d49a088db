//! SCRAM (RFC 5802, and RFC 7677 for SHA-256): the four messages of an exchange.
//!
//! ```text
//! C: n,,n=user,r=rOprNGfwEbeRWgbNEkqO                                     client-first
//! S: r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22Za...,i=4096  server-first
//! C: c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZ...  client-final
//! S: v=6rriTRBi23WpRZ...                                                  server-final
//! ```
//!
//! Read strictly: each attribute once, in the order of the RFC, and no other. The RFC leaves room for extensions, of which
//! there are none, and what one reader takes for an extension another may take for what it was signed for. Base64 has
//! one form for each value.

use std::fmt;

use base64_simd::STANDARD as BASE64;
use zeroize::Zeroizing;

use super::{
    RESPONSE,
    saslname::{escape, unescape},
};
use crate::{error::Malformed, text::Shown};

/// `gs2-header client-first-message-bare`: `("n" / "y" / "p=" type) "," ["a=" name] "," "n=" name ",r=" nonce`.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientFirst<'a> {
    /// Whether the client binds the exchange to its TLS channel.
    pub binding: Binding<'a>,
    /// Whom they want to be; `None`: themselves.
    pub authzid: Option<Vec<u8>>,
    /// Who proves it. Not empty.
    pub authcid: Vec<u8>,
    /// The client's half of the nonce. Not empty.
    pub nonce: &'a [u8],
    /// The GS2 header as it came, with its last comma: it comes again in `c=`.
    pub header: &'a [u8],
    /// The rest as it came, which is part of what is signed.
    pub bare: &'a [u8],
}

/// `gs2-cbind-flag`
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Binding<'a> {
    /// `n`: the client cannot.
    Unsupported,
    /// `y`: the client can, and believes that the server cannot.
    Unused,
    /// `p=`: it does, with data of this type.
    Used(&'a str),
}

/// `"r=" nonce ",s=" base64 ",i=" number`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFirst<'a> {
    /// Both halves of the nonce.
    pub nonce: &'a [u8],
    /// The salt. Not empty.
    pub salt: Vec<u8>,
    /// How often the password is hashed. Not 0.
    pub iterations: u32,
}

/// `"c=" base64 ",r=" nonce ",p=" base64`
#[derive(Clone, PartialEq, Eq)]
pub struct ClientFinal<'a> {
    /// What the exchange is bound to: the GS2 header again, and the data of the channel behind it.
    pub binding: Vec<u8>,
    /// Both halves of the nonce.
    pub nonce: &'a [u8],
    /// The proof. A guess at the password can be tried on it.
    pub proof: Zeroizing<Vec<u8>>,
    /// All before `,p=` as it came, which is part of what is signed.
    pub without_proof: &'a [u8],
}

/// `"v=" base64`: what proves that the server knows the password, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFinal {
    /// `ServerSignature`
    pub verifier: Vec<u8>,
}

impl<'a> ClientFirst<'a> {
    /// Reads a response of at most [`RESPONSE`] bytes.
    pub fn parse(message: &'a [u8]) -> Result<Self, Malformed> {
        let malformed = Malformed::new("SCRAM", "n,,n=<user>,r=<nonce>");
        if message.len() > RESPONSE {
            return Err(Malformed::new("SCRAM", "at most 8192 bytes"));
        }
        let mut parts = message.splitn(3, |&byte| byte == b',');
        let (flag, authzid) = (parts.next().ok_or(malformed)?, parts.next().ok_or(malformed)?);
        let bare = parts.next().ok_or(malformed)?;
        let binding = Binding::parse(flag).ok_or(malformed)?;
        let authzid = match authzid {
            b"" => None,
            authzid => {
                let authzid = authzid.strip_prefix(b"a=").and_then(unescape).ok_or(malformed)?;
                Some(authzid.into_owned())
            }
        };
        let mut attributes = Attributes::of(bare);
        let authcid = attributes.next(b'n').and_then(unescape).ok_or(malformed)?.into_owned();
        let nonce = attributes.next(b'r').filter(|nonce| is_nonce(nonce)).ok_or(malformed)?;
        if attributes.more() {
            return Err(malformed);
        }
        let header = message.get(..message.len() - bare.len()).ok_or(malformed)?;
        Ok(Self { binding, authzid, authcid, nonce, header, bare })
    }

    /// The message that [`ClientFirst::parse`] reads as the same. `header` and `bare` are made anew.
    pub fn encode(&self) -> Result<Vec<u8>, Malformed> {
        let flag = match self.binding {
            Binding::Unsupported => "n".to_owned(),
            Binding::Unused => "y".to_owned(),
            Binding::Used(kind) => format!("p={kind}"),
        };
        let mut message = flag.into_bytes();
        message.push(b',');
        if let Some(authzid) = &self.authzid {
            message.extend_from_slice(b"a=");
            escape(authzid, &mut message);
        }
        message.extend_from_slice(b",n=");
        escape(&self.authcid, &mut message);
        message.extend_from_slice(b",r=");
        message.extend_from_slice(self.nonce);
        ClientFirst::parse(&message)?;
        Ok(message)
    }
}

impl<'a> Binding<'a> {
    fn parse(flag: &'a [u8]) -> Option<Self> {
        match flag {
            b"n" => Some(Self::Unsupported),
            b"y" => Some(Self::Unused),
            _ => {
                let kind = flag.strip_prefix(b"p=").filter(|kind| !kind.is_empty())?;
                let fits = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
                let kind = std::str::from_utf8(kind).ok().filter(|_| kind.iter().all(fits))?;
                Some(Self::Used(kind))
            }
        }
    }
}

impl<'a> ServerFirst<'a> {
    /// Reads a challenge.
    pub fn parse(message: &'a [u8]) -> Result<Self, Malformed> {
        let malformed = Malformed::new("SCRAM", "r=<nonce>,s=<salt>,i=<iterations>");
        let mut attributes = Attributes::of(message);
        let nonce = attributes.next(b'r').filter(|nonce| is_nonce(nonce)).ok_or(malformed)?;
        let salt = attributes.next(b's').and_then(|text| BASE64.decode_to_vec(text).ok());
        let salt = salt.filter(|salt| !salt.is_empty()).ok_or(malformed)?;
        let iterations = attributes.next(b'i').and_then(number).ok_or(malformed)?;
        if attributes.more() {
            return Err(malformed);
        }
        Ok(Self { nonce, salt, iterations })
    }

    /// The challenge that [`ServerFirst::parse`] reads as the same.
    pub fn encode(&self) -> Vec<u8> {
        let rest = format!(",s={},i={}", BASE64.encode_to_string(&self.salt), self.iterations);
        [b"r=", self.nonce, rest.as_bytes()].concat()
    }
}

impl<'a> ClientFinal<'a> {
    /// Reads a response of at most [`RESPONSE`] bytes.
    pub fn parse(message: &'a [u8]) -> Result<Self, Malformed> {
        let malformed = Malformed::new("SCRAM", "c=<binding>,r=<nonce>,p=<proof>");
        if message.len() > RESPONSE {
            return Err(Malformed::new("SCRAM", "at most 8192 bytes"));
        }
        let mut attributes = Attributes::of(message);
        let binding = attributes.next(b'c').and_then(|text| BASE64.decode_to_vec(text).ok());
        let binding = binding.filter(|binding| !binding.is_empty()).ok_or(malformed)?;
        let nonce = attributes.next(b'r').filter(|nonce| is_nonce(nonce)).ok_or(malformed)?;
        let written = attributes.next(b'p').filter(|written| !written.is_empty()).ok_or(malformed)?;
        let proof = BASE64.decode_to_vec(written).map(Zeroizing::new).map_err(|_| malformed)?;
        if attributes.more() {
            return Err(malformed);
        }
        let without_proof = message.get(..message.len() - written.len() - b",p=".len()).ok_or(malformed)?;
        Ok(Self { binding, nonce, proof, without_proof })
    }

    /// The message that [`ClientFinal::parse`] reads as the same. `without_proof` is made anew.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let binding = BASE64.encode_to_string(&self.binding);
        let proof = Zeroizing::new(BASE64.encode_to_string(&*self.proof));
        Zeroizing::new([b"c=", binding.as_bytes(), b",r=", self.nonce, b",p=", proof.as_bytes()].concat())
    }
}

impl ServerFinal {
    /// Reads what comes last. Only success: an error (`e=`) is [`Malformed`] too.
    pub fn parse(message: &[u8]) -> Result<Self, Malformed> {
        let malformed = Malformed::new("SCRAM", "v=<verifier>");
        let mut attributes = Attributes::of(message);
        let verifier =
            attributes.next(b'v').and_then(|text| BASE64.decode_to_vec(text).ok()).ok_or(malformed)?;
        if attributes.more() {
            return Err(malformed);
        }
        Ok(Self { verifier })
    }

    /// The message that [`ServerFinal::parse`] reads as the same.
    pub fn encode(&self) -> Vec<u8> {
        format!("v={}", BASE64.encode_to_string(&self.verifier)).into_bytes()
    }
}

/// `letter "=" value ["," letter "=" value]*`, taken from the front.
struct Attributes<'a>(Option<&'a [u8]>);

impl<'a> Attributes<'a> {
    fn of(message: &'a [u8]) -> Self {
        Self(Some(message))
    }

    /// The value of the next one, which must be this.
    fn next(&mut self, letter: u8) -> Option<&'a [u8]> {
        let mut parts = self.0.take()?.splitn(2, |&byte| byte == b',');
        let attribute = parts.next()?;
        self.0 = parts.next();
        attribute.strip_prefix(&[letter, b'='])
    }

    fn more(&self) -> bool {
        self.0.is_some()
    }
}

/// `1*(%x21-2B / %x2D-7E)`: printable ASCII without a comma.
fn is_nonce(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_graphic() && *byte != b',')
}

/// Digits without a leading zero.
fn number(text: &[u8]) -> Option<u32> {
    let plain = matches!(text, [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit));
    std::str::from_utf8(text).ok().filter(|_| plain)?.parse().ok()
}

impl fmt::Debug for Binding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported => f.write_str("n"),
            Self::Unused => f.write_str("y"),
            Self::Used(kind) => write!(f, "p={kind}"),
        }
    }
}

impl fmt::Debug for ClientFirst<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientFirst")
            .field("binding", &self.binding)
            .field("authzid", &self.authzid.as_deref().map(Shown))
            .field("authcid", &Shown(&self.authcid))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientFinal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientFinal(..)")
    }
}

#[cfg(test)]
mod tests;
