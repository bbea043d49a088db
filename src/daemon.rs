//! The daemon: puts the rooms together, and takes them apart in order.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use arc_swap::ArcSwap;
use nix::sys::resource::{Resource, getrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    app_password::AppPasswords,
    cache,
    config::{self, Config, Loaded, Problems, Protocol},
    control,
    decision::{Asker, Counters, Engine, Kick, Ledger, Limits, Policy, Revocations, SaltKey},
    directory::{self, Chain, Misfit, Tell},
    listener::{self, Desks, Listener, Slots, Stream},
    mechanism::Mechanism,
    observe::systemd,
    oidc::Providers,
    password::Pool,
    session::{
        auth, driver, http, lookup,
        master::{self, Peer},
        policy, saslauthd,
        shared::{Offer, Shared},
        token::TokenKey,
    },
};

/// Why the daemon does not start, or does not take a new configuration.
#[derive(Debug)]
pub enum Failure {
    /// The operator's: the configuration says something that cannot be.
    Config(Problems),
    /// The operator's: a directory, or an account of claims, cannot be made of what the configuration says.
    Misfits(Vec<Misfit>),
    /// The machine's: sockets that could not be had.
    Bind(Vec<listener::BindError>),
    /// The machine's: anything else.
    Io(&'static str, io::Error),
}

/// How long the end waits for the last uses of app passwords to be written, and then for what was sent.
const LAST_WRITE: Duration = Duration::from_secs(2);

/// What a reload replaces.
struct Replaceable {
    /// Those of the state directory that the daemon was started with; they stay.
    app_passwords: AppPasswords,
    /// What was revoked stays so, whatever the new configuration says.
    revocations: Arc<Revocations>,
    ledger: Ledger,
    /// What was sent was, too.
    counters: Arc<Counters>,
    engines: Arc<driver::Engines>,
    offer: ArcSwap<Offer>,
    /// Ends the watches of the directories that were replaced.
    watches: ArcSwap<CancellationToken>,
}

/// Runs until SIGTERM or SIGINT. `reload` reads the configuration again on SIGHUP.
///
/// Sockets are in place and listening when the service manager is told that the daemon is ready; they are left in
/// place when it ends.
pub async fn run<R>(loaded: Loaded, reload: R) -> Result<(), Failure>
where
    R: Fn() -> Result<Loaded, Problems>,
{
    let started = Instant::now();
    let config = loaded.config;
    make_private(&config.server.state_dir).map_err(|error| Failure::Io("the state directory", error))?;
    if let Err(trouble) = directory::make_embedded(&config.directories, &config.server.state_dir) {
        tracing::error!(%trouble, "the embedded user database could not be made");
    }
    listener::make_dirs(&config.server.runtime_dir)
        .map_err(|error| Failure::Io("the runtime directory", error))?;
    let tokens = token_key(&config.server.state_dir)?;
    let shared = Shared::new(tokens, started)
        .map_err(|error| Failure::Io("random numbers", io::Error::other(error)))?;
    let shared = Arc::new(shared);
    let current = Arc::new(Replaceable::new(&config, &shared).await?);
    let mut terminate = on(SignalKind::terminate())?;
    let mut interrupt = on(SignalKind::interrupt())?;
    let mut hangup = on(SignalKind::hangup())?;

    let listeners = listener::bind(&config.listeners).map_err(Failure::Bind)?;
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let (descriptors, _) =
        getrlimit(Resource::RLIMIT_NOFILE).map_err(|error| Failure::Io("limits", error.into()))?;
    let (slots, end) = (Slots::new(descriptors), CancellationToken::new());
    let desks = Desks::open(&end).map_err(|error| Failure::Io("threads", error))?;
    let _end = end.drop_guard();
    let count = listeners.len();
    for listener in listeners {
        let map = listener.map.as_deref();
        tracing::info!(protocol = %listener.protocol, at = %listener.place, map, "listening");
        listen(listener, &shared, &current, (&slots, &desks), &tasks, &stop)?;
    }
    listen_for_commands(&config.server.runtime_dir, &current, &tasks, &stop);
    if let Some(unavailable) = current.app_passwords.look().await {
        tracing::error!(%unavailable, "nobody logs in with an app password for now");
    }
    tokio::spawn(current.app_passwords.clone().keep_records());
    tokio::spawn(Arc::clone(&current.counters).keep());
    tokio::spawn(systemd::watchdog());
    systemd::ready(&format!("{count} sockets"));
    tracing::info!(sockets = count, took_ms = started.elapsed().as_millis(), "ready");

    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                systemd::reloading();
                let replaced = match reload().map_err(Failure::Config) {
                    Ok(loaded) => current.replace(&loaded.config, &shared).await,
                    Err(failure) => Err(failure),
                };
                match replaced {
                    Ok(()) => tracing::info!("the configuration was read again; listeners stay as they are"),
                    Err(failure) => tracing::error!(%failure, "the new configuration is not taken; the running one stays"),
                }
                systemd::ready(&format!("{count} sockets"));
            }
        }
    }
    systemd::stopping();
    tracing::info!(connections = tasks.len(), "stopping");
    stop.cancel();
    tasks.close();
    if tokio::time::timeout(driver::DRAIN, tasks.wait()).await.is_err() {
        tracing::warn!(connections = tasks.len(), "connections that did not end in time are cut");
    }
    if tokio::time::timeout(LAST_WRITE, current.app_passwords.flush()).await.is_err() {
        tracing::warn!("the last uses of app passwords were not written in time");
    }
    if tokio::time::timeout(LAST_WRITE, current.counters.flush()).await.is_err() {
        tracing::warn!("what was sent was not written in time");
    }
    Ok(())
}

impl Replaceable {
    async fn new(config: &Config, shared: &Shared) -> Result<Self, Failure> {
        let app_passwords = AppPasswords::at(&config.server.state_dir);
        let revocations = Arc::<Revocations>::default();
        let ledger = Ledger::at(&config.server.state_dir);
        if let Err(trouble) = ledger.recall(&revocations, SystemTime::now()) {
            tracing::error!(%trouble, "what was revoked cannot be read");
        }
        let counters = Counters::at(&config.server.state_dir, Instant::now(), SystemTime::now());
        if let Err(trouble) = counters.recall(Instant::now()) {
            tracing::error!(%trouble, "what was sent cannot be read: sending limits begin anew");
        }
        let counters = Arc::new(counters);
        let engine = examined(config, &app_passwords).await?.with_revocations(Arc::clone(&revocations));
        let engine = engine.with_policy(policed(config, &counters));
        let engine = Arc::new(lasting(engine.with_ledger(ledger.clone()), shared));
        let watch = watch(&engine);
        Ok(Self {
            app_passwords,
            revocations,
            ledger,
            counters,
            engines: Arc::new(ArcSwap::new(engine)),
            offer: ArcSwap::from_pointee(offer(config)),
            watches: ArcSwap::from_pointee(watch),
        })
    }

    async fn replace(&self, config: &Config, shared: &Shared) -> Result<(), Failure> {
        let engine = examined(config, &self.app_passwords).await?;
        let engine = engine.with_revocations(Arc::clone(&self.revocations)).with_ledger(self.ledger.clone());
        let engine = engine.with_policy(policed(config, &self.counters));
        let engine = Arc::new(lasting(engine, shared));
        let watch = watch(&engine);
        self.engines.store(engine);
        self.offer.store(Arc::new(offer(config)));
        self.watches.swap(Arc::new(watch)).cancel();
        Ok(())
    }
}

/// Makes an engine of a configuration. Directories that cannot be reached now are no error.
pub fn engine(config: &Config) -> Result<Engine, Failure> {
    engine_with(config, AppPasswords::at(&config.server.state_dir))
}

fn engine_with(config: &Config, app_passwords: AppPasswords) -> Result<Engine, Failure> {
    let domain = config.server.default_domain.as_deref();
    let misfits = directory::misfits_of_claims(&config.oidc);
    let chain = match Chain::open(&config.directories, domain) {
        Ok(chain) if misfits.is_empty() => chain,
        Ok(_) => return Err(Failure::Misfits(misfits)),
        Err(others) => return Err(Failure::Misfits([others, misfits].concat())),
    };
    let hashing = &config.hashing;
    let pool = Pool::with_queue(hashing.threads, hashing.memory, hashing.queue);
    let engine = Engine::new(chain, Arc::new(pool), Limits::default(), domain);
    let engine = engine.with_app_passwords(app_passwords);
    let providers = Providers::new(&config.oidc, domain)
        .map_err(|(name, why)| Failure::Io("oidc", io::Error::other(format!("{name}: {why}"))))?;
    let engine = engine.with_providers(Arc::new(providers));
    let separator = config.sasl.master_user_separator;
    let config::Cache { ttl, negative_ttl, max_stale, max_memory } = config.cache;
    let max_memory = usize::try_from(max_memory).unwrap_or(usize::MAX);
    let limits = cache::Limits { ttl, negative_ttl, max_stale, max_memory };
    let engine = engine
        .with_memory(limits, Instant::now())
        .map_err(|error| Failure::Io("random numbers", io::Error::other(error)))?;
    let engine = engine.with_kick(config.server.kick_command.clone().map(Kick::new));
    let engine = engine.with_maps(&config.maps);
    let engine = engine.with_policy(policed(config, &Arc::default()));
    Ok(engine.with_separator(separator).with_proxy_self(config.server.proxy_self.clone()))
}

/// The same, after a look at what the directories say to their queries.
async fn examined(config: &Config, app_passwords: &AppPasswords) -> Result<Engine, Failure> {
    let engine = engine_with(config, app_passwords.clone())?;
    match engine.chain().examine().await {
        Ok(_) => Ok(engine),
        Err(misfits) => Err(Failure::Misfits(misfits)),
    }
}

/// The rules of a configuration over these counters.
fn policed(config: &Config, counters: &Arc<Counters>) -> Policy {
    counters.set_max_keys(config.policy.max_keys);
    Policy::new(config.policy.rules.clone(), Arc::clone(counters))
}

/// An engine that makes up the same salts again when the daemon is started again.
fn lasting(engine: Engine, shared: &Shared) -> Engine {
    match shared.tokens.derive(b"gatepost: salts of SCRAM") {
        Some(secret) => engine.with_salts(SaltKey::new(secret)),
        None => engine,
    }
}

fn offer(config: &Config) -> Offer {
    let mechanisms: Vec<Mechanism> = config.sasl.mechanisms.clone();
    let anonymous_user = config.sasl.anonymous_user.as_deref().map(Into::into);
    Offer { mechanisms: mechanisms.into(), failure_delay: config.sasl.failure_delay, anonymous_user }
}

/// Has the engine hear what changes in its directories, and its providers know their endpoints and keys before anybody
/// waits for them. It ends with the token, and does not keep the engine alive.
fn watch(engine: &Arc<Engine>) -> CancellationToken {
    let (stop, chain) = (CancellationToken::new(), engine.chain().clone());
    let providers = Arc::clone(engine.providers());
    tokio::spawn(stop.clone().run_until_cancelled_owned(async move { providers.keep_fresh().await }));
    let told = Arc::downgrade(engine);
    let tell: Tell = Arc::new(move |changed| {
        tracing::debug!(?changed, "the directories have changed");
        if let Some(engine) = told.upgrade() {
            engine.changed(changed);
        }
    });
    tokio::spawn(stop.clone().run_until_cancelled_owned(chain.watch(tell)));
    stop
}

fn listen(
    listener: Listener,
    shared: &Arc<Shared>,
    current: &Arc<Replaceable>,
    (slots, desks): (&Slots, &Desks),
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let (shared, current, stopping) = (Arc::clone(shared), Arc::clone(current), stop.clone());
    let (protocol, map) = (listener.protocol, listener.map.clone());
    let serve = move |stream: Stream, peer: Peer| {
        let (shared, current, stop) = (Arc::clone(&shared), Arc::clone(&current), stopping.clone());
        let map = map.clone();
        async move {
            let engines = Arc::clone(&current.engines);
            let role = match protocol {
                Protocol::Http => return Box::pin(http::serve(stream, engines, stop)).await,
                Protocol::PostfixSocketmap => {
                    let asker = peer.uid.map_or(Asker::Unknown, Asker::Process);
                    let tongue = lookup::Protocol::Socketmap;
                    return Box::pin(lookup::serve(stream, tongue, asker, engines, stop)).await;
                }
                Protocol::PostfixTcpTable => {
                    // No table has no name.
                    let tongue = lookup::Protocol::TcpTable(map.unwrap_or_default());
                    return Box::pin(lookup::serve(stream, tongue, Asker::Unknown, engines, stop)).await;
                }
                Protocol::Saslauthd => {
                    let offer = current.offer.load_full();
                    return Box::pin(saslauthd::serve(stream, shared, offer, engines, stop)).await;
                }
                Protocol::PostfixPolicy => return Box::pin(policy::serve(stream, engines, stop)).await,
                Protocol::DovecotLogin => Ok(auth::Role::Login),
                Protocol::DovecotClient => Ok(auth::Role::Client),
                Protocol::DovecotMaster => Err(master::Role::Master),
                Protocol::DovecotUserdb => Err(master::Role::Userdb),
            };
            match role {
                Ok(role) => {
                    let cookie = shared.new_cookie();
                    let session = auth::Session::new(role, shared, current.offer.load_full(), cookie);
                    driver::auth(stream, session, engines, stop).await;
                }
                Err(role) => {
                    driver::master(stream, master::Session::new(role, shared, peer), engines, stop).await;
                }
            }
        }
    };
    listener::accept(listener, slots, desks, tasks, stop, serve)
        .map_err(|error| Failure::Io("a socket", error))
}

fn listen_for_commands(
    runtime_dir: &Path,
    current: &Arc<Replaceable>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) {
    let path = runtime_dir.join(control::SOCKET);
    let socket = match listener::private(&path) {
        Ok(socket) => socket,
        // Mail goes on without it.
        Err(error) => return tracing::warn!(%error, "commands cannot talk to this daemon"),
    };
    let (engines, tasks, stop) = (Arc::clone(&current.engines), tasks.clone(), stop.clone());
    tokio::spawn(stop.clone().run_until_cancelled_owned(control::accept(socket, engines, tasks, stop)));
}

fn on(kind: SignalKind) -> Result<tokio::signal::unix::Signal, Failure> {
    signal(kind).map_err(|error| Failure::Io("signals", error))
}

fn token_key(state_dir: &Path) -> Result<TokenKey, Failure> {
    TokenKey::load(state_dir).or_else(|error| {
        tracing::warn!(%error, "the secret of auth tokens cannot be kept; they end with this daemon");
        TokenKey::ephemeral().map_err(|error| Failure::Io("random numbers", error))
    })
}

fn make_private(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Config(problems) => problems.fmt(f),
            Self::Misfits(misfits) => lines(misfits, f),
            Self::Bind(errors) => lines(errors, f),
            Self::Io(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

fn lines<T: std::fmt::Display>(items: &[T], f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    for (at, item) in items.iter().enumerate() {
        let separator = if at == 0 { "" } else { "\n" };
        write!(f, "{separator}{item}")?;
    }
    Ok(())
}

impl std::error::Error for Failure {}
