//! The client's side of SCRAM-SHA-256 for tests, computed as in RFC 5802 and by nothing of ours.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// A client that has said its first message.
pub(crate) struct Client {
    header: String,
    bare: String,
    password: String,
    /// What the server has to say at the end.
    pub(crate) answer: String,
}

impl Client {
    /// `header` is the GS2 header with its last comma.
    pub(crate) fn new(header: &str, user: &str, password: &str) -> Self {
        let bare = format!("n={user},r=abc");
        Self { header: header.to_owned(), bare, password: password.to_owned(), answer: String::new() }
    }

    /// The first message.
    pub(crate) fn first(&self) -> String {
        format!("{}{}", self.header, self.bare)
    }

    /// The second message, to this challenge, over a channel with these data.
    pub(crate) fn last(&mut self, challenge: &str, channel: &[u8]) -> String {
        let nonce = challenge.strip_prefix("r=").unwrap().split(',').next().unwrap();
        let binding = STANDARD.encode([self.header.as_bytes(), channel].concat());
        let (last, answer) = prove(&self.password, &self.bare, challenge, &format!("c={binding},r={nonce}"));
        self.answer = answer;
        last
    }
}

/// The second message with its proof, and the server's answer to it.
pub(crate) fn prove(password: &str, bare: &str, challenge: &str, without_proof: &str) -> (String, String) {
    let attribute = |letter: &str| challenge.split(',').find_map(|part| part.strip_prefix(letter)).unwrap();
    let salt = STANDARD.decode(attribute("s=")).unwrap();
    let mut salted = [0; 32];
    let iterations = attribute("i=").parse().unwrap();
    pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), &salt, iterations, &mut salted);
    let message = format!("{bare},{challenge},{without_proof}");
    let key = mac(&salted, b"Client Key");
    let signature = mac(&Sha256::digest(&key), message.as_bytes());
    let proof: Vec<u8> = key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
    let answer = mac(&mac(&salted, b"Server Key"), message.as_bytes());
    (format!("{without_proof},p={}", STANDARD.encode(proof)), format!("v={}", STANDARD.encode(answer)))
}

fn mac(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}
