//! `kick_command`: what ends the connections of a user who was revoked.

use std::path::Path;

use super::problem::{Wrong, quoted};

/// A program and its arguments. No shell reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KickCommand {
    /// A name to be found in `$PATH`, or an absolute path.
    pub program: String,
    /// Its arguments, at least one of them with [`KickCommand::USER`].
    pub arguments: Vec<String>,
}

impl KickCommand {
    /// What stands for the canonical name of the user.
    pub const USER: &'static str = "{user}";

    /// The arguments for a user. `None`: the name would be taken for an option.
    pub fn arguments_for(&self, user: &str) -> Option<Vec<String>> {
        let is_option = |argument: &String| argument.starts_with(Self::USER) && user.starts_with('-');
        if self.arguments.iter().any(is_option) {
            return None;
        }
        Some(self.arguments.iter().map(|argument| argument.replace(Self::USER, user)).collect())
    }

    pub(super) fn of(words: Vec<String>) -> Result<Self, Wrong> {
        let mut words = words.into_iter();
        let remedy = r#"write the program and each of its arguments, as in ["doveadm", "kick", "{user}"]"#;
        let program = words.next().ok_or_else(|| Wrong::new("is empty", remedy))?;
        if program.is_empty() || (program.contains('/') && !Path::new(&program).is_absolute()) {
            let what = format!("{} is neither a name in $PATH nor an absolute path", quoted(&program));
            return Err(Wrong::new(what, remedy));
        }
        let arguments: Vec<String> = words.collect();
        if program.contains('{') || !arguments.iter().any(|argument| argument.contains(Self::USER)) {
            let what = format!("does not say with {} who is meant", Self::USER);
            return Err(Wrong::new(what, remedy));
        }
        Ok(Self { program, arguments })
    }
}

#[cfg(test)]
mod tests {
    use super::KickCommand;

    fn command(words: &[&str]) -> Option<KickCommand> {
        KickCommand::of(words.iter().map(|&word| word.to_owned()).collect()).ok()
    }

    #[test]
    fn a_name_is_an_argument_or_a_part_of_one_and_never_an_option() {
        let doveadm = command(&["doveadm", "kick", "{user}"]).unwrap();
        assert_eq!(doveadm.program, "doveadm");
        assert_eq!(doveadm.arguments_for("a'; rm$").unwrap(), ["kick", "a'; rm$"]);
        assert_eq!(doveadm.arguments_for("-a"), None);
        let other = command(&["/usr/bin/kick", "--user={user}"]).unwrap();
        assert_eq!(other.arguments_for("-a").unwrap(), ["--user=-a"]);
    }

    #[test]
    fn what_names_no_user_or_no_program_is_wrong() {
        for words in [&[][..], &[""], &["doveadm"], &["doveadm", "kick", "user"], &["{user}", "{user}"]] {
            assert_eq!(command(words), None, "{words:?}");
        }
        assert_eq!(command(&["bin/kick", "{user}"]), None, "relative to what?");
    }
}
