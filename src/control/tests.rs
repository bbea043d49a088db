use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use gatepost_protocol::secret::Secret;
use tokio::{
    net::{UnixListener, UnixStream},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{PATIENCE, Request, accept, ask};
use crate::{
    config,
    decision::{Engine, Limits},
    directory::Chain,
    password::Pool,
};

const SOON: Duration = Duration::from_secs(20);

fn engine() -> Engine {
    let password = Some(Secret::new(b"{PLAIN}secret".to_vec()));
    let people = config::Directory {
        name: "people".into(),
        domains: Vec::new(),
        fields: Vec::new(),
        primary_password_services: None,
        kind: config::Kind::Static { password, users: None },
        master: None,
        rehash: None,
        change_poll: None,
        maps: Vec::new(),
        place: None,
    };
    let pool = Pool::with_queue(1, 1 << 26, 1);
    Engine::new(Chain::open(&[people], None).unwrap(), Arc::new(pool), Limits::default(), None)
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_does_not_answer_is_not_waited_for_for_ever() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("control");
    let _silent = UnixListener::bind(&path).unwrap();
    let asked = timeout(PATIENCE * 2, ask(&path, &Request::CacheStatus, None)).await.unwrap();
    assert_eq!(asked.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn who_says_nothing_holds_up_neither_others_nor_the_end() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("control");
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let socket = UnixListener::bind(&path).unwrap();
    let engines = Arc::new(ArcSwap::from_pointee(engine()));
    let accepting = accept(socket, engines, tasks.clone(), stop.clone());
    let accepting = tokio::spawn(stop.clone().run_until_cancelled_owned(accepting));
    let _silent = UnixStream::connect(&path).await.unwrap();
    for (password, outcome) in [("secret", "verified"), ("wrong", "rejected")] {
        let (user, service) = ("alice".to_owned(), "imap".to_owned());
        let request = Request::AuthTest { user, authzid: None, service, remote: None };
        let password = Secret::new(password.into());
        let response = timeout(SOON, ask(&path, &request, Some(&password))).await.unwrap().unwrap();
        assert_eq!(response.outcome, outcome);
    }
    stop.cancel();
    tasks.close();
    timeout(SOON, tasks.wait()).await.unwrap();
    timeout(SOON, accepting).await.unwrap().unwrap();
}
