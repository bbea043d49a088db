//! What is wrong with the configuration of a directory, or of a provider, beyond its form.

use std::{fmt, sync::Arc};

use crate::config::{self, Place};

/// Something that the configuration says and that no account could be made with: a password scheme that is not
/// supported, a field that may not be sent. The daemon does not start with one.
#[derive(Debug, Clone)]
pub struct Misfit {
    whose: String,
    place: Option<Place>,
    what: String,
}

impl Misfit {
    pub(super) fn new(config: &config::Directory, what: String) -> Self {
        Self::at(&config.name, config.place.clone(), what)
    }

    pub(super) fn at(directory: &Arc<str>, place: Option<Place>, what: String) -> Self {
        Self { whose: format!("directory {directory}"), place, what }
    }

    pub(super) fn of_provider(config: &config::Oidc, what: String) -> Self {
        Self { whose: format!("provider {}", config.name), place: config.place.clone(), what }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        write!(f, "{}: {}", self.whose, self.what)
    }
}

impl std::error::Error for Misfit {}
