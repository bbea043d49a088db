//! `gatepost user`: the accounts of a directory of type `sqlite`.
//!
//! Changes are written to its file, and a daemon that runs is told to forget what it knows of the user: there is nothing
//! to reload.

use std::path::Path;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    Answer, Common, Exit, ask,
    output::{Output, Plain},
    password,
    target::{Cannot, Place, Target, describe, no, taken, unavailable},
};
use crate::{
    app_password::{self, Records},
    config::Config,
    control::Request,
    daemon::Failure,
    directory::sqlite::{AddError, NewUser, Trouble},
    password::hash_new,
    username::Username,
};

/// What can be done with users.
#[derive(Debug, Subcommand)]
pub enum User {
    /// Add a user; the password is asked for, or read from standard input
    Add(Add),
    /// List all users
    List(List),
    /// Show what is known of a user
    Show(Show),
    /// Give a user a new password; it is asked for, or read from standard input
    Passwd(Passwd),
    /// Delete a user with their app passwords. The mail stays
    Delete(Delete),
}

/// A user to be added.
#[derive(Debug, Args)]
pub struct Add {
    /// The login name
    user: String,
    /// System user of the mail processes, by name or number
    #[arg(long)]
    uid: Option<String>,
    /// Their group, by name or number
    #[arg(long)]
    gid: Option<String>,
    /// Home directory
    #[arg(long, value_name = "PATH")]
    home: Option<String>,
    /// Another field, such as `active=no`, `allow_nets=192.0.2.0/24` or `quota_rule=*:bytes=1G`
    #[arg(long = "field", value_name = "NAME=VALUE", value_parser = field)]
    fields: Vec<(String, String)>,
    /// Ask for no password: nobody can log in, and mail can be delivered
    #[arg(long)]
    no_password: bool,
    #[command(flatten)]
    place: Place,
}

/// Users to be listed.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    place: Place,
}

/// A user to be shown.
#[derive(Debug, Args)]
pub struct Show {
    /// The login name
    user: String,
    #[command(flatten)]
    place: Place,
}

/// A password to be changed.
#[derive(Debug, Args)]
pub struct Passwd {
    /// The login name
    user: String,
    #[command(flatten)]
    place: Place,
}

/// A user to be deleted.
#[derive(Debug, Args)]
pub struct Delete {
    /// The login name
    user: String,
    #[command(flatten)]
    place: Place,
}

impl User {
    pub(super) fn run(self, common: &Common) -> Exit {
        common.with_configuration(|config| self.answer(common, config))
    }

    fn answer(self, common: &Common, config: &Config) -> Result<Exit, Answer> {
        let target = Target::of(config, self.place().directory.as_deref())?;
        let changed = self.changed().map(str::to_owned);
        let answer = match self {
            Self::Add(add) => add.run(&target)?,
            Self::List(_) => return list(&target, common.json, Output::of_this_process()),
            Self::Show(Show { user, .. }) => show(&target, &user)?,
            Self::Passwd(Passwd { user, .. }) => passwd(&target, &user)?,
            Self::Delete(Delete { user, .. }) => delete(&target, &config.server.state_dir, &user)?,
        };
        let exit = answer.print(common.json);
        // A daemon that runs finds out by itself, a little later; one that does not has nothing to forget.
        if let Some(name) = changed {
            let _ = ask::running(config, &Request::CacheFlush { users: vec![name] });
        }
        Ok(exit)
    }

    /// The user that is another one afterwards.
    fn changed(&self) -> Option<&str> {
        match self {
            Self::List(_) | Self::Show(_) => None,
            Self::Add(Add { user, .. })
            | Self::Passwd(Passwd { user, .. })
            | Self::Delete(Delete { user, .. }) => Some(user),
        }
    }

    const fn place(&self) -> &Place {
        match self {
            Self::Add(Add { place, .. })
            | Self::List(List { place })
            | Self::Show(Show { place, .. })
            | Self::Passwd(Passwd { place, .. })
            | Self::Delete(Delete { place, .. }) => place,
        }
    }
}

impl Add {
    fn run(self, target: &Target<'_>) -> Result<Answer, Answer> {
        let user = target.name(&self.user)?;
        if !target.config.serves(user.domain()) {
            let why =
                format!("directory {} is never asked about {user}: see its domains", target.config.name);
            return Err(no("invalid", &user, &why));
        }
        // Before somebody thinks of a password. The file is made when there is something to write to it.
        match target.open(false) {
            Ok(users) if users.has(&user).map_err(|trouble| target.trouble(&trouble))? => {
                return Err(taken(&user));
            }
            Ok(_) | Err(Cannot::Trouble(Trouble::Missing)) => {}
            Err(cannot) => return Err(target.cannot(&cannot)),
        }
        let password = if self.no_password { None } else { Some(new_password(&user)?) };
        let new = NewUser { password, uid: self.uid, gid: self.gid, home: self.home, fields: self.fields };
        let mut users = target.open(true).map_err(|cannot| target.cannot(&cannot))?;
        match users.add(&user, &new) {
            Ok(()) => Ok(target.done("added", &user)),
            Err(AddError::Exists) => Err(taken(&user)),
            Err(AddError::Bad(why)) => Err(no("invalid", &user, &why)),
            Err(AddError::Trouble(trouble)) => Err(target.trouble(&trouble)),
        }
    }
}

/// Prints the names as they are read, however many there are.
fn list<W: std::io::Write>(target: &Target<'_>, json: bool, mut output: Output<W>) -> Result<Exit, Answer> {
    const AT_ONCE: u16 = 1000;
    let users = target.existing()?;
    let next = |after: &str| users.page(after, AT_ONCE).map_err(|trouble| target.trouble(&trouble));
    // Read before anything is written, so that the usual failures leave nothing half said.
    let mut page = next("")?;
    if json {
        output.say(format_args!("{{\"directory\":{},\"users\":[", json!(&*target.config.name)));
    }
    let mut separator = "";
    while let Some(last) = page.last().cloned() {
        for name in &page {
            if json {
                output.say(format_args!("{separator}{}", json!(name)));
                separator = ",";
            } else {
                output.say(format_args!("{}\n", Plain(name)));
            }
        }
        // Nobody reads on, so nothing more is read here.
        if !output.say("") {
            break;
        }
        page = next(&last)?;
    }
    if json {
        output.say("]}\n");
    }
    Ok(output.end(Exit::Yes))
}

fn show(target: &Target<'_>, user: &str) -> Result<Answer, Answer> {
    let user = target.name(user)?;
    let details = target.existing()?.details(&user).map_err(|trouble| target.trouble(&trouble))?;
    let details = details.ok_or_else(|| target.unknown(&user))?;
    let (text, json) = describe(&target.config.name, &user, &details);
    Ok(Answer { exit: Exit::Yes, text, json })
}

fn passwd(target: &Target<'_>, user: &str) -> Result<Answer, Answer> {
    let user = target.name(user)?;
    let mut users = target.existing()?;
    if !users.has(&user).map_err(|trouble| target.trouble(&trouble))? {
        return Err(target.unknown(&user));
    }
    let stored = new_password(&user)?;
    match users.set_password(&user, &stored) {
        Ok(true) => Ok(target.done("changed", &user)),
        Ok(false) => Err(target.unknown(&user)),
        Err(trouble) => Err(target.trouble(&trouble)),
    }
}

/// Deletes a user with their app passwords: whoever gets the name next is somebody else.
fn delete(target: &Target<'_>, state_dir: &Path, user: &str) -> Result<Answer, Answer> {
    let user = target.name(user)?;
    let mut users = target.existing()?;
    if !users.has(&user).map_err(|trouble| target.trouble(&trouble))? {
        return Err(target.unknown(&user));
    }
    let file = state_dir.join(app_password::FILE);
    let revoked = match Records::open(&file, false) {
        Ok(mut records) => records.revoke_all(&user),
        Err(trouble) if trouble.is_missing() => Ok(0),
        Err(trouble) => Err(trouble),
    };
    let revoked = revoked.map_err(|trouble| unavailable(format!("{}: {trouble}", file.display())))?;
    match users.delete(&user) {
        Ok(true) => {
            let mut done = target.done("deleted", &user);
            if let Some(said) = done.json.as_object_mut() {
                said.insert("app_passwords".to_owned(), json!(revoked));
            }
            Ok(done)
        }
        Ok(false) => Err(target.unknown(&user)),
        Err(trouble) => Err(target.trouble(&trouble)),
    }
}

/// Asks for a new password, and makes its stored form.
fn new_password(user: &Username) -> Result<zeroize::Zeroizing<String>, Answer> {
    let password = match password::read_new(&format!("New password of {user}")) {
        Ok(password) => password,
        Err(password::NotRead::Unfit(why)) => return Err(no("invalid", user, why)),
        Err(password::NotRead::Io(error)) => {
            return Err(Answer::failure(&Failure::Io("the password", error)));
        }
    };
    hash_new(password.expose()).map_err(|broken| unavailable(broken.to_string()))
}

fn field(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE"),
    }
}
