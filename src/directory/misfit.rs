//! What is wrong with a directory's configuration beyond its form.

use std::{fmt, sync::Arc};

use crate::config::{self, Place};

/// Something that the configuration says and that no account could be made with: a password scheme that is not
/// supported, a field that may not be sent. The daemon does not start with one.
#[derive(Debug, Clone)]
pub struct Misfit {
    directory: Arc<str>,
    place: Option<Place>,
    what: String,
}

impl Misfit {
    pub(super) fn new(config: &config::Directory, what: String) -> Self {
        Self::at(&config.name, config.place.clone(), what)
    }

    pub(super) fn at(directory: &Arc<str>, place: Option<Place>, what: String) -> Self {
        Self { directory: Arc::clone(directory), place, what }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        write!(f, "directory {}: {}", self.directory, self.what)
    }
}

impl std::error::Error for Misfit {}
