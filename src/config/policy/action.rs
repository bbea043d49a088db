//! `action` and `text` of a rule: what Postfix is told, in the words of access(5).

use gatepost_protocol::postfix::policy::Action;

use crate::config::{
    problem::{Wrong, choice, quoted},
    reader::{Reader, nearest},
};

/// First words of what can be said, but for codes and names of restrictions.
const WORDS: [&str; 13] = [
    "dunno",
    "reject",
    "defer",
    "defer_if_permit",
    "defer_if_reject",
    "hold",
    "prepend",
    "warn",
    "info",
    "bcc",
    "redirect",
    "filter",
    "discard",
];

/// Reads both. `None`: neither is there, or one of them is wrong.
pub(super) fn action(reader: &mut Reader<'_>) -> Option<Action<'static>> {
    let word = reader.text("action", |text| Ok(text.trim()));
    let text = reader.text("text", |text| {
        let broken = text.contains(char::is_control);
        let wrong = || Wrong::new("is more than one line", "write one line");
        if broken { Err(wrong()) } else { Ok(text.trim()) }
    });
    if !reader.has("action") {
        return None;
    }
    let (word, has_text) = (word?, reader.has("text"));
    let whole = match text {
        Some(text) => format!("{word} {text}"),
        None if has_text => return None,
        None => word.to_owned(),
    };
    match parse(whole.trim()) {
        Ok(action) => Some(action),
        Err(wrong) => {
            reader.wrong("action", wrong);
            None
        }
    }
}

fn parse(line: &str) -> Result<Action<'static>, Wrong> {
    let (word, text) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let plain = word.to_ascii_lowercase();
    let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    if word.is_empty() || plain == "ok" || plain == "relay" || plain.starts_with("permit") {
        let what = format!(
            "{} would permit the mail past all restrictions that follow, reject_unauth_destination among them: \
             no rule can make an open relay",
            quoted(word)
        );
        return Err(Wrong::new(what, "write \"dunno\", and let Postfix's own restrictions permit"));
    }
    if digits && text.is_empty() {
        let what = format!("{word} without a text is a permission to Postfix");
        return Err(Wrong::new(what, format!("write a text behind it, as in \"{word} 5.7.1 not here\"")));
    }
    let known = WORDS.iter().any(|known| *known == plain);
    let name = known || digits || plain.starts_with("reject_");
    if let (false, Some(near)) = (name, nearest(&plain, WORDS)) {
        return Err(Wrong::new(
            format!("{} is no action", quoted(word)),
            format!("did you mean \"{near}\"?"),
        ));
    }
    if line.contains(char::is_control) {
        return Err(Wrong::new("is more than one line", "write one line"));
    }
    let read = Action::parse(format!("action={line}\n").as_bytes()).map(Action::into_owned);
    read.map_err(|malformed| {
        let known = choice(WORDS);
        let (what, remedy) = match malformed.what {
            "restriction" => (
                format!("{} is no action", quoted(line)),
                format!("write {known}, a reply code with a text, or a restriction that does not permit"),
            ),
            what => (format!("is wrong in its {what}"), format!("write {}", malformed.expected)),
        };
        Wrong::new(what, remedy)
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn what_is_written_is_what_access_tables_have() {
        for (written, said) in [
            ("dunno", "DUNNO"),
            ("REJECT 5.7.1 not here", "REJECT 5.7.1 not here"),
            ("reject", "REJECT 5.7.1"),
            ("550 5.1.1 nobody", "550 5.1.1 nobody"),
            ("421 too many", "421 4.7.1 too many"),
            ("prepend X-Seen: yes", "PREPEND X-Seen: yes"),
            ("filter scan:[127.0.0.1]:10025", "FILTER scan:[127.0.0.1]:10025"),
            ("bcc archive@example.org", "BCC archive@example.org"),
            ("my_class", "my_class"),
            ("reject_unlisted_sender", "reject_unlisted_sender"),
        ] {
            assert_eq!(parse(written).unwrap().to_string(), said);
        }
    }

    #[test]
    fn nothing_permits_and_slips_are_told() {
        for (written, part) in [
            ("", "open relay"),
            ("OK", "open relay"),
            ("ok now", "open relay"),
            ("relay", "open relay"),
            ("permit", "open relay"),
            ("permit_mynetworks", "open relay"),
            ("550", "without a text is a permission"),
            ("250 fine", "is no action"),
            ("rejct", "is no action"),
            ("defer-if-permitt", "is no action"),
            ("one two", "is no action"),
            ("reject_unauth_destination, permit", "is no action"),
            ("prepend nonsense", "is wrong in its PREPEND"),
            ("bcc nobody", "is wrong in its address"),
            ("reject a\nb", "more than one line"),
        ] {
            let wrong = parse(written).unwrap_err();
            assert!(wrong.what.contains(part), "{written:?}: {}", wrong.what);
        }
        let long = format!("reject {}", "x".repeat(201));
        assert!(parse(&long).unwrap_err().what.contains("is wrong in its text"));
    }
}
