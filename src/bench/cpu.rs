//! What a server costs: the CPU time of its processes, as the kernel counts it.

use std::{collections::HashMap, fs, io, time::Duration};

use nix::unistd::{SysconfVar, sysconf};

/// Processes whose time is counted, threads included.
#[derive(Debug, Clone)]
pub struct Processes {
    /// Their pids.
    pub pids: Vec<u32>,
    /// Whether the processes below them count as well, those too that come and go meanwhile.
    pub children: bool,
}

/// Of one process, in clock ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// In user and kernel mode.
    own: u64,
    /// The same of its children that have ended and were waited for.
    ended_children: u64,
}

impl Processes {
    /// What they have used since they started, to the clock tick (10 ms).
    ///
    /// # Errors
    ///
    /// If one of them does not run.
    pub fn used(&self) -> io::Result<Duration> {
        let ticks_a_second =
            sysconf(SysconfVar::CLK_TCK)?.and_then(|ticks| u64::try_from(ticks).ok()).unwrap_or(100);
        let ticks = if self.children { self.with_children()? } else { self.alone()? };
        Ok(Duration::from_micros(ticks * 1_000_000 / ticks_a_second.max(1)))
    }

    fn alone(&self) -> io::Result<u64> {
        self.pids.iter().map(|&pid| Ok(stat(pid)?.own)).sum()
    }

    fn with_children(&self) -> io::Result<u64> {
        let mut all = HashMap::new();
        for entry in fs::read_dir("/proc")? {
            let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            // One that has ended since is in its parent's count, or in nobody's.
            if let Ok(stat) = stat(pid) {
                all.insert(pid, stat);
            }
        }
        for pid in &self.pids {
            all.get(pid).ok_or_else(|| not_there(*pid))?;
        }
        let counted = all.iter().filter(|(pid, _)| self.holds(**pid, &all));
        Ok(counted.map(|(_, stat)| stat.own + stat.ended_children).sum())
    }

    /// Whether `pid` is one of them or below one of them.
    fn holds(&self, mut pid: u32, all: &HashMap<u32, Stat>) -> bool {
        // Read one by one, these are no snapshot: the bound is for a chain that has become a ring.
        for _ in 0..all.len() {
            if self.pids.contains(&pid) {
                return true;
            }
            match all.get(&pid) {
                Some(stat) => pid = stat.parent,
                None => return false,
            }
        }
        false
    }
}

fn stat(pid: u32) -> io::Result<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).map_err(|_| not_there(pid))?;
    parse(&text)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat is unusual")))
}

fn not_there(pid: u32) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("no process {pid}"))
}

/// `<pid> (<name>) <state> <ppid> ...`, proc(5): `utime`, `stime`, `cutime` and `cstime` are fields 14 to 17. The name
/// may hold anything, parentheses too.
fn parse(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let mut ticks = fields.skip(9).map(|field| field.parse::<u64>().ok());
    let own = ticks.next()?? + ticks.next()??;
    let ended_children = ticks.next()?? + ticks.next()??;
    Some(Stat { parent, own, ended_children })
}

#[cfg(test)]
mod tests {
    use std::{
        process,
        time::{Duration, Instant},
    };

    use super::{Processes, Stat, parse};

    #[test]
    fn times_are_read_whatever_the_process_is_called() {
        for name in ["auth", "a) b (c", ") 9 9 9"] {
            let text = format!(
                "4711 ({name}) S 42 1 1 0 -1 4194560 900 0 0 0 120 30 7 5 20 0 1 0 1000 1 1 18446744073709551615\n"
            );
            assert_eq!(parse(&text), Some(Stat { parent: 42, own: 150, ended_children: 12 }), "{name}");
        }
        assert_eq!(parse("4711 (auth) S 42"), None);
    }

    /// Uses the CPU for a few clock ticks.
    fn work() {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(150) {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn work_shows_in_the_count() {
        let me = Processes { pids: vec![process::id()], children: false };
        let before = me.used().unwrap();
        work();
        assert!(me.used().unwrap() > before);
    }

    #[test]
    fn a_child_counts_if_it_is_asked_for_and_after_its_end_as_well() {
        let pids = vec![process::id()];
        let (alone, all) =
            (Processes { pids: pids.clone(), children: false }, Processes { pids, children: true });
        let mut child = process::Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        let with_child = |least: Duration| {
            let begun = Instant::now();
            while all.used().unwrap().saturating_sub(alone.used().unwrap()) < least {
                assert!(begun.elapsed() < Duration::from_secs(20), "the child's time does not show");
            }
        };
        with_child(Duration::from_millis(50));
        child.kill().unwrap();
        child.wait().unwrap();
        with_child(Duration::from_millis(50));
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        for children in [false, true] {
            let nobody = Processes { pids: vec![u32::MAX], children };
            assert!(nobody.used().is_err());
        }
    }
}
