//! The pool, with a hash function that runs for as long as the test wants.

use std::{
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use gatepost_protocol::secret::Secret;
use tokio::{sync::watch, task::JoinHandle, time::timeout};

use super::{Broken, Cost, Pool, Stored, Unverified};
use crate::password::{
    Scheme,
    kind::{Fields, Hash, Kind, Work},
};

const DEADLINE: Duration = Duration::from_secs(10);

/// A hash function that says when it runs and ends when it is told to.
pub(in crate::password) struct Probe {
    memory_kib: u32,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
    seen: watch::Sender<Seen>,
}

#[derive(Default, Clone, Copy)]
struct Seen {
    running: usize,
    held_kib: u32,
    most_held_kib: u32,
}

impl Gate {
    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    async fn running(&self, count: usize) {
        let mut seen = self.seen.subscribe();
        timeout(DEADLINE, seen.wait_for(|seen| seen.running == count)).await.unwrap().unwrap();
    }
}

impl Hash for Probe {
    fn matches(&self, password: &[u8]) -> Result<bool, Broken> {
        assert_ne!(password, b"panic", "this is the panic that the test is about");
        self.gate.seen.send_modify(|seen| {
            seen.running += 1;
            seen.held_kib += self.memory_kib;
            seen.most_held_kib = seen.most_held_kib.max(seen.held_kib);
        });
        let open = self.gate.open.lock().unwrap();
        let (open, _) = self.gate.opened.wait_timeout_while(open, DEADLINE, |open| !*open).unwrap();
        assert!(*open, "nobody opened the gate");
        self.gate.seen.send_modify(|seen| {
            seen.running -= 1;
            seen.held_kib -= self.memory_kib;
        });
        Ok(password == b"right")
    }

    fn cost(&self) -> Cost {
        Cost::Slow { memory_kib: self.memory_kib }
    }

    fn work(&self) -> Work {
        Work { function: "probe", parameters: [0; 5] }
    }

    fn feed(&self, _: &mut Fields<'_>) {}

    fn decoy(&self) -> Result<Kind, Broken> {
        Err(Broken)
    }
}

fn probe(memory_kib: u32, gate: &Arc<Gate>) -> Stored {
    let kind = Arc::new(Kind::Probe(Probe { memory_kib, gate: Arc::clone(gate) }));
    Stored { scheme: Scheme::Plain, kind, decoy: false, outdated: None }
}

fn start(pool: &Arc<Pool>, stored: &Stored, password: &[u8]) -> JoinHandle<Result<bool, Unverified>> {
    let (pool, stored, password) = (Arc::clone(pool), stored.clone(), Secret::new(password.to_vec()));
    tokio::spawn(async move { timeout(DEADLINE, pool.verify(&stored, &password)).await.unwrap() })
}

async fn verify(pool: &Pool, stored: &Stored, password: &[u8]) -> Result<bool, Unverified> {
    timeout(DEADLINE, pool.verify(stored, &Secret::new(password.to_vec()))).await.unwrap()
}

/// Waits until so many more could enter the pool.
async fn free(pool: &Pool, places: usize) {
    let until = async {
        while pool.places.available_permits() != places {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(DEADLINE, until).await.unwrap();
}

fn all_free(pool: &Pool) -> (usize, usize, usize) {
    let free = |semaphore: &tokio::sync::Semaphore| semaphore.available_permits();
    (free(&pool.places), free(&pool.threads), free(&pool.memory))
}

#[tokio::test]
async fn a_full_pool_is_busy_at_once_and_works_again_after() {
    let (pool, gate) = (Arc::new(Pool::with_queue(1, 1 << 20, 1)), Arc::default());
    let stored = probe(1, &gate);
    let running = start(&pool, &stored, b"right");
    gate.running(1).await;
    let waiting = start(&pool, &stored, b"wrong");
    free(&pool, 0).await;
    let refused = verify(&pool, &stored, b"right").await;
    assert_eq!(refused, Err(Unverified::Busy));
    gate.open();
    assert_eq!(running.await.unwrap(), Ok(true));
    assert_eq!(waiting.await.unwrap(), Ok(false));
    assert_eq!(all_free(&pool), (2, 1, 1024));
    assert_eq!(verify(&pool, &stored, b"right").await, Ok(true));
}

#[tokio::test]
async fn cheap_schemes_do_not_need_the_pool() {
    let (pool, gate) = (Arc::new(Pool::with_queue(1, 1 << 20, 0)), Arc::default());
    let running = start(&pool, &probe(1, &gate), b"right");
    gate.running(1).await;
    let plain = Stored::parse(b"{PLAIN}right", Scheme::Plain).unwrap();
    assert_eq!(verify(&pool, &plain, b"right").await, Ok(true));
    assert_eq!(verify(&pool, &plain, b"wrong").await, Ok(false));
    gate.open();
    assert_eq!(running.await.unwrap(), Ok(true));
}

#[tokio::test]
async fn who_goes_away_while_waiting_leaves_nothing_behind() {
    let (pool, gate) = (Arc::new(Pool::with_queue(1, 1 << 20, 3)), Arc::default());
    let stored = probe(400, &gate);
    let running = start(&pool, &stored, b"right");
    gate.running(1).await;
    // One waits for a thread, one for memory.
    let waiting = [start(&pool, &stored, b"right"), start(&pool, &stored, b"right")];
    free(&pool, 1).await;
    for waiting in &waiting {
        waiting.abort();
    }
    free(&pool, 3).await;
    assert_eq!(all_free(&pool), (3, 0, 624));
    gate.open();
    assert_eq!(running.await.unwrap(), Ok(true));
    assert_eq!(all_free(&pool), (4, 1, 1024));
}

#[tokio::test]
async fn who_goes_away_while_it_runs_frees_it_when_it_ends() {
    let (pool, gate) = (Arc::new(Pool::with_queue(1, 1 << 20, 0)), Arc::default());
    let running = start(&pool, &probe(400, &gate), b"right");
    gate.running(1).await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    assert_eq!(all_free(&pool), (0, 0, 624), "the hash still runs and still holds what it holds");
    gate.open();
    free(&pool, 1).await;
    assert_eq!(all_free(&pool), (1, 1, 1024));
}

#[tokio::test]
async fn running_hashes_stay_within_the_memory_budget() {
    let (pool, gate) = (Arc::new(Pool::with_queue(4, 100 * 1024, 4)), Arc::default());
    let stored = probe(40, &gate);
    let tasks: Vec<_> = (0..5).map(|_| start(&pool, &stored, b"right")).collect();
    gate.running(2).await;
    free(&pool, 3).await;
    assert_eq!(pool.threads.available_permits(), 2, "two threads are free and find no memory");
    gate.open();
    for task in tasks {
        assert_eq!(task.await.unwrap(), Ok(true));
    }
    assert_eq!(gate.seen.borrow().most_held_kib, 80);
    assert_eq!(all_free(&pool), (8, 4, 100));
}

#[tokio::test]
async fn a_hash_larger_than_the_whole_budget_is_refused_at_once() {
    let (pool, gate) = (Pool::with_queue(1, 100 * 1024, 1), Arc::default());
    let refused = verify(&pool, &probe(101, &gate), b"right").await;
    assert_eq!(refused, Err(Unverified::TooExpensive));
    gate.open();
    let fits = verify(&pool, &probe(100, &gate), b"right").await;
    assert_eq!(fits, Ok(true));
}

#[tokio::test]
async fn a_panic_in_a_hash_function_is_an_error_and_frees_its_place() {
    let (pool, gate) = (Pool::with_queue(1, 1 << 20, 0), Arc::new(Gate::default()));
    gate.open();
    let stored = probe(1, &gate);
    let broken = verify(&pool, &stored, b"panic").await;
    assert_eq!(broken, Err(Unverified::Broken));
    assert_eq!(all_free(&pool), (1, 1, 1024));
    assert_eq!(verify(&pool, &stored, b"right").await, Ok(true));
}

#[tokio::test]
async fn real_hashes_are_verified_on_the_pool() {
    let pool = Pool::new(0, 1 << 30);
    let stored =
        Stored::parse(crate::password::hash_new(b"right").unwrap().as_bytes(), Scheme::Plain).unwrap();
    assert_eq!(verify(&pool, &stored, b"right").await, Ok(true));
    assert_eq!(verify(&pool, &stored, b"wrong").await, Ok(false));
}
