//! From a URL to a stream that can be trusted.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rustls::{ClientConfig, pki_types::ServerName};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UnixStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::{
    config::ldap::Url,
    directory::ldap::{ber, verdict},
};

/// What a connection is made of.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// `ExtendedRequest` 1 for StartTLS, 1.3.6.1.4.1.1466.20037 (RFC 4511 4.14.1).
const START_TLS: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

/// When the system gives a peer up that acknowledges nothing of what was sent to it: after some three attempts. A bind
/// that was not even acknowledged may be asked on another connection, within two seconds in all.
const UNACKNOWLEDGED: Duration = Duration::from_millis(1500);

/// When the system begins to ask a peer that says nothing whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// How often it asks again.
const KEEPALIVE_AGAIN: Duration = Duration::from_secs(2);

/// Connects. Whoever calls bounds the time as a whole; within `time`, all addresses of a name have their turn.
///
/// # Errors
///
/// Why not, for the log.
pub(super) async fn dial(
    url: &Url,
    starttls: bool,
    tls: &Arc<ClientConfig>,
    time: Duration,
) -> Result<Box<dyn Stream>, String> {
    let (host, port, secure) = match url {
        Url::Unix { path } => {
            let stream = UnixStream::connect(path).await.map_err(|error| error.to_string())?;
            return Ok(Box::new(stream));
        }
        Url::Plain { host, port } => (host, *port, false),
        Url::Tls { host, port } => (host, *port, true),
    };
    let mut stream = connect(host, port, time).await?;
    if !secure && !starttls {
        return Ok(Box::new(stream));
    }
    if !secure {
        start_tls(&mut stream).await?;
    }
    let name = ServerName::try_from(host.as_str()).map_err(|error| error.to_string())?.to_owned();
    let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await;
    Ok(Box::new(stream.map_err(|error| format!("TLS: {error}"))?))
}

async fn connect(host: &str, port: u16, time: Duration) -> Result<TcpStream, String> {
    let addresses = lookup_host((host, port)).await.map_err(|error| format!("no address: {error}"))?;
    let addresses: Vec<SocketAddr> = addresses.collect();
    let mut why = "the name has no address".to_owned();
    let share = time / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
    for address in addresses {
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                prepare(&stream).map_err(|error| error.to_string())?;
                return Ok(stream);
            }
            Ok(Err(error)) => why = error.to_string(),
            Err(_) => why = format!("no connection within {share:?}"),
        }
    }
    Err(why)
}

fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE_AGAIN))?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))
}

/// Asks for TLS. What the server has said besides its answer could come from somebody between, who wants it to be taken
/// for the first words of the protected connection (CVE-2011-0411 and its like).
async fn start_tls(stream: &mut TcpStream) -> Result<(), String> {
    let io = |error: std::io::Error| format!("StartTLS: {error}");
    stream.write_all(START_TLS).await.map_err(io)?;
    let mut answer = Vec::new();
    let length = loop {
        match ber::frame(&answer) {
            Ok(Some(length)) => break length,
            Ok(None) if answer.len() < 4096 => {}
            Ok(None) | Err(_) => return Err("StartTLS: what is there speaks no LDAP".to_owned()),
        }
        if stream.read_buf(&mut answer).await.map_err(io)? == 0 {
            return Err("StartTLS: the connection was closed".to_owned());
        }
    };
    if answer.len() > length {
        return Err("StartTLS: something was said before TLS that may be somebody else's".to_owned());
    }
    match result_code(&answer) {
        Ok(verdict::SUCCESS) => Ok(()),
        Ok(code) => Err(format!("StartTLS is refused, with result {code}")),
        Err(_) => Err("StartTLS: the answer is none".to_owned()),
    }
}

/// Of `ExtendedResponse ::= [APPLICATION 24] SEQUENCE { resultCode ENUMERATED, ... }` in message 1.
fn result_code(message: &[u8]) -> Result<u32, ber::Malformed> {
    let (message, _) = ber::element(message)?;
    let (id, rest) = ber::element(message.content)?;
    let (response, _) = ber::element(rest)?;
    let (code, _) = ber::element(response.content)?;
    match (id.tag, id.content, response.tag, code.tag) {
        (0x02, [1], 0x78, 0x0a) => ber::number(code.content),
        _ => Err(ber::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::{START_TLS, ber, result_code};

    #[test]
    fn the_request_is_one_message() {
        assert_eq!(ber::frame(START_TLS), Ok(Some(START_TLS.len())));
        assert!(ldap3::asn1::parse_tag(START_TLS).unwrap().0.is_empty());
    }

    #[test]
    fn only_an_answer_to_it_counts() {
        let yes = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00";
        assert_eq!(result_code(yes), Ok(0));
        let no = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\x00\x04\x00";
        assert_eq!(result_code(no), Ok(2));
        // Another message; the answer to a bind; a notice.
        for other in [
            b"\x30\x0c\x02\x01\x02\x78\x07\x0a\x01\x00\x04\x00\x04\x00".as_slice(),
            b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00",
            b"\x30\x0c\x02\x01\x00\x78\x07\x0a\x01\x34\x04\x00\x04\x00",
            b"\x30\x05\x02\x01\x01\x78\x00",
        ] {
            assert!(result_code(other).is_err(), "{}", other.escape_ascii());
        }
    }
}
