use std::{
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until, timeout},
};

/// A wire between gatepost and a server that can be made long, silent, cut or dead.
///
/// It listens on an address of its own for as long as it lives, and knows nothing of what it carries.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    line: watch::Sender<Wire>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What becomes of what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// It is carried over.
    Open,
    /// Nobody listens: connections are refused, and those that there were are reset.
    Refused,
    /// Connections are taken and nothing is ever said, as behind a firewall or before a stopped process. Those that
    /// there were fall silent too.
    Silent,
    /// New connections are answered with bytes that are of no protocol, and closed: a TLS failure.
    Garbage,
}

#[derive(Debug)]
struct Shared {
    to: SocketAddr,
    delay_us: AtomicU64,
    accepted: AtomicUsize,
    /// Connections with a lower number are silent for ever.
    dead_below: AtomicUsize,
    /// Connections with a lower number are to be reset.
    cut: watch::Sender<usize>,
}

impl Proxy {
    /// In front of `to`.
    pub fn start(to: SocketAddr) -> Self {
        let (cut, _) = watch::channel(0);
        let shared = Arc::new(Shared {
            to,
            delay_us: AtomicU64::new(0),
            accepted: AtomicUsize::new(0),
            dead_below: AtomicUsize::new(0),
            cut,
        });
        let (line, changes) = watch::channel(Wire::Open);
        let (stop, stopped) = oneshot::channel();
        let (told, tell) = std::sync::mpsc::channel();
        let here = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = listen(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0).into()).unwrap();
                told.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    () = serve(listener, here, changes) => {}
                    _ = stopped => {}
                }
            });
        });
        let address = tell.recv().unwrap();
        Self { address, shared, line, stop: Some(stop), thread: Some(thread) }
    }

    /// Where to connect to instead.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes every byte take this long, in either direction.
    pub fn delay(&self, each_way: Duration) {
        self.shared.delay_us.store(each_way.as_micros().try_into().unwrap(), Ordering::Relaxed);
    }

    /// Changes the line. Refusing and taking connections again has happened when this returns.
    pub fn set(&self, line: Wire) {
        if matches!(line, Wire::Refused) {
            self.cut();
        }
        self.line.send_replace(line);
        super::wait_until("the proxy has changed", || {
            std::net::TcpStream::connect(self.address).is_ok() == (line != Wire::Refused)
        });
    }

    /// Resets all connections of this moment.
    pub fn cut(&self) {
        self.shared.cut.send_replace(self.accepted());
    }

    /// Lets all connections of this moment fall silent, and no later ones: what a server leaves behind that lost its
    /// power and is back.
    pub fn forget(&self) {
        self.shared.dead_below.store(self.accepted(), Ordering::Relaxed);
    }

    /// How many connections were taken so far.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, mut changes: watch::Receiver<Wire>) {
    let address = listener.local_addr().unwrap();
    let mut listener = Some(listener);
    loop {
        let line = *changes.borrow_and_update();
        match (&listener, line) {
            (Some(_), Wire::Refused) => listener = None,
            (None, Wire::Open | Wire::Silent | Wire::Garbage) => listener = Some(listen(address).unwrap()),
            (None, Wire::Refused) => drop(changes.changed().await),
            (Some(taken), Wire::Open | Wire::Silent | Wire::Garbage) => tokio::select! {
                _ = changes.changed() => {}
                Ok((stream, _)) = taken.accept() => {
                    let number = shared.accepted.fetch_add(1, Ordering::Relaxed);
                    tokio::spawn(carry(stream, number, Arc::clone(&shared), changes.clone()));
                }
            },
        }
    }
}

async fn carry(mut near: TcpStream, number: usize, shared: Arc<Shared>, line: watch::Receiver<Wire>) {
    let mut cut = shared.cut.subscribe();
    let _ = near.set_nodelay(true);
    let carried = async {
        if *line.borrow() == Wire::Garbage {
            // Until something was said: closing before would be seen as a reset.
            let _ = timeout(Duration::from_secs(5), near.read(&mut [0; 512])).await;
            let _ = near.write_all(b"\xffno protocol at all\r\n").await;
            let _ = near.shutdown().await;
            return;
        }
        let Ok(far) = TcpStream::connect(shared.to).await else { return };
        let _ = far.set_nodelay(true);
        let ((near_read, near_write), (far_read, far_write)) = (near.split(), far.into_split());
        tokio::join!(
            pump(near_read, far_write, number, &shared, &line),
            pump(far_read, near_write, number, &shared, &line),
        );
    };
    tokio::select! {
        () = carried => return,
        _ = cut.wait_for(|below| number < *below) => {}
    }
    let _ = near.set_zero_linger();
}

/// Carries one direction. What is silent is read and thrown away.
async fn pump(
    mut from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
    number: usize,
    shared: &Shared,
    line: &watch::Receiver<Wire>,
) {
    let (queue, mut due) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let read = async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let silent = *line.borrow() == Wire::Silent || number < shared.dead_below.load(Ordering::Relaxed);
            if !silent {
                let delay = Duration::from_micros(shared.delay_us.load(Ordering::Relaxed));
                if queue.send((Instant::now() + delay, buffer[..length].to_vec())).is_err() {
                    return;
                }
            }
        }
    };
    let write = async move {
        while let Some((when, bytes)) = due.recv().await {
            sleep_until(when).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}
