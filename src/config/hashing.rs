//! `[hashing]`: what checking passwords may cost this machine.

use super::reader::Reader;

/// `[hashing]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashing {
    /// `threads`: how many slow hashes are computed at a time, 0 to 1024. 0, the default: one a core.
    pub threads: usize,
    /// `memory`: what all of them may hold at a time, in bytes, 64MiB to 1TiB. Default 1GiB. A hash that
    /// alone needs more can never be checked.
    pub memory: u64,
    /// `queue`: how many more may wait for a thread, 1 to 1048576. Default 1024. One beyond that is answered
    /// as unavailable at once.
    pub queue: usize,
}

/// Reads `[hashing]`.
pub(super) fn hashing(mut reader: Reader<'_>) -> Hashing {
    let threads = reader.number("threads", 0..=1024);
    let memory = reader.size("memory", 64 << 20..=1 << 40);
    let queue = reader.number("queue", 1..=1 << 20);
    reader.finish();
    Hashing { threads: threads.unwrap_or(0), memory: memory.unwrap_or(1 << 30), queue: queue.unwrap_or(1024) }
}
