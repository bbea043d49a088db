//! From a name to a stream that can be trusted.

use std::{io, net::SocketAddr, time::Duration};

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tracing::debug;

use super::Host;
use crate::{config::Proxy, oidc::answer::Outage};

/// Longest head of a proxy's answer, in bytes.
const LONGEST_HEAD: usize = 8192;

/// Connects. Whoever calls bounds the time as a whole; within `time`, all addresses of a name have their turn.
pub(super) async fn dial(
    host: &Host,
    proxy: Option<&Proxy>,
    tls: &TlsConnector,
    time: Duration,
) -> Result<TlsStream<TcpStream>, Outage> {
    let stream = match proxy {
        None => connect(&host.name, host.port, time).await?,
        Some(proxy) => {
            let mut stream = connect(&proxy.host, proxy.port, time).await?;
            tunnel(&mut stream, host).await?;
            stream
        }
    };
    let name = ServerName::try_from(host.name.clone()).map_err(|_| Outage::NoEndpoint)?;
    tls.connect(name, stream).await.map_err(|error| {
        debug!(host = host.name, %error, "no TLS");
        // A server that goes away says nothing of its certificate.
        if error.kind() == io::ErrorKind::InvalidData { Outage::Tls } else { Outage::Lost }
    })
}

async fn connect(name: &str, port: u16, time: Duration) -> Result<TcpStream, Outage> {
    let unreachable = |error: io::Error| {
        debug!(name, %error, "no connection");
        Outage::Unreachable
    };
    let addresses: Vec<SocketAddr> = lookup_host((name, port)).await.map_err(unreachable)?.collect();
    let share = time / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
    for address in addresses {
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map_err(unreachable)?;
                return Ok(stream);
            }
            Ok(Err(error)) => debug!(name, %address, %error, "no connection"),
            Err(_) => debug!(name, %address, "no connection in time"),
        }
    }
    Err(Outage::Unreachable)
}

/// `CONNECT host:port HTTP/1.1` (RFC 9110 9.3.6): from then on the proxy hands on what it cannot read.
async fn tunnel(stream: &mut TcpStream, host: &Host) -> Result<(), Outage> {
    let place = if host.name.contains(':') {
        format!("[{}]:{}", host.name, host.port)
    } else {
        format!("{}:{}", host.name, host.port)
    };
    let request = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(|_| Outage::Proxy)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > LONGEST_HEAD {
            return Err(Outage::Proxy);
        }
        // Byte by byte: what comes behind the head is the provider's, and this happens once a connection.
        head.push(stream.read_u8().await.map_err(|_| Outage::Proxy)?);
    }
    let mut words = head.split(|&byte| byte == b' ');
    match (words.next(), words.next()) {
        (Some(b"HTTP/1.1" | b"HTTP/1.0"), Some([b'2', _, _])) => Ok(()),
        _ => Err(Outage::Proxy),
    }
}
