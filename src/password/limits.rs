//! What one verification may cost. A row in a directory is not always the administrator's own: whoever may write it
//! must not be able to stop the daemon with it. Above a limit, the row is [`Unusable`](super::Unusable).

/// Longest stored password, in bytes, encoded.
pub const STORED_BYTES: usize = 8192;

/// Most memory of an argon2, yescrypt or scrypt hash, in KiB: 1 GiB, which is what `doveadm pw -s ARGON2ID -r 4` takes.
pub const MEMORY_KIB: u64 = 1 << 20;

/// Most memory written by an argon2, yescrypt or scrypt hash in all its passes, in KiB: 4 GiB, some seconds.
pub const WORK_KIB: u64 = 1 << 22;

/// Most lanes of an argon2, yescrypt or scrypt hash. They run one after another here.
pub const LANES: u32 = 64;

/// Most rounds of SHA256-CRYPT and SHA512-CRYPT. passlib writes 656,000.
pub const SHA_CRYPT_ROUNDS: u32 = 1_000_000;

/// Longest password tried against SHA256-CRYPT and SHA512-CRYPT, in bytes; their time grows with it in every round.
/// libxcrypt takes no longer one either (`CRYPT_MAX_PASSPHRASE_SIZE`), so no such hash can have been made.
pub const SHA_CRYPT_PASSWORD_BYTES: usize = 511;

/// Most rounds of PBKDF2, SCRAM and `$sha1$`. OWASP's advice for PBKDF2 with SHA-1 is 1,300,000.
pub const PBKDF2_ROUNDS: u32 = 2_000_000;

/// Most rounds that `$md5$` may ask for on top of its 4096. Solaris writes 904, libxcrypt up to 98,304.
pub const SUN_MD5_ROUNDS: u32 = 1_000_000;

/// Highest count of BSDi's extended DES. passlib writes 5001, BSDi wrote 725.
pub const DES_COUNT: u32 = 1_000_000;

/// Longest chain of one-time passwords. RFC 2289 has them start at 500 or so, Dovecot at 1024.
pub const OTP_STEPS: u32 = 100_000;

/// Highest cost of BLF-CRYPT: 2^16 key expansions, some seconds.
pub const BLF_CRYPT_COST: u32 = 16;
