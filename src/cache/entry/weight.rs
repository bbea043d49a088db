//! How much memory an entry takes: all of them together are bound by it.

use super::{Back, More, Right, Rules, Wrong};
use crate::{
    account::{Net, Services},
    decision::AppPassword,
};

impl Back {
    /// Bytes of memory that it takes, beside itself.
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
        chunk(self.text.apart()) + more
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

/// What an allocation of this size takes from glibc: a word for its size, in steps of 16, 32 at least.
const fn chunk(size: usize) -> usize {
    if size == 0 {
        return 0;
    }
    let taken = (size + 8).next_multiple_of(16);
    if taken < 32 { 32 } else { taken }
}
