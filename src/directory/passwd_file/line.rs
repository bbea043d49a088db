//! One line of a passwd-file.

use std::borrow::Cow;

use zeroize::Zeroizing;

use super::super::row::{Audience, Row, Value};

/// `name ":" password ":" uid ":" gid ":" gecos ":" home ":" shell ":" extra`, where columns may be missing from the
/// right on, and `extra` is `key[=value] *(" " key[=value])`, keys with `userdb_` for the mail process and others for
/// the login process (db-passwd-file.c of Dovecot 2.3).
///
/// An extra column that is empty with one more behind it is of the old form, where that one is the mail location.
/// A password may end in `[13]` (CRYPT), `[34]` (PLAIN-MD5) or `[56]` (DIGEST-MD5), as libpam-pwdfile has it.
/// Dovecot expands `%` in extra fields; here they are taken as they are.
pub(super) struct Line<'a> {
    pub(super) name: &'a [u8],
    password: Cow<'a, [u8]>,
    uid: &'a [u8],
    gid: &'a [u8],
    home: &'a [u8],
    extra: &'a [u8],
}

/// A name of an extra field that is no text.
pub(super) struct NotText;

impl<'a> Line<'a> {
    /// Cuts a line, without its LF, into columns. `None` for what has no user: blank lines, comments, and lines that
    /// start with `:`.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if matches!(line, [] | [b':' | b'#', ..]) {
            return None;
        }
        let mut columns = line.splitn(8, |&byte| byte == b':').chain(std::iter::repeat(&b""[..]));
        let mut next = || columns.next().unwrap_or_default();
        let (name, password, uid, gid) = (next(), next(), next(), next());
        let (_gecos, home, _shell, extra) = (next(), next(), next(), next());
        Some(Self { name, password: with_scheme(password), uid, gid, home, extra })
    }

    /// The same as a row.
    pub(super) fn row(&self) -> Result<Row<'_>, NotText> {
        let mut row = Row::default();
        let columns = [("uid", self.uid), ("gid", self.gid), ("home", self.home)];
        for (name, value) in columns.into_iter().filter(|(_, value)| !value.is_empty()) {
            row.put(Audience::Userdb, name, Value::Text(value));
        }
        match self.extra {
            [] | [b':'] => {}
            [b':', mail @ ..] => row.put(Audience::Userdb, "mail", Value::Text(mail)),
            extra => {
                for field in extra.split(|&byte| byte == b' ').filter(|field| !field.is_empty()) {
                    let mut parts = field.splitn(2, |&byte| byte == b'=');
                    let key = parts.next().unwrap_or_default();
                    let key = std::str::from_utf8(key).map_err(|_| NotText)?;
                    row.put(Audience::Passdb, key, parts.next().map_or(Value::Flag, Value::Text));
                }
            }
        }
        // Last, so that no extra field can take its place.
        row.put(Audience::Passdb, "password", Value::Text(&self.password));
        Ok(row)
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if let Cow::Owned(password) = std::mem::take(&mut self.password) {
            drop(Zeroizing::new(password));
        }
    }
}

fn with_scheme(password: &[u8]) -> Cow<'_, [u8]> {
    let [hash @ .., b'[', tens, ones, b']'] = password else { return Cow::Borrowed(password) };
    if matches!(hash, [] | [b'{' | b'$', ..]) {
        return Cow::Borrowed(password);
    }
    let scheme: &[u8] = match (tens, ones) {
        (b'3', b'4') => b"{PLAIN-MD5}",
        (b'5', b'6') => b"{DIGEST-MD5}",
        _ => b"{CRYPT}",
    };
    Cow::Owned([scheme, hash].concat())
}

#[cfg(test)]
mod tests {
    use super::{Line, with_scheme};

    #[test]
    fn columns_may_be_missing_and_the_last_may_hold_colons() {
        type Columns = [&'static str; 6];
        let table: &[(&str, Option<Columns>)] = &[
            ("", None),
            ("# comment", None),
            (":no name", None),
            ("a", Some(["a", "", "", "", "", ""])),
            ("a:{PLAIN}p", Some(["a", "{PLAIN}p", "", "", "", ""])),
            ("a:p:1:2\r", Some(["a", "p", "1", "2", "", ""])),
            ("a:p:1:2:Ann:/h:/bin/sh", Some(["a", "p", "1", "2", "/h", ""])),
            ("a::::::", Some(["a", "", "", "", "", ""])),
            ("a:p:1:2::/h::x=y z", Some(["a", "p", "1", "2", "/h", "x=y z"])),
            ("a:p:1:2::/h::userdb_mail=m:~/M", Some(["a", "p", "1", "2", "/h", "userdb_mail=m:~/M"])),
            ("a:p:1:2::/h:::m:~/M", Some(["a", "p", "1", "2", "/h", ":m:~/M"])),
        ];
        for (text, expected) in table {
            let line = Line::parse(text.as_bytes());
            let columns = line.as_ref().map(|line| {
                [line.name, &*line.password, line.uid, line.gid, line.home, line.extra]
                    .map(|column| std::str::from_utf8(column).unwrap())
            });
            assert_eq!(columns, *expected, "{text:?}");
        }
    }

    #[test]
    fn a_type_in_brackets_is_a_scheme() {
        let table: &[(&str, &str)] = &[
            ("", ""),
            ("[13]", "[13]"),
            ("abc", "abc"),
            ("abc[13]", "{CRYPT}abc"),
            ("abc[34]", "{PLAIN-MD5}abc"),
            ("abc[56]", "{DIGEST-MD5}abc"),
            ("{PLAIN}abc[34]", "{PLAIN}abc[34]"),
            ("$1$abc[34]", "$1$abc[34]"),
        ];
        for (text, expected) in table {
            assert_eq!(*with_scheme(text.as_bytes()), *expected.as_bytes(), "{text}");
        }
    }
}
