//! Which file it is, and in which state.

use std::{
    fs::{File, Metadata},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use zeroize::Zeroizing;

/// Largest file that is read, in bytes.
const LARGEST: u64 = 1 << 30;

/// What tells one state of a file from another.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    /// The same of the inode: a changed mode, or a modification time set back.
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// The bytes of a file and its stamp; `None` if it changed while it was read.
pub(super) fn read(path: &Path) -> io::Result<Option<(Stamp, Zeroizing<Vec<u8>>)>> {
    // Asked by name first: opening a FIFO would wait for a writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not an ordinary file"));
    }
    let mut file = File::open(path)?;
    let before = Stamp::of(&file.metadata()?);
    if before.size > LARGEST {
        return Err(io::Error::other("larger than 1 GiB"));
    }
    // One byte more than it should have, so that the vector never moves and leaves passwords behind.
    let room = usize::try_from(before.size).map_err(io::Error::other)? + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.by_ref().take(before.size + 1).read_to_end(&mut bytes)?;
    let same = before == Stamp::of(&file.metadata()?) && bytes.len() as u64 == before.size;
    Ok(same.then_some((before, bytes)))
}
