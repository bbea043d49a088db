//! Carries messages between a server and ldap3.

use std::{sync::Arc, time::Duration};

use bytes::Buf as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, split},
    net::UnixStream,
    select,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{Heard, dial::Stream};
use crate::directory::ldap::ber;

/// `UnbindRequest`, after which the server expects nothing more (RFC 4511 4.3).
const UNBIND: &[u8] = b"\x30\x05\x02\x01\x01\x42\x00";

/// How long the farewell may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Carries until either side ends, `stop` is given, or the server says what no server would.
pub(super) async fn carry(
    far: Box<dyn Stream>,
    near: UnixStream,
    heard: Arc<Heard>,
    stop: CancellationToken,
) {
    let (from_server, mut to_server) = split(far);
    let (from_ldap3, to_ldap3) = split(near);
    select! {
        () = outwards(from_ldap3, &mut to_server) => {}
        () = inwards(from_server, to_ldap3, &heard) => {}
        () = stop.cancelled() => {}
    }
    let _ = timeout(FAREWELL, async {
        to_server.write_all(UNBIND).await?;
        to_server.shutdown().await
    })
    .await;
}

async fn outwards(mut from: ReadHalf<UnixStream>, to: &mut WriteHalf<Box<dyn Stream>>) {
    // Passwords come this way.
    let mut buffer = Zeroizing::new([0; 8192]);
    while let Ok(length @ 1..) = from.read(buffer.as_mut_slice()).await {
        let Some(bytes) = buffer.get(..length) else { return };
        if to.write_all(bytes).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
}

async fn inwards(mut from: ReadHalf<Box<dyn Stream>>, mut to: WriteHalf<UnixStream>, heard: &Heard) {
    let mut buffer = bytes::BytesMut::with_capacity(8192);
    loop {
        match ber::frame(&buffer) {
            Ok(Some(length)) => {
                let Some(message) = buffer.get(..length) else { return };
                if to.write_all(message).await.is_err() {
                    return;
                }
                buffer.advance(length);
            }
            Ok(None) => match from.read_buf(&mut buffer).await {
                Ok(1..) => heard.touch(),
                Ok(0) | Err(_) => return,
            },
            Err(_) => return,
        }
    }
}
