//! Accepts connections and hands each to its session, until told to stop.

use std::{future::Future, io, net::IpAddr, sync::Arc, time::Duration};

use tokio::{
    net::unix::UCred,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Access, Listener, Socket, Stream,
    desks::{At, Desks},
};
use crate::session::master::Peer;

/// How many connections the daemon serves at once. Beyond that the kernel's backlog holds them.
const MAX_CONNECTIONS: usize = 16_384;

/// Fewer places would not do for one connection at each socket, whatever the limit of descriptors.
const FEWEST: usize = 16;

/// Descriptors that connections leave to everything else: listeners, databases, files that are read again.
const RESERVE: usize = 64;

/// Places for connections. Each takes a descriptor, so there are no more than this process may have; and one socket has
/// no more than half of them, so that who fills one up (on the loopback that is anybody) does not close the others.
#[derive(Debug, Clone)]
pub struct Slots {
    all: Arc<Semaphore>,
    each: usize,
}

/// The places of one connection.
type Slot = (OwnedSemaphorePermit, OwnedSemaphorePermit);

impl Slots {
    /// As many as `descriptors` allow.
    pub fn new(descriptors: u64) -> Self {
        let descriptors = usize::try_from(descriptors).unwrap_or(MAX_CONNECTIONS);
        let count = descriptors.saturating_sub(RESERVE).clamp(FEWEST, MAX_CONNECTIONS);
        Self { all: Arc::new(Semaphore::new(count)), each: count / 2 }
    }
}

/// How long accepting rests after it failed: usually because descriptors have run out, and spinning helps nobody.
const REST: Duration = Duration::from_millis(100);

/// Has all desks accept until `stop`; `serve` makes the task of one connection, which stays at the desk that has accepted it.
///
/// # Errors
///
/// Where there are no descriptors: each desk has one of its own for the socket.
pub fn accept<F, S>(
    listener: Listener,
    slots: &Slots,
    desks: &Desks,
    tasks: &TaskTracker,
    stop: &CancellationToken,
    serve: S,
) -> io::Result<()>
where
    S: Fn(Stream, Peer) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let own = Arc::new(Semaphore::new(slots.each));
    let listener = listener.part()?;
    for (runtime, at) in desks.each() {
        let entered = runtime.enter();
        let listener = listener.join()?;
        drop(entered);
        let (own, slots, serve) = (Arc::clone(&own), slots.clone(), serve.clone());
        runtime.spawn(stop.clone().run_until_cancelled_owned(accept_at(
            at,
            listener,
            own,
            slots,
            tasks.clone(),
            serve,
        )));
    }
    Ok(())
}

async fn accept_at<F, S>(
    at: At,
    listener: Listener,
    own: Arc<Semaphore>,
    slots: Slots,
    tasks: TaskTracker,
    serve: S,
) where
    S: Fn(Stream, Peer) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        at.turn().await;
        let Some((stream, peer)) = next(&listener).await else { continue };
        // One that has no place yet keeps this desk from accepting any further. Its own place first: who waits for one must
        // not hold one of all.
        let seat = at.sit();
        let Ok(own) = Arc::clone(&own).acquire_owned().await else { return };
        let Ok(all) = Arc::clone(&slots.all).acquire_owned().await else { return };
        let slot: Slot = (own, all);
        // In one place from the start: it is 8 KiB, and spawning moves what it is given many times.
        let task = Box::pin(serve(stream, peer));
        tasks.spawn(async move {
            task.await;
            drop((slot, seat));
        });
    }
}

async fn next(listener: &Listener) -> Option<(Stream, Peer)> {
    let accepted = match &listener.socket {
        Socket::Unix { listener: socket, access } => socket.accept().await.and_then(|(stream, _)| {
            if !listener.protocol.asks_who() {
                return Ok(Some((Stream::Unix(stream), Peer::default())));
            }
            // Not knowing who it is would be taken for having nothing to hide from them.
            let peer = describe(stream.peer_cred()?, *access);
            Ok(Some((Stream::Unix(stream), peer)))
        }),
        Socket::Tcp { listener: socket, allow_from } => socket.accept().await.map(|(stream, from)| {
            let loopback = listener.protocol.loopback_is_enough();
            if !admits(from.ip(), allow_from, loopback) {
                tracing::info!(listener = %listener.place, remote = %from.ip(), "a peer from a network that is not allowed was turned away");
                return None;
            }
            // Replies are written whole; waiting to fill a segment would only delay them.
            let _ = stream.set_nodelay(true);
            Some((Stream::Tcp(stream), Peer::default()))
        }),
    };
    match accepted {
        Ok(accepted) => accepted,
        Err(error) => {
            tracing::warn!(listener = %listener.place, %error, "a connection could not be accepted");
            tokio::time::sleep(REST).await;
            None
        }
    }
}

fn describe(peer: UCred, access: Access) -> Peer {
    // 0 stands for a process that is not visible from this pid namespace.
    let pid = peer.pid().and_then(|pid| u32::try_from(pid).ok()).filter(|&pid| pid > 0);
    Peer { pid, uid: Some(peer.uid()), restricted_to: access.restriction(peer.uid(), peer.gid()) }
}

fn admits(from: IpAddr, allow_from: &[ipnet::IpNet], loopback: bool) -> bool {
    let from = from.to_canonical();
    (loopback && from.is_loopback()) || allow_from.iter().any(|net| net.contains(&from))
}

#[cfg(test)]
mod tests {
    use super::{MAX_CONNECTIONS, Slots, admits};

    #[test]
    fn one_socket_has_half_of_what_the_descriptors_allow() {
        for (descriptors, all, each) in [
            (0, 16, 8),
            (1024, 960, 480),
            (65_536, MAX_CONNECTIONS, MAX_CONNECTIONS / 2),
            (u64::MAX, MAX_CONNECTIONS, MAX_CONNECTIONS / 2),
        ] {
            let slots = Slots::new(descriptors);
            assert_eq!((slots.all.available_permits(), slots.each), (all, each), "{descriptors} descriptors");
        }
    }

    #[test]
    fn only_the_loopback_and_named_networks_are_admitted() {
        let nets = ["172.22.1.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        let table = [
            ("127.0.0.1", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("172.22.1.9", true),
            ("::ffff:172.22.1.9", true),
            ("172.22.2.9", false),
            ("2001:db8::9", true),
            ("2001:db9::9", false),
        ];
        for (from, expected) in table {
            assert_eq!(admits(from.parse().unwrap(), &nets, true), expected, "{from}");
        }
        assert!(!admits("172.22.1.9".parse().unwrap(), &[], true));
        assert!(!admits("127.0.0.1".parse().unwrap(), &nets, false), "it was not named");
    }
}
