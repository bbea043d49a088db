//! Ends the connections of users who were revoked: what they are let in with no longer is of no use to who is in already.
//!
//! Only the mail servers know their connections, so a program of the operator's does it (`kick_command`), as
//! `doveadm kick` does. Nobody waits for it, and what it cannot do is a warning: the tokens are void all the same.

use std::{env, process::Stdio, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command},
    runtime::Handle,
    sync::Semaphore,
    time::timeout,
};
use tracing::{debug, info, warn};

use crate::{config::KickCommand, username::Username};

/// How many run at once.
const AT_ONCE: usize = 4;

/// How many users are seen to at once, those included who wait. A provider that ends a thousand sessions at once has a
/// thousand kicked.
const WAITING: usize = 4096;

/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much of what it says is written into the log, in bytes.
const WORDS: u64 = 512;

/// Where programs are, if the service manager does not say.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What `doveadm kick` ends with when the user has no connection.
const NOBODY_THERE: i32 = 68;

/// Runs the program. A clone is another handle to the same one.
#[derive(Debug, Clone)]
pub struct Kick(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    command: KickCommand,
    running: Semaphore,
    waiting: Arc<Semaphore>,
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
enum Kicked {
    Done,
    NobodyThere,
    Failed(String),
}

impl Kick {
    /// With this program.
    pub fn new(command: KickCommand) -> Self {
        let (running, waiting) = (Semaphore::new(AT_ONCE), Arc::new(Semaphore::new(WAITING)));
        Self(Arc::new(Inner { command, running, waiting }))
    }

    /// Has the connections of a user ended. Returns at once.
    pub(super) fn offer(&self, user: &Username) {
        // Outside of the daemon there is nobody to do it later.
        let Ok(runtime) = Handle::try_current() else { return };
        let Ok(place) = Arc::clone(&self.0.waiting).try_acquire_owned() else {
            return warn!(user = ?user.as_str(), reason = "too many are waiting", "a user was not kicked");
        };
        let (kick, user) = (self.clone(), user.clone());
        runtime.spawn(async move {
            match kick.kick(&user).await {
                Kicked::Done => info!(user = ?user.as_str(), "a user was kicked"),
                Kicked::NobodyThere => {
                    debug!(user = ?user.as_str(), "a user had no connection to be kicked from")
                }
                Kicked::Failed(reason) => warn!(user = ?user.as_str(), ?reason, "a user was not kicked"),
            }
            drop(place);
        });
    }

    async fn kick(&self, user: &Username) -> Kicked {
        let command = &self.0.command;
        let Some(arguments) = command.arguments_for(user.as_str()) else {
            return Kicked::Failed("the name would be taken for an option".to_owned());
        };
        // Never closed.
        let Ok(_place) = self.0.running.acquire().await else { return Kicked::NobodyThere };
        let spawned = Command::new(&command.program)
            .args(arguments)
            // Neither the sockets of the service manager nor the place of credentials is any of its business.
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_else(|| PATH.into()))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        match spawned {
            Ok(child) => timeout(PATIENCE, ended(child))
                .await
                .unwrap_or_else(|_| Kicked::Failed(format!("it took more than {} s", PATIENCE.as_secs()))),
            Err(error) => Kicked::Failed(format!("{}: {error}", command.program)),
        }
    }
}

async fn ended(mut child: Child) -> Kicked {
    let mut said = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        said = first_words(stderr).await;
    }
    match child.wait().await {
        Ok(status) if status.success() => Kicked::Done,
        Ok(status) if status.code() == Some(NOBODY_THERE) => Kicked::NobodyThere,
        Ok(status) => {
            let said = String::from_utf8_lossy(&said);
            Kicked::Failed(format!("{status}: {}", said.trim()))
        }
        Err(error) => Kicked::Failed(error.to_string()),
    }
}

/// What it says first. The rest is read as well, so that it is not stopped by who does not listen.
async fn first_words(mut stderr: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut said = Vec::new();
    let first = (&mut stderr).take(WORDS).read_to_end(&mut said).await;
    if first.is_ok() {
        let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
    }
    said
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Kick, Kicked};
    use crate::{config::KickCommand, username::Username};

    fn kick(words: &[&str]) -> Kick {
        let mut words = words.iter().map(|&word| word.to_owned());
        Kick::new(KickCommand { program: words.next().unwrap(), arguments: words.collect() })
    }

    fn alice() -> Username {
        Username::normalise(b"alice's@x.test", None).unwrap()
    }

    #[tokio::test]
    async fn the_program_gets_the_name_and_nothing_else_of_the_daemon() {
        let home = tempfile::tempdir().unwrap();
        let told = home.path().join("told");
        let script = format!("{{ echo \"$1\"; env; }} > {}; yes | head -c 1000000 >&2", told.display());
        let kick = kick(&["sh", "-c", &script, "sh", "{user}"]);
        assert_eq!(kick.kick(&alice()).await, Kicked::Done);
        let told = std::fs::read_to_string(told).unwrap();
        assert!(told.starts_with("alice's@x.test\n") && told.contains("PATH="), "{told}");
        assert!(!told.contains("CARGO") && !told.contains("HOME="), "{told}");
    }

    #[tokio::test]
    async fn what_it_cannot_do_is_said_and_who_is_not_there_is_no_failure() {
        let failed = kick(&["sh", "-c", "echo no right >&2; exit 77", "{user}"]).kick(&alice()).await;
        assert_eq!(failed, Kicked::Failed("exit status: 77: no right".to_owned()));
        assert_eq!(kick(&["sh", "-c", "exit 68", "{user}"]).kick(&alice()).await, Kicked::NobodyThere);
        let Kicked::Failed(missing) = kick(&["/nowhere/kick", "{user}"]).kick(&alice()).await else {
            panic!()
        };
        assert!(missing.starts_with("/nowhere/kick: "), "{missing}");
        let option = Username::normalise(b"-a", None).unwrap();
        assert!(matches!(kick(&["true", "{user}"]).kick(&option).await, Kicked::Failed(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_does_not_end_is_ended() {
        let begun = Instant::now();
        let Kicked::Failed(why) = kick(&["sh", "-c", "exec sleep 600", "{user}"]).kick(&alice()).await else {
            panic!()
        };
        assert_eq!(why, "it took more than 10 s");
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
}
