//! What OpenID providers tell over HTTP: that somebody has logged out there (OpenID Connect Back-Channel Logout 1.0).
//!
//! ```text
//! POST /oidc/backchannel-logout HTTP/1.1
//! Content-Type: application/x-www-form-urlencoded
//!
//! logout_token=<JWT>
//! ```
//!
//! Who says so does not matter, as the provider has signed it. One request a connection, in the clear: TLS is for the web
//! server that stands before it, and has a certificate already.

use std::{
    convert::Infallible,
    pin::pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use gatepost_protocol::secret::Secret;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Incoming},
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER},
    server::conn::http1,
    service::service_fn,
};
use openidconnect::url::form_urlencoded;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, field, info};

use super::driver::Engines;
use crate::{
    decision::{Ended, Engine},
    hyper_io::Io,
    listener::Stream,
    oidc::{LoggedOut, NotVouched},
};

/// Where logouts are told.
pub const LOGOUT: &str = "/oidc/backchannel-logout";

/// How long a connection may take from its beginning to its end.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a form may take to arrive.
const READ: Duration = Duration::from_secs(5);

/// Longest head, in bytes.
const HEAD: usize = 16 * 1024;

/// Longest form, in bytes. Logout tokens have some five hundred.
const FORM: usize = 32 * 1024;

/// How much of a longer one is read for the refusal to arrive: who still writes when the connection is closed sees a reset.
const DRAINED: usize = 1 << 20;

/// When to try again while a provider's keys cannot be had, in seconds.
const AGAIN: HeaderValue = HeaderValue::from_static("10");

/// What a request comes to.
enum Answer {
    /// Done, now or before.
    Done,
    /// It is no such form, or no logout token of a provider.
    Bad,
    /// Nobody could tell.
    Later,
    NotFound,
    NotAllowed,
    TooLarge,
    TooSlow,
    NoForm,
}

/// Serves one connection to its end.
pub async fn serve(stream: Stream, engines: Arc<Engines>, stop: CancellationToken) {
    let service = service_fn(|request| {
        let engine = engines.load_full();
        async move { Ok::<_, Infallible>(response(answer(request, &engine).await)) }
    });
    let mut server = http1::Builder::new();
    server.keep_alive(false).max_buf_size(HEAD).max_headers(64);
    let mut connection = pin!(server.serve_connection(Io(stream), service));
    let served = timeout(PATIENCE, async {
        tokio::select! {
            biased;
            served = &mut connection => served,
            () = stop.cancelled() => {
                // What has been asked is answered.
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    });
    match served.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "a connection of HTTP has ended"),
        Err(_) => debug!("a connection of HTTP took too long"),
    }
}

async fn answer(request: Request<Incoming>, engine: &Engine) -> Answer {
    if request.uri().path() != LOGOUT {
        return Answer::NotFound;
    }
    if request.method() != Method::POST {
        return Answer::NotAllowed;
    }
    if !is_form(&request) {
        return Answer::NoForm;
    }
    match timeout(READ, whole(request.into_body())).await {
        Ok(Ok(form)) => match token(&form) {
            Some(token) => log_out(&token, engine).await,
            None => Answer::Bad,
        },
        Ok(Err(refused)) => refused,
        Err(_) => Answer::TooSlow,
    }
}

fn is_form<B>(request: &Request<B>) -> bool {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

/// Reads a form.
async fn whole<B: Body<Data = Bytes> + Unpin>(mut body: B) -> Result<Vec<u8>, Answer> {
    let (mut form, mut read) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Err(Answer::Bad) };
        let Ok(data) = frame.into_data() else { continue };
        read += data.len();
        if read <= FORM {
            form.extend_from_slice(&data);
        } else if read > DRAINED {
            break;
        }
    }
    if read <= FORM { Ok(form) } else { Err(Answer::TooLarge) }
}

/// `logout_token` of a form, which has it once. Other fields are none of our business (2.5).
fn token(form: &[u8]) -> Option<Secret> {
    let mut tokens = form_urlencoded::parse(form).filter(|(name, _)| name == "logout_token");
    let (_, token) = tokens.next()?;
    tokens.next().is_none().then(|| Secret::new(token.into_owned().into_bytes()))
}

async fn log_out(token: &Secret, engine: &Engine) -> Answer {
    match timeout(engine.deadline(), engine.logout(token, SystemTime::now())).await {
        Ok(Ok((told, ended))) => {
            note(&told, ended.as_ref());
            Answer::Done
        }
        Ok(Err(NotVouched::Unavailable(why))) => {
            info!(reason = %why, "a logout could not be checked");
            Answer::Later
        }
        // Anybody can have this said.
        Ok(Err(why @ NotVouched::Rejected { .. })) => {
            debug!(reason = %why, "a logout was not believed");
            Answer::Bad
        }
        Err(_) => {
            info!(reason = "no answer within the deadline", "a logout could not be checked");
            Answer::Later
        }
    }
}

fn note(told: &LoggedOut, ended: Option<&Ended>) {
    let provider = &*told.provider;
    let subject = told.subject.as_deref().map(field::debug);
    let session = told.session.as_deref().map(field::debug);
    match ended {
        Some(Ended { tokens, users }) => {
            info!(provider, subject, session, ?users, tokens, "a user has logged out at their provider");
        }
        None => debug!(provider, subject, session, "a logout was told again"),
    }
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let (status, header) = match answer {
        Answer::Done => (StatusCode::OK, None),
        Answer::Bad => (StatusCode::BAD_REQUEST, Some((CONTENT_TYPE, "application/json"))),
        Answer::Later => (StatusCode::SERVICE_UNAVAILABLE, None),
        Answer::NotFound => (StatusCode::NOT_FOUND, None),
        Answer::NotAllowed => (StatusCode::METHOD_NOT_ALLOWED, Some((ALLOW, "POST"))),
        Answer::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, None),
        Answer::TooSlow => (StatusCode::REQUEST_TIMEOUT, None),
        Answer::NoForm => (StatusCode::UNSUPPORTED_MEDIA_TYPE, None),
    };
    // 2.8. What is wrong with it is for the log: whoever asks may be anybody.
    let body = if status == StatusCode::BAD_REQUEST { r#"{"error":"invalid_request"}"# } else { "" };
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, AGAIN);
    }
    if let Some((name, value)) = header {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests;
