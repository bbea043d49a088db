//! Keys, tokens and a server that answers oddly, for the tests of this room.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use rcgen::{CertifiedKey, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use crate::config::{Config, Oidc, Surroundings};

/// The issuer of all tokens here.
pub(super) const ISSUER: &str = "https://localhost/realm";

/// The time at which all tokens here are looked at, in seconds.
pub(super) const NOW: u64 = 1_800_000_000;

/// A key of a provider.
pub(super) struct Signer {
    pub(super) algorithm: Algorithm,
    pub(super) pem: String,
    key: EncodingKey,
    public: Vec<u8>,
    id: &'static str,
}

impl Signer {
    pub(super) fn new(algorithm: Algorithm, id: &'static str) -> Self {
        let kind = match algorithm {
            Algorithm::ES256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Algorithm::ES384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Algorithm::EdDSA => &rcgen::PKCS_ED25519,
            _ => &rcgen::PKCS_RSA_SHA256,
        };
        let pair = KeyPair::generate_for(kind).unwrap();
        let (pem, public) = (pair.serialize_pem(), pair.public_key_raw().to_vec());
        let key = match algorithm {
            Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_pem(pem.as_bytes()),
            Algorithm::EdDSA => EncodingKey::from_ed_pem(pem.as_bytes()),
            _ => EncodingKey::from_rsa_pem(pem.as_bytes()),
        };
        Self { algorithm, pem, key: key.unwrap(), public, id }
    }

    /// Its public half, as a provider publishes it.
    pub(super) fn jwk(&self) -> Value {
        if self.algorithm == Algorithm::EdDSA {
            let x = URL_SAFE_NO_PAD.encode(&self.public);
            return json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": self.id, "x": x});
        }
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.id.to_owned());
        serde_json::to_value(jwk).unwrap()
    }

    /// A token with these claims, of the type of an access token.
    pub(super) fn token(&self, claims: &Value) -> String {
        self.token_with(|header| header.typ = Some("at+jwt".to_owned()), claims)
    }

    /// One with another header.
    pub(super) fn token_with(&self, header: impl FnOnce(&mut Header), claims: &Value) -> String {
        let mut its = Header::new(self.algorithm);
        its.kid = Some(self.id.to_owned());
        header(&mut its);
        jsonwebtoken::encode(&its, claims, &self.key).unwrap()
    }
}

/// `{"keys": [...]}`
pub(super) fn key_set(signers: &[&Signer]) -> String {
    json!({ "keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>() }).to_string()
}

/// What is written in a good token, with what `changes` says instead; `null` takes a claim away.
pub(super) fn good(changes: Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": "gatepost", "exp": NOW + 300, "iat": NOW - 10, "scope": "openid email mail", "sub": "4711",
        "client_id": "roundcube", "email": "anna@example.org", "email_verified": true, "sid": "s1",
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

/// One `[[oidc]]`, right but for `more`.
pub(super) fn oidc(ca_file: &Path, more: &str) -> Arc<Oidc> {
    let usual = [
        ("name", "'id'".to_owned()),
        ("issuer", format!("'{ISSUER}'")),
        ("client_id", "'gatepost'".to_owned()),
        ("client_secret", "'s:e/c+r%et'".to_owned()),
        ("audience", "['gatepost']".to_owned()),
        ("scopes", "['mail']".to_owned()),
        ("timeout", "'1s'".to_owned()),
        ("ca_file", format!("'{}'", ca_file.display())),
    ];
    let set =
        |key: &str| more.lines().any(|line| line.split('=').next().is_some_and(|set| set.trim() == key));
    let wanted = |key: &str| !(set(key) || key == "client_secret" && set("private_key"));
    let usual = usual.iter().filter(|(key, _)| wanted(key)).map(|(key, value)| format!("{key} = {value}\n"));
    let directory = "[[directory]]\nname = 'd'\ntype = 'sqlite'\n";
    let text = format!("{directory}[[oidc]]\n{}{more}\n", usual.collect::<String>());
    let around = Surroundings {
        state_dir: Some("/state".into()),
        runtime_dir: Some("/run/gatepost".into()),
        ..Surroundings::none()
    };
    let config = Config::from_texts(&[(Path::new("a.toml"), &text)], &around);
    config.unwrap_or_else(|problems| panic!("{problems}")).oidc.remove(0)
}

/// A question that the server got.
pub(super) struct Question {
    /// `POST /introspect`
    pub(super) line: String,
    /// The head as it came.
    pub(super) head: String,
    pub(super) body: String,
}

/// What it answers.
pub(super) enum Answer {
    /// Status, media type and body.
    Whole(u16, &'static str, String),
    /// These bytes, and then the end.
    Raw(Vec<u8>),
    /// Nothing, for a long time.
    Silence,
}

impl Answer {
    pub(super) fn json(value: &Value) -> Self {
        Self::Whole(200, "application/json", value.to_string())
    }
}

type Script = dyn Fn(&Question) -> Answer + Send + Sync;

/// A server with a certificate for `localhost` of an authority of its own.
pub(super) struct Server {
    pub(super) port: u16,
    pub(super) ca_file: tempfile::NamedTempFile,
    /// All questions so far.
    pub(super) asked: Arc<Mutex<Vec<Question>>>,
    pub(super) connections: Arc<Mutex<usize>>,
}

impl Server {
    /// `script` is given the port too, for documents with addresses in them.
    pub(super) async fn start(script: impl Fn(u16, &Question) -> Answer + Send + Sync + 'static) -> Self {
        crate::tls::init();
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let mut ca_file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut ca_file, cert.pem().as_bytes()).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
        let tls = rustls::ServerConfig::builder().with_no_client_auth();
        let tls = TlsAcceptor::from(Arc::new(tls.with_single_cert(vec![cert.der().clone()], key).unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
        let script: Arc<Script> = Arc::new(move |question| script(port, question));
        let server = Self { port, ca_file, asked: Arc::clone(&asked), connections: Arc::clone(&connections) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *connections.lock().unwrap() += 1;
                let (tls, script, asked) = (tls.clone(), Arc::clone(&script), Arc::clone(&asked));
                tokio::spawn(async move {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, &*script, &asked).await;
                    }
                });
            }
        });
        server
    }

    /// The `[[oidc]]` for it.
    pub(super) fn oidc(&self, more: &str) -> Arc<Oidc> {
        let issuer =
            if more.contains("issuer") { String::new() } else { format!("issuer = '{}'\n", self.issuer()) };
        oidc(self.ca_file.path(), &format!("{issuer}{more}"))
    }

    pub(super) fn issuer(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// How often somebody has asked this.
    pub(super) fn times(&self, line: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|question| question.line == line).count()
    }
}

async fn serve<S>(mut stream: S, script: &Script, asked: &Mutex<Vec<Question>>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { return };
            head.push(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        stream.read_exact(&mut body).await.unwrap();
        let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
        let question = Question { line, head, body: String::from_utf8(body).unwrap() };
        let answer = script(&question);
        asked.lock().unwrap().push(question);
        match answer {
            Answer::Whole(status, kind, body) => {
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nlocation: /\r\n\r\n",
                    body.len()
                );
                stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            }
            Answer::Raw(bytes) => {
                // Who is cut off in the middle may have gone away first.
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                return;
            }
            Answer::Silence => tokio::time::sleep(Duration::from_secs(30)).await,
        }
    }
}

/// The discovery document and the keys of a provider; `other` answers everything else.
pub(super) fn provider(
    port: u16,
    question: &Question,
    keys: &str,
    other: impl FnOnce(&Question) -> Answer,
) -> Answer {
    let base = format!("https://localhost:{port}");
    match question.line.as_str() {
        "GET /.well-known/openid-configuration" => Answer::json(&json!({
            "issuer": base, "authorization_endpoint": format!("{base}/auth"), "jwks_uri": format!("{base}/keys"),
            "token_endpoint": format!("{base}/token"), "userinfo_endpoint": format!("{base}/me"),
            "introspection_endpoint": format!("{base}/introspect"), "response_types_supported": ["code"],
            "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256", "ML-DSA-44"],
        })),
        "GET /keys" => Answer::Whole(200, "application/jwk-set+json", keys.to_owned()),
        _ => other(question),
    }
}
