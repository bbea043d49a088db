//! The directory that a command is about, and what there is to say of it.

use clap::Args;
use serde_json::{Value, json};

use super::{Answer, Exit, output::Plain};
use crate::{
    config::{self, Config, Kind},
    directory::{
        self,
        sqlite::{Details, Trouble, Users},
    },
    username::Username,
};

/// Where the users and aliases are.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// The directory, by its name; otherwise the first of type sqlite
    #[arg(long, value_name = "NAME")]
    pub(super) directory: Option<String>,
}

/// A directory of the configuration, and how names are completed in it.
pub(super) struct Target<'c> {
    pub(super) config: &'c config::Directory,
    domain: Option<&'c str>,
}

/// Why a database cannot be opened.
pub(super) enum Cannot {
    Misfit(directory::Misfit),
    Trouble(Trouble),
}

impl<'c> Target<'c> {
    pub(super) fn of(config: &'c Config, directory: Option<&str>) -> Result<Self, Answer> {
        let domain = config.server.default_domain.as_deref();
        let mut directories = config.directories.iter();
        let found = match directory {
            Some(name) => directories.find(|directory| *directory.name == *name),
            None => directories.find(|directory| matches!(directory.kind, Kind::Sqlite { .. })),
        };
        if let Some(config) = found {
            return Ok(Self { config, domain });
        }
        Err(wrong(match directory {
            Some(name) => format!("there is no directory of the name {name:?} in the configuration"),
            None => "there is no directory of type sqlite in the configuration".to_owned(),
        }))
    }

    /// The name that a login with it would come to.
    pub(super) fn name(&self, typed: &str) -> Result<Username, Answer> {
        Username::normalise(typed.as_bytes(), self.domain).map_err(|invalid| Answer {
            exit: Exit::No,
            text: format!("{typed:?} cannot be a login name: {invalid}"),
            json: json!({ "outcome": "invalid", "user": typed, "reason": invalid.to_string() }),
        })
    }

    pub(super) fn open(&self, create: bool) -> Result<Users, Cannot> {
        let opened = directory::users(self.config, self.domain, create).map_err(Cannot::Misfit)?;
        opened.map_err(Cannot::Trouble)
    }

    pub(super) fn existing(&self) -> Result<Users, Answer> {
        self.open(false).map_err(|cannot| self.cannot(&cannot))
    }

    pub(super) fn cannot(&self, cannot: &Cannot) -> Answer {
        match cannot {
            Cannot::Misfit(misfit) => wrong(misfit.to_string()),
            Cannot::Trouble(trouble) => self.trouble(trouble),
        }
    }

    pub(super) fn trouble(&self, trouble: &Trouble) -> Answer {
        let file = match &self.config.kind {
            Kind::Sqlite { file, .. } => format!("{}: ", file.display()),
            Kind::Sql(_) | Kind::Ldap(_) | Kind::PasswdFile { .. } | Kind::Static { .. } => String::new(),
        };
        let reason = format!("directory {}: {file}{trouble}", self.config.name);
        match trouble {
            // Waiting does not help with these.
            Trouble::Foreign | Trouble::Newer { .. } => wrong(reason),
            Trouble::Missing | Trouble::Empty | Trouble::Io(_) | Trouble::Sqlite(_) => unavailable(reason),
        }
    }

    pub(super) fn done(&self, outcome: &str, user: &Username) -> Answer {
        let directory = &*self.config.name;
        Answer {
            exit: Exit::Yes,
            text: format!("{outcome}: {user}, in directory {directory}"),
            json: json!({ "outcome": outcome, "user": user.as_str(), "directory": directory }),
        }
    }

    pub(super) fn unknown(&self, user: &Username) -> Answer {
        let why = format!("there is no such user in directory {}", self.config.name);
        no("not_found", user, &why)
    }
}

/// What `show` says of a user.
pub(super) fn describe(directory: &str, user: &Username, details: &Details) -> (String, Value) {
    let scheme = details.scheme.map(|scheme| scheme.name());
    // For the next hop of a proxied login, and for no screen.
    let shown =
        |name: &str, value: &str| if name == "pass" { "(not shown)".to_owned() } else { value.to_owned() };
    let fields: serde_json::Map<String, Value> =
        details.fields.iter().map(|(name, value)| (name.clone(), json!(shown(name, value)))).collect();
    let json = json!({
        "outcome": "found", "user": user.as_str(), "directory": directory,
        "password": scheme, "active": details.active,
        "uid": details.uid, "gid": details.gid, "home": details.home, "fields": fields,
        "created_at": details.created_at, "updated_at": details.updated_at,
        "unavailable": details.unavailable,
    });
    let mut text = format!("{user}, in directory {directory}");
    let mut line = |name: &str, value: &str| {
        text.push_str(&format!("\n  {:<12} {}", Plain(name).to_string(), Plain(value)));
    };
    line("password", scheme.unwrap_or("none: nobody can log in"));
    line("active", if details.active { "yes" } else { "no" });
    let ids = [("uid", details.uid), ("gid", details.gid)];
    for (name, id) in ids.into_iter().filter_map(|(name, id)| Some((name, id?))) {
        line(name, &id.to_string());
    }
    if let Some(home) = &details.home {
        line("home", home);
    }
    for (name, value) in &details.fields {
        line(name, &shown(name, value));
    }
    line("created", &details.created_at);
    line("updated", &details.updated_at);
    if let Some(why) = &details.unavailable {
        line("unavailable", why);
    }
    (text, json)
}

pub(super) fn taken(user: &Username) -> Answer {
    no("exists", user, "there is such a user already")
}

pub(super) fn no(outcome: &str, user: &Username, reason: &str) -> Answer {
    Answer {
        exit: Exit::No,
        text: format!("{user}: {reason}"),
        json: json!({ "outcome": outcome, "user": user.as_str(), "reason": reason }),
    }
}

pub(super) fn wrong(reason: String) -> Answer {
    Answer { exit: Exit::Config, json: json!({ "outcome": "invalid", "reason": reason }), text: reason }
}

pub(super) fn unavailable(reason: String) -> Answer {
    Answer {
        exit: Exit::Temporary,
        json: json!({ "outcome": "unavailable", "reason": reason }),
        text: reason,
    }
}
