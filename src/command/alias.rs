//! `gatepost alias`: where mail goes on to, in a directory of type `sqlite`.
//!
//! Changes are written to its file, and a daemon that runs is told to forget what it knows.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    Answer, Common, Exit, ask,
    output::{Output, Plain},
    target::{Place, Target},
};
use crate::{
    config::Config,
    control::Request,
    directory::sqlite::{Alias as Leads, AliasError},
    username::Username,
};

/// What can be done with aliases.
#[derive(Debug, Subcommand)]
pub enum Alias {
    /// Have mail for an address go on to others
    Add(Add),
    /// List all aliases
    List(List),
    /// End an alias, or only that it leads to these
    Delete(Delete),
}

/// An alias to be added.
#[derive(Debug, Args)]
pub struct Add {
    /// The address; @example.org for everybody in a domain who is not there
    address: String,
    /// Where its mail goes on to; @example.net makes @example.org another name of that domain
    #[arg(required = true)]
    targets: Vec<String>,
    #[command(flatten)]
    place: Place,
}

/// Aliases to be listed.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    place: Place,
}

/// An alias to be ended.
#[derive(Debug, Args)]
pub struct Delete {
    /// The address
    address: String,
    /// Where its mail does not go on to any more; otherwise nowhere
    targets: Vec<String>,
    #[command(flatten)]
    place: Place,
}

impl Alias {
    pub(super) fn run(self, common: &Common) -> Exit {
        common.with_configuration(|config| self.answer(common, config))
    }

    fn answer(self, common: &Common, config: &Config) -> Result<Exit, Answer> {
        let target = Target::of(config, self.place().directory.as_deref())?;
        let (changed, answer) = match self {
            Self::Add(Add { address, targets, .. }) => add(&target, &address, &targets)?,
            Self::List(_) => return list(&target, common.json, Output::of_this_process()),
            Self::Delete(Delete { address, targets, .. }) => delete(&target, &address, &targets)?,
        };
        let exit = answer.print(common.json);
        // A daemon that runs finds out by itself, a little later; one that does not has nothing to forget. Of everybody in a
        // domain it is the domain that may be known as well.
        let changed = changed.strip_prefix('@').map_or(changed.clone(), |domain| format!("*{domain}"));
        let _ = ask::running(config, &Request::CacheFlush { users: vec![changed] });
        Ok(exit)
    }

    const fn place(&self) -> &Place {
        match self {
            Self::Add(Add { place, .. })
            | Self::List(List { place })
            | Self::Delete(Delete { place, .. }) => place,
        }
    }
}

/// The address, and what is said of it.
fn add(target: &Target<'_>, address: &str, targets: &[String]) -> Result<(String, Answer), Answer> {
    let address = whole(target, address)?;
    let targets: Vec<String> = targets.iter().map(|to| whole(target, to)).collect::<Result<_, _>>()?;
    let domains = targets.iter().filter(|to| to.starts_with('@')).count();
    if domains > 0 && (domains < targets.len() || targets.len() > 1 || !address.starts_with('@')) {
        let why =
            "a domain is another name of one other, as in: gatepost alias add @example.org @example.net";
        return Err(invalid(&address, why));
    }
    let mut users = target.open(true).map_err(|cannot| target.cannot(&cannot))?;
    for to in &targets {
        let alias = Leads { address: address.clone(), target: to.clone() };
        match users.add_alias(&alias) {
            // Whoever says it twice means it.
            Ok(()) | Err(AliasError::Exists) => {}
            Err(AliasError::Mixed) => return Err(invalid(&address, &AliasError::Mixed.to_string())),
            Err(AliasError::Trouble(trouble)) => return Err(target.trouble(&trouble)),
        }
    }
    let done = done(target, "added", &address, &targets);
    Ok((address, done))
}

/// Likewise.
fn delete(target: &Target<'_>, address: &str, targets: &[String]) -> Result<(String, Answer), Answer> {
    let address = whole(target, address)?;
    let targets: Vec<String> = targets.iter().map(|to| whole(target, to)).collect::<Result<_, _>>()?;
    let mut users = target.existing()?;
    let mut ended = 0;
    if targets.is_empty() {
        ended = users.delete_alias(&address, None).map_err(|trouble| target.trouble(&trouble))?;
    }
    for to in &targets {
        ended += users.delete_alias(&address, Some(to)).map_err(|trouble| target.trouble(&trouble))?;
    }
    if ended == 0 {
        let reason = format!("there is no such alias in directory {}", target.config.name);
        let json = json!({ "outcome": "not_found", "address": address, "reason": reason });
        return Err(Answer { exit: Exit::No, text: format!("{address}: {reason}"), json });
    }
    let done = done(target, "deleted", &address, &targets);
    Ok((address, done))
}

/// Prints the aliases as they are read, however many there are.
fn list<W: std::io::Write>(target: &Target<'_>, json: bool, mut output: Output<W>) -> Result<Exit, Answer> {
    const AT_ONCE: u16 = 1000;
    let users = target.existing()?;
    let next =
        |after: Option<&Leads>| users.aliases(after, AT_ONCE).map_err(|trouble| target.trouble(&trouble));
    let mut page = next(None)?;
    if json {
        output.say(format_args!("{{\"directory\":{},\"aliases\":[", json!(&*target.config.name)));
    }
    let mut separator = "";
    while let Some(last) = page.last().cloned() {
        for Leads { address, target } in &page {
            if json {
                output.say(format_args!("{separator}{}", json!({ "address": address, "target": target })));
                separator = ",";
            } else {
                output.say(format_args!("{} {}\n", Plain(address), Plain(target)));
            }
        }
        // Nobody reads on, so nothing more is read here.
        if !output.say("") {
            break;
        }
        page = next(Some(&last))?;
    }
    if json {
        output.say("]}\n");
    }
    Ok(output.end(Exit::Yes))
}

/// An address with its domain, or `@domain`, in normal form.
fn whole(target: &Target<'_>, typed: &str) -> Result<String, Answer> {
    if let Some(domain) = typed.strip_prefix('@') {
        // What can stand behind the @ of a name is a domain.
        let somebody = format!("somebody@{domain}");
        return match Username::normalise(somebody.as_bytes(), None).ok().as_ref().and_then(Username::domain) {
            Some(domain) => Ok(format!("@{domain}")),
            None => Err(invalid(typed, "it is no domain")),
        };
    }
    let address = target.name(typed)?;
    match address.domain() {
        Some(_) => Ok(address.as_str().to_owned()),
        None => Err(invalid(typed, "it has no domain: write the whole address")),
    }
}

fn invalid(address: &str, why: &str) -> Answer {
    Answer {
        exit: Exit::No,
        text: format!("{address}: {why}"),
        json: json!({ "outcome": "invalid", "address": address, "reason": why }),
    }
}

fn done(target: &Target<'_>, outcome: &str, address: &str, targets: &[String]) -> Answer {
    let directory = &*target.config.name;
    let leads = if targets.is_empty() { String::new() } else { format!(" -> {}", targets.join(", ")) };
    let json: Value =
        json!({ "outcome": outcome, "address": address, "targets": targets, "directory": directory });
    Answer { exit: Exit::Yes, text: format!("{outcome}: {address}{leads}, in directory {directory}"), json }
}
