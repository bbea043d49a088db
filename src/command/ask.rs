//! `gatepost auth test`, `gatepost lookup` and `gatepost map query`: what a peer would be told, and why.

use std::{fmt::Write as _, io, net::IpAddr, path::Path};

use clap::Args;
use gatepost_protocol::secret::Secret;
use serde_json::json;

use super::{Answer, Common, Exit, password, small_runtime};
use crate::{
    config::Config,
    control::{self, Request, Response},
    daemon::{self, Failure},
};

/// A login to try.
#[derive(Debug, Args)]
pub struct Test {
    /// The login name
    user: String,
    /// The service to log in to
    #[arg(long, default_value = "imap")]
    service: String,
    /// The address to log in from
    #[arg(long, value_name = "ADDRESS")]
    remote: Option<IpAddr>,
    /// Whom to act as
    #[arg(long, value_name = "USER")]
    authzid: Option<String>,
}

/// A user to look up.
#[derive(Debug, Args)]
pub struct Lookup {
    /// The name
    user: String,
    /// The service that asks, such as imap or lmtp
    #[arg(long, default_value = "")]
    service: String,
}

/// A key to look up in a table.
#[derive(Debug, Args)]
pub struct Query {
    /// The map: domains, mailboxes, aliases, alias_domains, senders, recipients, or one of [directory.maps]
    name: String,
    /// The key as Postfix has it: an address or a domain
    key: String,
}

impl Test {
    pub(super) fn run(self, common: &Common) -> Answer {
        let password = match password::read(&format!("Password of {}", self.user)) {
            Ok(password) => password,
            Err(error) => return Answer::failure(&Failure::Io("the password", error)),
        };
        let Self { user, service, remote, authzid } = self;
        ask(common, Request::AuthTest { user, authzid, service, remote }, Some(password))
    }
}

impl Lookup {
    pub(super) fn run(self, common: &Common) -> Answer {
        ask(common, Request::Lookup { user: self.user, service: self.service }, None)
    }
}

impl Query {
    pub(super) fn run(self, common: &Common) -> Answer {
        ask(common, Request::MapQuery { map: self.name, key: self.key }, None)
    }
}

fn ask(common: &Common, request: Request, password: Option<Secret>) -> Answer {
    let config = match common.configuration() {
        Ok(config) => config,
        Err(no) => return no,
    };
    match answer_of(&config, request, password) {
        Ok(response) => say(&response),
        Err(failure) => Answer::failure(&failure),
    }
}

/// What the running daemon answers.
pub(super) fn running(config: &Config, request: &Request) -> Result<Response, Failure> {
    let runtime = small_runtime().map_err(|error| Failure::Io("the runtime", error))?;
    let socket = config.server.runtime_dir.join(control::SOCKET);
    let response = runtime.block_on(control::ask(&socket, request, None));
    response.map_err(|error| unanswered(&socket, &error))
}

/// What the running daemon answers, or the directories themselves where none runs.
pub(super) fn answer_of(
    config: &Config,
    request: Request,
    password: Option<Secret>,
) -> Result<Response, Failure> {
    let runtime = small_runtime().map_err(|error| Failure::Io("the runtime", error))?;
    runtime.block_on(async {
        let socket = config.server.runtime_dir.join(control::SOCKET);
        match control::ask(&socket, &request, password.as_ref()).await {
            Ok(response) => Ok(response),
            Err(error) if nobody_listens(&error) => {
                let engine = daemon::engine(config)?;
                Ok(control::answer(&engine, request, password).await)
            }
            Err(error) => Err(unanswered(&socket, &error)),
        }
    })
}

/// What to say where the daemon behind `socket` did not answer.
fn unanswered(socket: &Path, error: &io::Error) -> Failure {
    let socket = socket.display();
    let text = if nobody_listens(error) {
        format!("none listens at {socket}: start it, or name its configuration with --config")
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        format!("{socket}: {error}: only root and the user that the daemon runs as may ask it")
    } else {
        format!("{socket}: {error}")
    };
    Failure::Io("the daemon", io::Error::other(text))
}

/// No daemon runs: then the directories are asked directly.
fn nobody_listens(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

fn say(response: &Response) -> Answer {
    let exit = match response.outcome.as_str() {
        Response::FOUND | Response::VERIFIED => Exit::Yes,
        Response::UNAVAILABLE => Exit::Temporary,
        _ => Exit::No,
    };
    let mut text = response.outcome.replace('_', " ");
    if let Some(user) = &response.user {
        let _ = write!(text, ": {user}");
    }
    if let Some(value) = &response.value {
        let _ = write!(text, ": {value}");
    }
    if let Some(directory) = &response.directory {
        let _ = write!(text, ", by directory {directory}");
    }
    if let Some(id) = &response.app_password {
        let _ = write!(text, ", with app password {}", id.escape_debug());
    }
    if let Some(master) = &response.master {
        let _ = write!(text, ", by master user {master}");
    }
    if let Some(reason) = &response.reason {
        let _ = write!(text, ": {reason}");
    }
    for (kind, fields) in [("passdb", &response.passdb), ("userdb", &response.userdb)] {
        for field in fields {
            let _ = write!(text, "\n  {kind} {field}");
        }
    }
    Answer { exit, text, json: json!(response) }
}
