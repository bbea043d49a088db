use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use gatepost::{
    config::{Config, Surroundings},
    directory::{Bound, Chain, Changed, Check, Inquiry},
    username::Username,
};
use gatepost_protocol::secret::Secret;
use tokio::runtime::Runtime;

use super::wait_until;

/// Directories in this process, and what their watch tells.
pub struct Watching {
    told: Arc<Mutex<Vec<Changed>>>,
    chain: Chain,
    runtime: Runtime,
}

impl Watching {
    /// Opens the directories of a configuration and watches them.
    pub fn start(directories: &str) -> Self {
        let around = Surroundings::of_this_process(false);
        let config = Config::from_texts(&[(Path::new("test.toml"), directories)], &around);
        let config = config.unwrap_or_else(|problems| panic!("{problems}"));
        let runtime = Runtime::new().unwrap();
        let chain = runtime.block_on(async { Chain::open(&config.directories, None) });
        let chain = chain.unwrap_or_else(|misfits| panic!("{misfits:?}"));
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = Arc::clone(&told);
        let tell = move |changed: &[Changed]| {
            assert!(!changed.is_empty());
            tell.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(changed);
        };
        runtime.spawn(chain.clone().watch(Arc::new(tell)));
        Self { told, chain, runtime }
    }

    /// The same, once it knows where things stand.
    pub fn started(directories: &str) -> Self {
        let watching = Self::start(directories);
        watching.tells_everybody(1);
        watching
    }

    /// Whether the queries fit to the database.
    pub fn examine(&self) -> Result<(), String> {
        let examined = self.runtime.block_on(self.chain.examine());
        examined
            .map(|silent| assert!(silent.is_empty(), "{silent:?}"))
            .map_err(|misfits| format!("{misfits:?}"))
    }

    /// Has the directory that knows a user check a password. Whether it is theirs.
    pub fn binds(&self, user: &str, password: &str) -> bool {
        let user = Username::normalise(user.as_bytes(), None).unwrap();
        let inquiry = Inquiry { user: &user, service: "imap" };
        self.runtime.block_on(async {
            let found = self.chain.login(&inquiry).await.unwrap();
            let Ok(Check::Bind(directory, entry)) = found.check() else { panic!("{user:?} cannot be bound") };
            directory.bind(entry, &Secret::new(password.into())).await.unwrap() == Bound::Verified
        })
    }

    /// What was told so far, each time.
    pub fn told(&self) -> Vec<String> {
        self.lock().iter().map(name).collect()
    }

    /// Waits until each of the names was told so often, and nothing else; then it begins anew.
    #[track_caller]
    pub fn tells(&self, names: &[&str], times: usize) {
        let count = |told: &[String], name: &str| told.iter().filter(|told| *told == name).count();
        wait_until(&format!("{names:?} are told {times} times, and not {:?}", self.told()), || {
            let told = self.told();
            names.iter().all(|name| count(&told, name) >= times)
        });
        let told = self.take();
        assert_eq!(told, names.iter().map(|name| (*name).to_owned()).collect());
    }

    /// Waits until the names are told and nothing is told any more, and nothing else was; then it begins anew. Stamps of a
    /// second's precision are told again until that second is over.
    #[track_caller]
    pub fn tells_and_settles(&self, names: &[&str]) {
        wait_until(&format!("{names:?} are told"), || {
            let told = self.told();
            names.iter().all(|name| told.iter().any(|told| told == name))
        });
        let told = self.until_quiet();
        assert_eq!(told, names.iter().map(|name| (*name).to_owned()).collect());
    }

    /// The same of everybody.
    #[track_caller]
    pub fn tells_everybody(&self, times: usize) {
        self.tells(&["*"], times);
    }

    /// Waits until everybody, or each of the names, was told, among whatever else; then it begins anew.
    #[track_caller]
    pub fn tells_at_least(&self, names: &[&str]) {
        wait_until(&format!("at least {names:?} are told"), || {
            let told = self.told();
            let has = |name: &str| told.iter().any(|told| told == name);
            has("*") || names.iter().all(|name| has(name))
        });
        self.lock().clear();
    }

    /// Waits until nothing is told any more, for longer than a second telling takes; then it begins anew.
    #[track_caller]
    pub fn settles(&self) {
        self.until_quiet();
    }

    #[track_caller]
    fn until_quiet(&self) -> BTreeSet<String> {
        const QUIET: Duration = Duration::from_secs(3);
        let (mut told, mut since) = (self.told().len(), Instant::now());
        wait_until("nothing is told any more", || {
            let now = self.told().len();
            if now != told {
                (told, since) = (now, Instant::now());
            }
            since.elapsed() > QUIET
        });
        self.take()
    }

    fn take(&self) -> BTreeSet<String> {
        self.lock().drain(..).map(|changed| name(&changed)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Changed>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name(changed: &Changed) -> String {
    match changed {
        Changed::User(user) => user.as_str().to_owned(),
        Changed::Everybody => "*".to_owned(),
    }
}
