//! What one verification may cost. A row in a directory is not always the administrator's own: whoever may write it
//! must not be able to stop the daemon with it. Above a limit, the row is [`Unusable`](super::Unusable).

/// Longest stored password, in bytes, encoded.
pub const STORED_BYTES: usize = 8192;

/// Most memory of an argon2 or yescrypt hash, in KiB: 1 GiB, which is what `doveadm pw -s ARGON2ID -r 4` takes.
pub const MEMORY_KIB: u64 = 1 << 20;

/// Most memory written by an argon2 or yescrypt hash in all its passes, in KiB: 4 GiB, some seconds.
pub const WORK_KIB: u64 = 1 << 22;

/// Most lanes of an argon2 or yescrypt hash. They run one after another here.
pub const LANES: u32 = 64;

/// Most rounds of SHA256-CRYPT and SHA512-CRYPT. passlib writes 656,000.
pub const SHA_CRYPT_ROUNDS: u32 = 1_000_000;

/// Longest password tried against SHA256-CRYPT and SHA512-CRYPT, in bytes; their time grows with it in every round.
/// libxcrypt takes no longer one either (`CRYPT_MAX_PASSPHRASE_SIZE`), so no such hash can have been made.
pub const SHA_CRYPT_PASSWORD_BYTES: usize = 511;

/// Highest cost of BLF-CRYPT: 2^16 key expansions, some seconds.
pub const BLF_CRYPT_COST: u32 = 16;
