use std::{
    fs,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    auth,
    peer::{Peer, To},
    plain,
    support::{Alone, wait_until},
};

/// What a good login may take while others misbehave.
const BEARABLE: Duration = Duration::from_millis(50);

/// How many good logins there are at least beside each hostile peer.
const SAMPLES: usize = 25;

/// How much the daemon may grow at any time, in KiB: a hash takes 64 MiB, the rest is for what peers can pile up.
const ROOM: u64 = 128 * 1024;

/// Another peer, who logs in over and over: on a connection that stays, and on a new one, in turn.
#[derive(Debug)]
pub(crate) struct Watch {
    times: Mutex<Vec<Duration>>,
    enough: AtomicBool,
}

impl Watch {
    /// Lets `misbehave` happen under watch. What it returns is held until enough was seen beside it.
    ///
    /// Fails when more than one good login in a hundred (and one, where there were less) took longer than
    /// [`BEARABLE`]. Not the maximum: on a machine with two cores on which other work is going on, the scheduler alone
    /// lets somebody wait that long now and then, while a daemon that is held up is late every time.
    pub(crate) fn over<T: Send>(name: &str, gatepost: &mut Alone, misbehave: impl FnOnce(&Alone) -> T) {
        let pid = gatepost.process().pid();
        let before = memory(pid, "VmRSS:");
        let watch = Self { times: Mutex::default(), enough: AtomicBool::new(false) };
        let gatepost = &*gatepost;
        thread::scope(|scope| {
            scope.spawn(|| watch.look_on(gatepost));
            // Whatever happens, the other thread must end.
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                wait_until("the first good login", || watch.seen() > 0);
                let held = misbehave(gatepost);
                let so_far = watch.seen();
                wait_until("enough good logins", || watch.seen() >= (so_far + 3).max(SAMPLES));
                drop(held);
            }));
            watch.enough.store(true, Ordering::Relaxed);
            if let Err(panic) = done {
                eprintln!("while: {name}");
                std::panic::resume_unwind(panic);
            }
        });
        let mut times = watch.times.into_inner().unwrap();
        times.sort_unstable();
        let late = times.iter().filter(|&&time| time > BEARABLE).count();
        let (count, most) = (times.len(), times[times.len() - 1]);
        let allowed = count.div_ceil(100);
        assert!(
            late <= allowed,
            "{name}: {late} of {count} good logins took more than {BEARABLE:?}: {times:?}"
        );
        let peak = memory(pid, "VmHWM:");
        assert!(peak < before + ROOM, "{name}: grew from {before} to {peak} KiB");
        eprintln!(
            "{count:5} good logins, median {:5.2?}, 99% {:5.2?}, longest {most:5.2?}, at most {peak} KiB: {name}",
            times[count / 2],
            times[count * 99 / 100],
        );
    }

    fn seen(&self) -> usize {
        self.times.lock().unwrap().len()
    }

    fn look_on(&self, gatepost: &Alone) {
        let response = plain("watch@example.org", "watchword");
        let mut stays = Peer::connect(gatepost, To::Auth("client", 2));
        for id in 1_u32.. {
            if self.enough.load(Ordering::Relaxed) {
                return;
            }
            let begun = Instant::now();
            let mut fresh;
            let peer = if id % 2 == 0 {
                fresh = Peer::connect(gatepost, To::Auth("login", 2));
                &mut fresh
            } else {
                &mut stays
            };
            peer.say(auth(id, &response));
            assert_eq!(peer.lines(1), format!("OK\t{id}\tuser=watch@example.org\n"));
            self.times.lock().unwrap().push(begun.elapsed());
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// What a process holds of memory now (`VmRSS:`) or has held at most (`VmHWM:`), in KiB.
fn memory(pid: u32, what: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
