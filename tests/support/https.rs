use std::{
    fmt::Write as _,
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use serde_json::Value;

use super::DEADLINE;

/// A client of a web server on this machine, whose certificate is for `localhost`.
#[derive(Debug)]
pub struct Https {
    address: SocketAddr,
    tls: Arc<ClientConfig>,
}

/// What the server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Https {
    /// Of the server at `address`, which `authority` has certified.
    pub fn new(address: SocketAddr, authority: &Path) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { address, tls: Arc::new(tls) }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.request(&format!("GET {path} HTTP/1.0\r\n\r\n"))
    }

    pub fn post_json(&self, path: &str, body: &Value) -> Answer {
        self.post(path, "application/json", "", &body.to_string())
    }

    /// Posts a form, as a client that says in the header who it is, or in the form.
    pub fn post_form(&self, path: &str, basic: Option<(&str, &str)>, fields: &[(&str, &str)]) -> Answer {
        // RFC 6749 2.3.1 encodes both before they go into the header.
        let header = basic.map_or(String::new(), |(id, secret)| {
            let credentials = BASE64.encode(format!("{}:{}", encode(id), encode(secret)));
            format!("authorization: Basic {credentials}\r\n")
        });
        let fields = fields.iter().map(|(name, value)| format!("{name}={}", encode(value)));
        let body = fields.collect::<Vec<_>>().join("&");
        self.post(path, "application/x-www-form-urlencoded", &header, &body)
    }

    fn post(&self, path: &str, kind: &str, header: &str, body: &str) -> Answer {
        let length = body.len();
        let head =
            format!("POST {path} HTTP/1.0\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n{header}");
        self.request(&format!("{head}\r\n{body}"))
    }

    /// HTTP/1.0, as the end of the answer is then that of the connection.
    fn request(&self, request: &str) -> Answer {
        let host = ServerName::try_from("localhost").unwrap();
        let stream = TcpStream::connect_timeout(&self.address, DEADLINE).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut stream =
            StreamOwned::new(ClientConnection::new(Arc::clone(&self.tls), host).unwrap(), stream);
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{error}"),
        }
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Answer { status: status.unwrap_or_else(|| panic!("no answer: {answer:?}")), body: body.to_owned() }
    }
}

/// A value of a form.
fn encode(value: &str) -> String {
    let mut encoded = String::new();
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => write!(encoded, "%{byte:02X}").unwrap(),
        }
    }
    encoded
}
