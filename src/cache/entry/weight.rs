//! How much memory an entry takes: all of them together are bound by it.

use super::{Entry, More, Right, Rules, Wrong};
use crate::{
    account::{Net, Services},
    decision::AppPassword,
};

impl Entry {
    /// Bytes of memory that it takes, beside its place in the table.
    pub(in crate::cache) fn weight(&self) -> usize {
        let more = self.more.as_ref().map_or(0, |more| {
            let rights = more.app_passwords.iter().map(|right| {
                chunk(size_of::<AppPassword>() + 16)
                    + chunk(right.which.id.len())
                    + chunk(right.which.label.len())
                    + heap(&right.which.scope.services, right.which.scope.allow_nets.as_deref())
            });
            let rules = more.rules.as_ref().map_or(0, Rules::weight);
            // Behind the counts of who shares it.
            let other = more.elsewhere.as_ref().map_or(0, |other| chunk(other.user.as_str().len() + 16));
            chunk(size_of::<More>())
                + chunk(more.app_passwords.capacity() * size_of::<Right>())
                + chunk(more.wrong.capacity() * size_of::<Wrong>())
                + rights.sum::<usize>()
                + rules
                + other
        });
        chunk(size_of::<Self>()) + chunk(self.text.apart()) + more
    }
}

impl Rules {
    /// Bytes of memory that it takes beside itself.
    fn weight(&self) -> usize {
        let reason = self.nologin.as_ref().and_then(|nologin| nologin.reason.as_ref());
        heap(&self.services, self.allow_nets.as_deref()) + reason.map_or(0, |reason| chunk(reason.len()))
    }
}

/// Bytes of memory that these take beside themselves.
fn heap(services: &Services, nets: Option<&[Net]>) -> usize {
    let names = services.names().map(|name| chunk(name.len()) + size_of::<String>());
    // The lists of them as well.
    names.sum::<usize>() + chunk(nets.map_or(0, size_of_val))
}

/// What an allocation of this size takes: steps of 16 bytes up to 64, then four to each doubling.
const fn chunk(size: usize) -> usize {
    match size {
        0 => 0,
        1..=64 => size.next_multiple_of(16),
        _ => size.next_multiple_of(1 << ((size - 1).ilog2() - 2)),
    }
}

#[cfg(test)]
mod tests {
    use super::chunk;

    #[test]
    fn sizes_go_up_in_the_steps_of_the_allocator() {
        let sizes = [0, 1, 16, 17, 64, 65, 80, 81, 112, 113, 128, 129, 160, 192, 193, 256, 257, 1000];
        let taken = [0, 16, 16, 32, 64, 80, 80, 96, 112, 128, 128, 160, 160, 192, 224, 256, 320, 1024];
        assert_eq!(sizes.map(chunk), taken);
    }
}
