//! Questions to one provider over HTTP/1.1 and TLS.
//!
//! What could go wrong between us and a provider goes wrong here, as an [`Outage`]: the rest of the room sees whole
//! answers of bounded size, of a server that has proved who it is. Redirects are not followed, as they would take a
//! secret to wherever they point.
//!
//! hyper is used without a client on top of it: what these do besides (redirects, cookies, decompression, proxies from
//! the environment) is what must not happen. Given up: what hyper and openidconnect hold of a secret or a token is
//! freed without being wiped.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{
    Request, Response, Uri,
    body::Bytes,
    client::conn::http1::{self, SendRequest},
    header::{HOST, HeaderValue, USER_AGENT},
};
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use tokio::{sync::Semaphore, time::timeout};
use tokio_rustls::TlsConnector;
use tracing::debug;

use super::answer::Outage;
use crate::{config::Proxy, directory::breaker::Breaker, hyper_io::Io};

mod dial;

/// Longest answer, in bytes. A discovery document has five thousand, a token's claims a few hundred.
const LONGEST: usize = 1 << 20;

/// Questions at once. A provider that takes 100 ms answers 640 a second over so many.
const AT_ONCE: usize = 64;

/// How many may be asked or wait for it. Beyond that, one is unavailable at once.
const PLACES: usize = 1024;

/// Connections that wait for the next question.
const IDLE: usize = 16;

/// How long they wait. Servers close theirs after 5 seconds (Node.js) to a minute or two.
const IDLE_FOR: Duration = Duration::from_secs(30);

/// One provider's door.
pub(super) struct Http {
    tls: TlsConnector,
    proxy: Option<Proxy>,
    timeout: Duration,
    slots: Semaphore,
    places: Semaphore,
    breaker: Breaker,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    host: Host,
    connection: Connection,
    since: Instant,
}

type Connection = SendRequest<Full<Bytes>>;

/// Where a question goes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Host {
    /// A name or an address, without brackets.
    name: String,
    port: u16,
}

/// Whether a question may be asked twice when a connection ends without an answer. A server ends those that nobody uses
/// at any moment, and then it has not seen the question; but nobody can be sure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// It changes nothing there.
    Maybe,
    /// It counts there: a password, of which the second wrong one may lock an account.
    Never,
}

/// What openidconnect asks through. With a reference in it, questions could not be moved between threads: the compiler
/// wants the trait for all lifetimes of it at once.
pub(super) struct Asking(pub(super) Arc<Http>, pub(super) Again);

impl<'c> AsyncHttpClient<'c> for Asking {
    type Error = Outage;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Outage>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.0.ask(request, self.1))
    }
}

impl Http {
    pub(super) fn new(tls: Arc<rustls::ClientConfig>, proxy: Option<Proxy>, timeout: Duration) -> Self {
        Self {
            tls: TlsConnector::from(tls),
            proxy,
            timeout,
            slots: Semaphore::new(AT_ONCE),
            places: Semaphore::new(PLACES),
            breaker: Breaker::new(),
            idle: Mutex::default(),
        }
    }

    /// Asks. An answer has status 200, or is a refusal in JSON with a status of 4xx.
    ///
    /// # Errors
    ///
    /// Whatever is no such answer.
    pub(super) async fn ask(&self, request: HttpRequest, again: Again) -> Result<HttpResponse, Outage> {
        let Ok(_place) = self.places.try_acquire() else { return Err(Outage::Busy) };
        if !self.breaker.admits(Instant::now(), self.timeout) {
            return Err(Outage::Resting);
        }
        // When many come at once who have not been here before, they wait for each other, but no longer than for an answer.
        let asked = async {
            let Ok(_slot) = self.slots.acquire().await else { return Err(Outage::Busy) };
            self.exchange(request, again).await
        };
        let answer = timeout(self.timeout, Box::pin(asked)).await;
        match answer.unwrap_or(Err(Outage::TimedOut)) {
            Ok(answer) => {
                self.breaker.answered();
                told(answer)
            }
            // The server is there, or was not asked for.
            Err(outage @ (Outage::TooLarge | Outage::Garbled | Outage::NoEndpoint)) => {
                self.breaker.answered();
                Err(outage)
            }
            Err(outage) => {
                self.breaker.failed(Instant::now());
                Err(outage)
            }
        }
    }

    async fn exchange(&self, request: HttpRequest, again: Again) -> Result<HttpResponse, Outage> {
        let (mut head, body) = request.into_parts();
        let host = Host::of(&head.uri).ok_or(Outage::NoEndpoint)?;
        let authority = head.uri.authority().map_or("", |authority| authority.as_str());
        head.headers.insert(HOST, HeaderValue::from_str(authority).map_err(|_| Outage::NoEndpoint)?);
        head.headers.insert(USER_AGENT, HeaderValue::from_static("gatepost"));
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        head.uri = path.parse().map_err(|_| Outage::NoEndpoint)?;
        let body = Bytes::from(body);
        let request = || Request::from_parts(head.clone(), Full::new(body.clone()));

        if again == Again::Maybe
            && let Some(connection) = self.take(&host)
        {
            match self.send(&host, connection, request()).await {
                Err(Outage::Lost) => {
                    debug!(host = host.name, "a connection was closed before it was used again")
                }
                answer => return answer,
            }
        }
        let connection = self.connect(&host).await?;
        self.send(&host, connection, request()).await
    }

    async fn send(
        &self,
        host: &Host,
        mut connection: Connection,
        request: Request<Full<Bytes>>,
    ) -> Result<HttpResponse, Outage> {
        let lost = |error: hyper::Error| {
            debug!(host = host.name, %error, "no answer");
            if error.is_parse() { Outage::Garbled } else { Outage::Lost }
        };
        let answer = connection.send_request(request).await.map_err(lost)?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, LONGEST)
            .collect()
            .await
            .map_err(|error| if error.is::<LengthLimitError>() { Outage::TooLarge } else { Outage::Lost })?;
        self.put(host, connection);
        Ok(Response::from_parts(head, body.to_bytes().to_vec()))
    }

    async fn connect(&self, host: &Host) -> Result<Connection, Outage> {
        let stream = dial::dial(host, self.proxy.as_ref(), &self.tls, self.timeout).await?;
        let (connection, driver) = http1::handshake(Io(stream)).await.map_err(|_| Outage::Lost)?;
        // It ends when the connection is given up on either side.
        tokio::spawn(async move {
            if let Err(error) = driver.await {
                debug!(%error, "a connection to a provider has ended");
            }
        });
        Ok(connection)
    }

    fn take(&self, host: &Host) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|idle| idle.since.elapsed() < IDLE_FOR && !idle.connection.is_closed());
        let at = idle.iter().rposition(|idle| idle.host == *host && idle.connection.is_ready())?;
        Some(idle.remove(at).connection)
    }

    fn put(&self, host: &Host, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE && !connection.is_closed() {
            idle.push(Idle { host: host.clone(), connection, since: Instant::now() });
        }
    }
}

impl Host {
    /// Of a URL of https; a provider may name others in its discovery document, and is not believed in that.
    fn of(uri: &Uri) -> Option<Self> {
        if uri.scheme_str() != Some("https") {
            return None;
        }
        let name = uri.host()?.trim_matches(['[', ']']);
        Some(Self { name: name.to_owned(), port: uri.port_u16().unwrap_or(443) })
    }
}

/// Sorts out what is no answer of the provider's own: whatever stands in front of it answers in its own ways.
fn told(answer: HttpResponse) -> Result<HttpResponse, Outage> {
    let status = answer.status();
    if status.is_redirection() {
        return Err(Outage::Redirected);
    }
    // `{"error": "invalid_client", ...}` (RFC 6749 5.2)
    let refusal = || {
        let told: Option<serde_json::Value> = serde_json::from_slice(answer.body()).ok();
        told.is_some_and(|told| told.get("error").is_some_and(serde_json::Value::is_string))
    };
    match status.as_u16() {
        200 => Ok(answer),
        400..=499 if refusal() => Ok(answer),
        401 | 403 => Err(Outage::Refused),
        code => Err(Outage::Status(code)),
    }
}
