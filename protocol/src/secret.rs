//! Bytes that grant access.

use std::fmt;

use zeroize::Zeroize as _;

/// Bytes that grant access: a password, a token, a SASL response. Wiped on drop.
///
/// Deliberately not `Clone`, `Display`, `PartialEq` or `Serialize`, in any build.
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the bytes over. A copy that the caller keeps is the caller's to wipe.
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes themselves. Each call is a place to review: grep for `expose`.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Length in bytes, which is no secret on these protocols.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing in it.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Room for one secret after another: what is put there is wiped once it is not held any more, and the room is used
/// again, so that a secret which is only looked at costs no allocation.
#[derive(Default)]
pub struct Scratch {
    room: Vec<u8>,
    /// So many bytes of it may be something else than zero.
    used: usize,
}

/// Room to begin with. No honest name and password come near.
const FIRST: usize = 1024;

/// Rooms of more bytes than this are not kept. Few tokens are longer.
const KEPT: usize = 4096;

impl Scratch {
    /// Without any room yet.
    pub const fn new() -> Self {
        Self { room: Vec::new(), used: 0 }
    }

    /// Room of so many bytes, to be filled from its beginning.
    #[inline]
    pub(crate) fn hold(&mut self, size: usize) -> Held<'_> {
        self.wipe();
        if self.room.len() < size {
            self.room = vec![0; if size > FIRST { size.max(KEPT) } else { FIRST }];
        }
        self.used = size;
        Held { scratch: self, len: 0 }
    }

    #[inline]
    fn wipe(&mut self) {
        let used = std::mem::take(&mut self.used);
        // Where there is no room yet, its address leads nowhere. The library fills no bytes by a store with nothing in its
        // mask, for which some processors take hundreds of cycles at such an address.
        if used > 0
            && let Some(used) = self.room.get_mut(..used)
        {
            used.zeroize();
        }
        if self.room.len() > KEPT {
            self.room = Vec::new();
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.wipe();
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scratch(..)")
    }
}

/// A secret in a [`Scratch`]. Wiped on drop; if it is forgotten instead, before the next one.
pub struct Held<'s> {
    scratch: &'s mut Scratch,
    len: usize,
}

impl Held<'_> {
    /// The bytes themselves. Each call is a place to review, as of [`Secret::expose`].
    #[inline]
    pub fn expose(&self) -> &[u8] {
        self.scratch.room.get(..self.len).unwrap_or_default()
    }

    /// All of the room that was asked for, not only what is the secret.
    #[inline]
    pub(crate) fn room(&mut self) -> &mut [u8] {
        self.scratch.room.get_mut(..self.scratch.used).unwrap_or_default()
    }

    /// So many bytes of the room are the secret.
    #[inline]
    pub(crate) const fn is(&mut self, len: usize) {
        self.len = len;
    }
}

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        self.scratch.wipe();
    }
}

impl fmt::Debug for Held<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held(..)")
    }
}

/// Overwrites all that the bytes ever took, in a way that no compiler leaves out.
///
/// Of a slice, `zeroize` fills it at once and then makes the compiler believe that somebody looks at it. Of a `Vec` it
/// writes each byte for itself, which takes ten times as long.
fn wipe(bytes: &mut Vec<u8>) {
    bytes.spare_capacity_mut().zeroize();
    bytes.as_mut_slice().zeroize();
}

#[cfg(test)]
mod tests {
    use super::{FIRST, KEPT, Scratch, Secret, wipe};

    #[test]
    fn debug_shows_nothing_of_it() {
        assert_eq!(format!("{:?}", Secret::new(b"hunter2".to_vec())), "Secret(..)");
        let mut scratch = Scratch::new();
        assert_eq!(format!("{scratch:?}"), "Scratch(..)");
        let mut held = scratch.hold(7);
        held.room().copy_from_slice(b"hunter2");
        assert_eq!(format!("{held:?}"), "Held(..)");
    }

    #[test]
    fn the_bytes_are_wiped() {
        let mut bytes = b"hunter2".to_vec();
        wipe(&mut bytes);
        assert_eq!(bytes, [0; 7]);
    }

    #[test]
    fn a_room_is_wiped_once_nobody_holds_it() {
        let mut scratch = Scratch::new();
        let mut held = scratch.hold(10);
        held.room().copy_from_slice(b"hunter2xxx");
        held.is(7);
        assert_eq!(held.expose(), b"hunter2");
        drop(held);
        assert_eq!(scratch.room, [0; FIRST]);
        assert!(scratch.hold(3).expose().is_empty(), "nothing is in it before it is filled");
    }

    #[test]
    fn a_room_that_was_forgotten_is_wiped_before_it_is_used_again() {
        let mut scratch = Scratch::new();
        let mut held = scratch.hold(7);
        held.room().copy_from_slice(b"hunter2");
        std::mem::forget(held);
        assert_eq!(scratch.hold(7).room(), [0; 7]);
    }

    #[test]
    fn a_large_room_is_not_kept() {
        let mut scratch = Scratch::new();
        assert_eq!(scratch.hold(KEPT + 1).room().len(), KEPT + 1);
        assert_eq!(scratch.room.capacity(), 0);
        assert_eq!(scratch.hold(KEPT).room().len(), KEPT);
        assert_eq!(scratch.room.len(), KEPT);
    }
}
