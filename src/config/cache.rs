//! `[cache]`: how long what directories have said is kept in memory.

use std::time::Duration;

use super::reader::Reader;

/// `[cache]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cache {
    /// `ttl`: how long a verified password is trusted without asking again, 1s to 24h. Default 5m; 0s keeps nothing.
    pub ttl: Duration,
    /// `negative_ttl`: how long an unknown user, or one particular wrong password, is remembered, 1s to 1h. Default 1m; 0s:
    /// not at all.
    pub negative_ttl: Duration,
    /// `max_stale`: how long past its `ttl` an entry may still serve while its directory does not answer, 1s to 30
    /// days. Default 24h; 0s: not at all.
    pub max_stale: Duration,
    /// `max_memory`: bytes for all of it, 1MiB to 1TiB. Default 256MiB.
    pub max_memory: u64,
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Default for Cache {
    fn default() -> Self {
        Self { ttl: 5 * MINUTE, negative_ttl: MINUTE, max_stale: DAY, max_memory: 256 << 20 }
    }
}

/// Reads `[cache]`.
pub(super) fn cache(mut reader: Reader<'_>) -> Cache {
    let usual = Cache::default();
    // Who writes 5ms wants 5m.
    let ttl = reader.duration_or_zero("ttl", SECOND..=DAY);
    let negative_ttl = reader.duration_or_zero("negative_ttl", SECOND..=HOUR);
    let max_stale = reader.duration_or_zero("max_stale", SECOND..=30 * DAY);
    let max_memory = reader.size("max_memory", 1 << 20..=1 << 40);
    reader.finish();
    Cache {
        ttl: ttl.unwrap_or(usual.ttl),
        negative_ttl: negative_ttl.unwrap_or(usual.negative_ttl),
        max_stale: max_stale.unwrap_or(usual.max_stale),
        max_memory: max_memory.unwrap_or(usual.max_memory),
    }
}
