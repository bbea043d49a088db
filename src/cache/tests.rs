mod model;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Cache, Digest, Key, Lesson, Limits, Said, Tick};
use crate::{
    account::{Account, Password, Services, State},
    username::Username,
};

const MINUTE: Duration = Duration::from_secs(60);

fn limits() -> Limits {
    Limits { ttl: 5 * MINUTE, negative_ttl: MINUTE, max_stale: 60 * MINUTE, max_memory: 64 << 20 }
}

fn cache(limits: Limits) -> Cache {
    Cache::new(limits, Instant::now()).unwrap().unwrap()
}

fn named(user: &str) -> Key<'_> {
    Key { user, service: "" }
}

/// An account of whom nothing but the name is known.
fn account(user: &str) -> Account {
    Account {
        user: Username::of_normal_form(user),
        directory: Arc::from("people"),
        password: Password::Missing,
        state: State::Active,
        allow_nets: None,
        services: Services::default(),
        nologin: None,
        passdb: Default::default(),
        userdb: Default::default(),
    }
}
