use std::{
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::PathBuf,
};

use super::{Place, gatepost::forget, wait_until};

/// The people whom gatepost knows: the passwd-file of a place.
#[derive(Debug)]
pub struct People<'a> {
    place: &'a Place,
    file: PathBuf,
}

impl<'a> People<'a> {
    /// Alice, whose password is `wonder`, and Bob (`builder`), and Carol (`carol`), who may not log in.
    pub fn settle(place: &'a Place) -> Self {
        let mut text = String::new();
        for (name, password, extra) in
            [("alice", "wonder", ""), ("bob", "builder", ""), ("carol", "carol", "active=no")]
        {
            let home = place.inside(&format!("mail/{name}"));
            writeln!(text, "{name}@example.test:{{PLAIN}}{password}:5000:5000::{home}::{extra}").unwrap();
        }
        place.write("people", &text);
        Self { place, file: place.outside("people") }
    }

    /// Takes the file away, and what is remembered of it, so that gatepost cannot know who exists; and waits until it has
    /// noticed.
    pub fn hide(&self) {
        fs::rename(&self.file, self.file.with_extension("away")).unwrap();
        wait_until("gatepost misses its directory", || {
            forget(self.place);
            self.alice_is("FAIL")
        });
    }

    /// Puts the file back and waits until gatepost knows everybody again.
    pub fn show(&self) {
        fs::rename(self.file.with_extension("away"), &self.file).unwrap();
        wait_until("gatepost has its directory again", || self.alice_is("USER"));
    }

    /// Gives Alice another password.
    pub fn change_password_of_alice(&self, password: &str) {
        let text = fs::read_to_string(&self.file).unwrap();
        let line = |line: &str| {
            let mut fields: Vec<_> = line.splitn(3, ':').map(str::to_owned).collect();
            if fields[0] == "alice@example.test" {
                fields[1] = format!("{{PLAIN}}{password}");
            }
            fields.join(":") + "\n"
        };
        let text: String = text.lines().map(line).collect();
        let new = self.file.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, &self.file).unwrap();
    }

    /// Whether gatepost, asked about Alice, answers with this word.
    fn alice_is(&self, word: &str) -> bool {
        let mut stream = UnixStream::connect(self.place.outside(PROBE)).unwrap();
        stream.write_all(b"VERSION\t1\t1\nUSER\t1\talice@example.test\tservice=probe\n").unwrap();
        let lines = BufReader::new(stream).lines().map(Result::unwrap);
        let is_answer =
            |line: &String| ["USER", "FAIL", "NOTFOUND"].iter().any(|word| line.starts_with(word));
        lines.into_iter().find(is_answer).is_some_and(|line| line.starts_with(word))
    }
}

/// The socket that every gatepost has besides those of its peers, for the test to look in.
pub const PROBE: &str = "gatepost/probe";
