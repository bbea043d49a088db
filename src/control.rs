//! The control socket: how the commands talk to the running daemon, so that they ask what peers ask, with its
//! configuration and its memory.
//!
//! One request a connection. `C:` a JSON object on one line; for [`Request::AuthTest`] a second line with the
//! password in base64, so that it is never part of a value that could be printed. `S:` a JSON object on one line.
//! The socket has mode 0600: who can connect to it can read the daemon's files as well.

use std::{
    io,
    net::IpAddr,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::{SinkExt as _, StreamExt as _};
use gatepost_protocol::{
    codec::LineCodec,
    secret::Secret,
    text::{Encoded, base64_into},
};
use serde::{Deserialize, Serialize};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_util::{codec::Framed, sync::CancellationToken, task::TaskTracker};
use zeroize::Zeroize as _;

use crate::{
    account::Account,
    cache::Status,
    decision::{Answer, AppPassword, Asker, Attempt, Decision, Engine, Hop, Refusal, Revoked},
    mechanism::{Claim, Credential, Mechanism},
    oidc::Counts,
};

mod policy;

pub use self::policy::Said;

/// Name of the socket under the runtime directory.
pub const SOCKET: &str = "control";

/// Longest line, in bytes.
const LINE: usize = 64 * 1024;

/// How many commands are answered at once.
const AT_ONCE: usize = 64;

/// How long one may take, from its connection on. Its answer takes no longer than that of a login.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long accepting rests after it failed.
const REST: Duration = Duration::from_millis(100);

/// What can be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Request {
    /// Would this login be let in? The password follows on a line of its own.
    AuthTest {
        /// The login name, as typed.
        user: String,
        /// Whom to act as, if somebody else.
        authzid: Option<String>,
        /// The service to log in to.
        service: String,
        /// Where the login comes from.
        remote: Option<IpAddr>,
    },
    /// What do mail processes learn of this user?
    Lookup {
        /// The name, as typed.
        user: String,
        /// The service that asks; empty if it does not matter.
        #[serde(default)]
        service: String,
    },
    /// What does a map say of this key?
    MapQuery {
        /// Its name.
        map: String,
        /// As Postfix has it.
        key: String,
    },
    /// What would Postfix be told of a mail of these attributes?
    PolicyTest {
        /// `name=value` lines.
        attributes: String,
    },
    /// Forget what has been sent by somebody.
    PolicyReset {
        /// A login, an address, or `@domain`.
        whom: String,
    },
    /// Forget what is remembered of these users: names, masks with `*` and `?`, `@domain`. None: of everybody.
    CacheFlush {
        /// Which.
        users: Vec<String>,
    },
    /// How does the memory stand?
    CacheStatus,
    /// The tokens of this user that were issued until now are good no longer.
    Revoke {
        /// The name, as typed.
        user: String,
    },
}

/// What is answered.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// `verified`, `rejected`, `no_such_user`, `unavailable` ...
    pub outcome: String,
    /// The canonical name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The directory that knows the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// The provider that vouches for the token that was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The id of the app password that was given, where it is a right one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_password: Option<String>,
    /// The master user who logs in as them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master: Option<String>,
    /// Why not, for the operator. A peer is told less.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What a login process is told besides the name. The password for the next hop (`pass`) is not shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passdb: Vec<String>,
    /// What a mail process is told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub userdb: Vec<String>,
    /// What a map has under a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What Postfix would be told of a mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Said>,
    /// What it would be told by rules that are on trial.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trials: Vec<Said>,
    /// How many entries were forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flushed: Option<usize>,
    /// Whose tokens were revoked: the name, and the canonical one, if that is another one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revoked: Vec<String>,
    /// How the memory stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Status>,
    /// How often each provider of tokens was asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<Asked>,
}

/// How often a provider was asked since the configuration was read.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The `name` of the `[[oidc]]`.
    pub provider: String,
    /// For its discovery document.
    pub discoveries: u64,
    /// For its keys.
    pub key_sets: u64,
    /// About a token.
    pub introspections: u64,
    /// About a password.
    pub passwords: u64,
}

impl From<Counts> for Asked {
    fn from(counts: Counts) -> Self {
        let Counts { provider, discoveries, key_sets, introspections, passwords } = counts;
        Self { provider: provider.to_string(), discoveries, key_sets, introspections, passwords }
    }
}

impl Response {
    /// The outcome of a lookup that found somebody.
    pub const FOUND: &'static str = "found";
    /// Nobody could tell.
    pub const UNAVAILABLE: &'static str = "unavailable";
    /// No directory knows the name.
    pub const NO_SUCH_USER: &'static str = "no_such_user";
    /// A map does not have the key.
    pub const NOT_FOUND: &'static str = "not_found";
    /// There is no map of that name.
    pub const NO_SUCH_MAP: &'static str = "no_such_map";
    /// A mail, or a recipient, would not be taken.
    pub const REFUSED: &'static str = "refused";
    /// It would be left to Postfix, or taken.
    pub const NOT_REFUSED: &'static str = "not_refused";
    /// The attributes of a mail are none.
    pub const MALFORMED: &'static str = "malformed";
    /// What was to be done is done.
    pub const DONE: &'static str = "done";
    /// There is no memory to speak of: `cache.ttl` is 0s.
    pub const OFF: &'static str = "off";
    /// The login would be let in.
    pub const VERIFIED: &'static str = "verified";

    fn of(outcome: &str) -> Self {
        Self {
            outcome: outcome.to_owned(),
            user: None,
            directory: None,
            provider: None,
            app_password: None,
            master: None,
            reason: None,
            passdb: Vec::new(),
            userdb: Vec::new(),
            value: None,
            policy: None,
            trials: Vec::new(),
            flushed: None,
            revoked: Vec::new(),
            cache: None,
            providers: Vec::new(),
        }
    }

    fn with(mut self, account: &Account) -> Self {
        self.user = Some(account.user.as_str().to_owned());
        self.directory = Some(account.directory.to_string());
        self.passdb = shown(account.passdb.as_fields());
        if let Some(nologin) = &account.nologin {
            self.passdb.insert(0, "nologin".to_owned());
            self.reason = nologin.reason.clone();
        }
        self.userdb = shown(account.userdb.as_fields());
        self
    }
}

fn shown(fields: gatepost_protocol::dovecot::Fields<'_>) -> Vec<String> {
    let show = |field: gatepost_protocol::dovecot::Field<'_>| {
        let key = String::from_utf8_lossy(&field.key).into_owned();
        match field.value {
            None => key,
            Some(_) if *field.key == *b"pass" => format!("{key}=(not shown)"),
            Some(value) => format!("{key}={}", String::from_utf8_lossy(&value)),
        }
    };
    fields.iter().map(show).collect()
}

/// Answers a request. The daemon does for its socket, and a command for itself where no daemon runs.
pub async fn answer(engine: &Engine, request: Request, password: Option<Secret>) -> Response {
    match request {
        Request::AuthTest { user, authzid, service, remote } => {
            let claim = Claim {
                authzid: authzid.map(String::into_bytes),
                authcid: user.into_bytes(),
                credential: Credential::Password(password.unwrap_or_else(|| Secret::new(Vec::new()))),
            };
            let attempt = Attempt {
                claim,
                mechanism: Mechanism::Plain,
                service: service.into(),
                remote,
                session: None,
                hop: Hop::default(),
            };
            let decision = engine.decide(&attempt, SystemTime::now()).await;
            let id = |which: Option<&AppPassword>| which.map(|which| which.id.to_string());
            let response = Response::of(decision.outcome());
            match &decision {
                Decision::Accept(verified) => Response {
                    app_password: id(verified.by().app_password()),
                    provider: verified.by().provider().map(str::to_owned),
                    master: verified.master().map(|master| master.as_str().to_owned()),
                    ..response.with(verified.account())
                },
                Decision::Refuse(refusal) => Response {
                    reason: Some(refusal.to_string()),
                    app_password: id(refusal.app_password()),
                    ..response
                },
            }
        }
        Request::CacheFlush { users } => {
            let whom: Vec<_> = users.iter().map(|user| engine.whom(user.as_bytes())).collect();
            let flushed = engine.flush_all_of(&whom);
            Response { flushed: Some(flushed), ..Response::of(Response::DONE) }
        }
        Request::CacheStatus => {
            let cache = engine.memory_status();
            let outcome = if cache.is_some() { Response::DONE } else { Response::OFF };
            let providers = engine.providers().counts().into_iter().map(Asked::from).collect();
            Response { cache, providers, ..Response::of(outcome) }
        }
        Request::Revoke { user } => match engine.revoke(user.as_bytes(), SystemTime::now()).await {
            Ok(Revoked { users, forgotten, unavailable }) => {
                let outcome = if unavailable.is_some() { Response::UNAVAILABLE } else { Response::DONE };
                Response {
                    flushed: Some(forgotten),
                    revoked: users.iter().map(|user| user.as_str().to_owned()).collect(),
                    reason: unavailable.map(|why| why.to_string()),
                    ..Response::of(outcome)
                }
            }
            Err(why) => {
                let refusal = Refusal::InvalidName(why);
                Response { reason: Some(refusal.to_string()), ..Response::of(refusal.outcome()) }
            }
        },
        Request::MapQuery { map, key } => {
            match engine.map(map.as_bytes(), key.as_bytes(), Asker::Operator).await {
                Ok(Answer::Found(value)) => {
                    Response { value: Some(value.as_str().to_owned()), ..Response::of(Response::FOUND) }
                }
                Ok(Answer::NotThere) => Response::of(Response::NOT_FOUND),
                Ok(Answer::NoSuchMap | Answer::NotForYou) => {
                    let known: Vec<&str> = engine.maps().names().collect();
                    let reason = format!("known are {}", known.join(", "));
                    Response { reason: Some(reason), ..Response::of(Response::NO_SUCH_MAP) }
                }
                Err(unavailable) => {
                    Response { reason: Some(unavailable.to_string()), ..Response::of(Response::UNAVAILABLE) }
                }
            }
        }
        Request::PolicyTest { attributes } => policy::tested(engine, &attributes).await,
        Request::PolicyReset { whom } => policy::reset(engine, &whom),
        Request::Lookup { user, service } => match engine.lookup(user.as_bytes(), &service).await {
            Ok(Some(account)) => Response::of(Response::FOUND).with(&account),
            Ok(None) => Response::of(Response::NO_SUCH_USER),
            Err(unavailable) => {
                Response { reason: Some(unavailable.to_string()), ..Response::of(Response::UNAVAILABLE) }
            }
        },
    }
}

/// Accepts commands for as long as the daemon runs.
pub async fn accept(
    socket: UnixListener,
    engines: Arc<ArcSwap<Engine>>,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        // Never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match socket.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Usually because descriptors have run out. That passes, and commands are to be answered again then.
                tracing::warn!(%error, "a command could not be accepted");
                tokio::time::sleep(REST).await;
                continue;
            }
        };
        let (engine, stop) = (engines.load_full(), stop.clone());
        tasks.spawn(async move {
            // Somebody who connects and says nothing holds up neither others nor the end.
            let served = stop.run_until_cancelled(timeout(PATIENCE, serve(stream, engine)));
            match served.await {
                Some(Ok(Err(error))) => tracing::debug!(%error, "a command was not answered"),
                Some(Err(_)) => tracing::debug!("a command was not answered in time"),
                Some(Ok(Ok(()))) | None => {}
            }
            drop(place);
        });
    }
}

async fn serve(stream: UnixStream, engine: Arc<Engine>) -> io::Result<()> {
    let mut framed = Framed::new(stream, LineCodec::new(LINE));
    let Some(line) = framed.next().await.transpose()? else { return Ok(()) };
    let request: Request = serde_json::from_slice(&line)?;
    let password = match &request {
        Request::AuthTest { .. } => {
            let Some(line) = framed.next().await.transpose()? else { return Ok(()) };
            let password = Encoded::new(&line).and_then(|text| text.decode()).map_err(io::Error::other);
            framed = wiped(framed, line);
            Some(password?)
        }
        Request::Lookup { .. }
        | Request::MapQuery { .. }
        | Request::PolicyTest { .. }
        | Request::PolicyReset { .. }
        | Request::CacheFlush { .. }
        | Request::CacheStatus
        | Request::Revoke { .. } => None,
    };
    let response = answer(&engine, request, password).await;
    say(&mut framed, &response).await
}

/// The same connection, with nothing left in memory of a line that it took and of what came behind it.
fn wiped(framed: Framed<UnixStream, LineCodec>, line: Bytes) -> Framed<UnixStream, LineCodec> {
    let mut parts = framed.into_parts();
    parts.read_buf.as_mut().zeroize();
    let fresh = Framed::new(parts.io, parts.codec);
    // The line shares its memory with the buffer, and has it to itself once that is gone.
    drop(parts.read_buf);
    if let Ok(mut line) = line.try_into_mut() {
        line.as_mut().zeroize();
    }
    fresh
}

async fn say<T: Serialize + Sync>(framed: &mut Framed<UnixStream, LineCodec>, value: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    framed.send(line.as_slice()).await
}

/// Asks the daemon behind `socket`.
///
/// # Errors
///
/// None listens, or it does not answer: `TimedOut` after a little longer than it takes for the slowest answer.
pub async fn ask(socket: &Path, request: &Request, password: Option<&Secret>) -> io::Result<Response> {
    let silent = || io::Error::new(io::ErrorKind::TimedOut, "it does not answer");
    timeout(PATIENCE + REST, asked(socket, request, password)).await.map_err(|_| silent())?
}

async fn asked(socket: &Path, request: &Request, password: Option<&Secret>) -> io::Result<Response> {
    let stream = UnixStream::connect(socket).await?;
    let mut framed = Framed::new(stream, LineCodec::new(LINE));
    say(&mut framed, request).await?;
    if let Some(password) = password {
        let mut text = BytesMut::new();
        base64_into(password.expose(), &mut text);
        text.put_u8(b'\n');
        let sent = framed.send(text.as_ref()).await;
        text.as_mut().zeroize();
        sent?;
    }
    let line = framed.next().await.transpose()?;
    let line = line.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
    Ok(serde_json::from_slice(&line)?)
}

#[cfg(test)]
mod tests;
