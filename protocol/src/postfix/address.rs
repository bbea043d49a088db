//! Mail addresses as they are keys of Postfix's tables.
//!
//! A local part has two forms: the external one, as in SMTP (`"a b"@example.org`, RFC 5321 4.1.2), and the internal one,
//! without quotes (`a b@example.org`). They differ where the local part is no dot-string only. Postfix looks up the external
//! one first, and then the internal one. There a quote is a character like any other: `"anna"@example.org` is not Anna.

use std::borrow::Cow;

use memchr::{memchr, memchr2, memrchr};

/// An address, taken apart at its last `@`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address<'a> {
    /// What stands before it, in internal form.
    pub local: Cow<'a, str>,
    /// What stands behind it. `None`: there is no `@`.
    pub domain: Option<&'a str>,
}

impl<'a> Address<'a> {
    /// Takes an address apart that somebody has written, in either form. Everything is one.
    pub fn read(text: &'a str) -> Self {
        let (local, domain) = halves(text);
        Self { local: unquoted(local), domain }
    }

    /// Takes apart what Postfix asks for. Its external form is always the shortest one, so whatever else has quotes in it is an
    /// internal form. Of one that could be either it is taken for the external form, for which Postfix asks first.
    pub fn asked(key: &'a str) -> Self {
        let (local, domain) = halves(key);
        let local = match unquoted(local) {
            Cow::Owned(plain) if *quoted(&plain) == *local => Cow::Owned(plain),
            Cow::Owned(_) | Cow::Borrowed(_) => Cow::Borrowed(local),
        };
        Self { local, domain }
    }

    /// Whether both forms are the same: without any quotes.
    pub fn is_plain(&self) -> bool {
        is_dot_string(&self.local)
    }

    /// The external form.
    pub fn external(&self) -> String {
        self.join(&quoted(&self.local))
    }

    /// The internal form, where it is another one.
    pub fn internal(&self) -> Option<String> {
        (!self.is_plain()).then(|| self.join(&self.local))
    }

    /// The same without its extension, and the extension, which begins with the delimiter. `None`: it has none.
    ///
    /// An extension begins at the first of the `delimiters`, and never at the first character. As in Postfix, nothing is taken
    /// off `postmaster`, `mailer-daemon` and `double-bounce`, and, where `-` is a delimiter, off `owner-x` and `x-request`.
    pub fn without_extension(&self, delimiters: &str) -> Option<(Address<'_>, &str)> {
        let local: &str = &self.local;
        let is = |name: &str| local.eq_ignore_ascii_case(name);
        if is("postmaster") || is("mailer-daemon") || is("double-bounce") {
            return None;
        }
        if delimiters.contains('-') && (starts_with(local, "owner-") || is_request(local)) {
            return None;
        }
        let at = match delimiters.as_bytes() {
            [delimiter] => memchr(*delimiter, local.as_bytes())?,
            _ => local.find(|sign| delimiters.contains(sign))?,
        };
        if at == 0 {
            return None;
        }
        let (bare, extension) = local.split_at_checked(at)?;
        Some((Address { local: Cow::Borrowed(bare), domain: self.domain }, extension))
    }

    fn join(&self, local: &str) -> String {
        match self.domain {
            Some(domain) => [local, "@", domain].concat(),
            None => local.to_owned(),
        }
    }
}

/// What stands before the last `@` and what behind it.
pub fn halves(text: &str) -> (&str, Option<&str>) {
    let at = memrchr(b'@', text.as_bytes());
    let parted = at.and_then(|at| text.split_at_checked(at));
    match parted {
        Some((local, rest)) => (local, rest.get(1..)),
        None => (text, None),
    }
}

/// Adds an extension to each address of a list with commas between, as Postfix does with what it has taken off before it
/// looked up. What is in quotes is never split, and what begins with `@` stays as it is; so does what has a half of its quotes
/// behind the `@`, for that is no domain.
pub fn extended(addresses: &str, extension: &str) -> String {
    let mut out = String::with_capacity(addresses.len() + extension.len());
    for (number, address) in listed(addresses).enumerate() {
        if number > 0 {
            out.push(',');
        }
        let Address { local, domain } = Address::read(address);
        let is_domain = domain.is_none_or(|domain| !domain.contains(['"', '\\', ',', ' ', '\t', '\r', '\n']));
        if local.is_empty() || !is_domain {
            out.push_str(address);
            continue;
        }
        let local = Cow::Owned([&local, extension].concat());
        out.push_str(&Address { local, domain }.external());
    }
    out
}

/// Puts a local part, in its internal form, before a list of addresses that begins with a domain, as Postfix does: `@example.net`
/// is the same name there. Whatever else stays as it is.
pub fn with_local<'a>(addresses: &'a str, local: &str) -> Cow<'a, str> {
    if addresses.starts_with('@') {
        Cow::Owned([&quoted(local), addresses].concat())
    } else {
        Cow::Borrowed(addresses)
    }
}

/// The addresses of a list: what stands between commas and blanks that are not in quotes.
pub fn listed(addresses: &str) -> impl Iterator<Item = &str> {
    let (mut in_quotes, mut escaped) = (false, false);
    let splits = move |sign: char| {
        match sign {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => in_quotes = !in_quotes,
            ',' | ' ' | '\t' | '\r' | '\n' => return !in_quotes,
            _ => {}
        }
        false
    };
    addresses.split(splits).filter(|address| !address.is_empty())
}

fn starts_with(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start))
}

fn is_request(local: &str) -> bool {
    const REQUEST: &str = "-request";
    let at = local.len().checked_sub(REQUEST.len()).filter(|&at| at > 0);
    at.and_then(|at| local.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(REQUEST))
}

/// Without the quotes and backslashes of the external form.
fn unquoted(local: &str) -> Cow<'_, str> {
    if memchr2(b'"', b'\\', local.as_bytes()).is_none() {
        return Cow::Borrowed(local);
    }
    let mut plain = String::with_capacity(local.len());
    let mut signs = local.chars();
    while let Some(sign) = signs.next() {
        match sign {
            '"' => {}
            '\\' => plain.extend(signs.next()),
            _ => plain.push(sign),
        }
    }
    Cow::Owned(plain)
}

/// Whether it is atoms with single dots between. Letters of any script may be in one (RFC 6531 3.3).
fn is_dot_string(local: &str) -> bool {
    // As if there were a dot before the first atom and behind the last.
    let mut before = b'.';
    let fits = local.bytes().all(|byte| {
        let fits = if byte == b'.' { before != b'.' } else { is_of_atom(byte) };
        before = byte;
        fits
    });
    fits && before != b'.'
}

/// Whether a byte may be part of an atom.
fn is_of_atom(byte: u8) -> bool {
    #[expect(clippy::indexing_slicing, reason = "a table of all bytes, made while compiling")]
    const ATOM: [bool; 256] = {
        let mut table = [true; 256];
        let mut control = 0;
        while control < 0x20 {
            table[control] = false;
            control += 1;
        }
        let mut rest: &[u8] = b"\x7f \"(),:;<>@[\\]";
        while let [byte, after @ ..] = rest {
            table[*byte as usize] = false;
            rest = after;
        }
        table
    };
    ATOM.get(usize::from(byte)).copied().unwrap_or(false)
}

/// In quotes, if it is no dot-string.
fn quoted(local: &str) -> Cow<'_, str> {
    if is_dot_string(local) {
        return Cow::Borrowed(local);
    }
    let mut out = String::with_capacity(local.len() + 2);
    out.push('"');
    for sign in local.chars() {
        if matches!(sign, '"' | '\\' | '\r') {
            out.push('\\');
        }
        out.push(sign);
    }
    out.push('"');
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Address, extended, halves, listed, with_local};

    #[test]
    fn an_address_has_the_forms_that_postfix_knows() {
        for (text, external, internal) in [
            ("anna@example.org", "anna@example.org", None),
            ("\"a b\"@example.org", "\"a b\"@example.org", Some("a b@example.org")),
            ("a b@example.org", "\"a b\"@example.org", Some("a b@example.org")),
            ("\"anna\"@example.org", "anna@example.org", None),
            ("a\\@b@example.org", "\"a@b\"@example.org", Some("a@b@example.org")),
            ("a..b@example.org", "\"a..b\"@example.org", Some("a..b@example.org")),
            ("\"a\\\"b\"@example.org", "\"a\\\"b\"@example.org", Some("a\"b@example.org")),
            ("rené@bücher.example", "rené@bücher.example", None),
            ("anna", "anna", None),
            ("@example.org", "\"\"@example.org", Some("@example.org")),
            ("", "\"\"", Some("")),
        ] {
            let address = Address::read(text);
            assert_eq!(address.external(), external, "{text}");
            assert_eq!(address.internal().as_deref(), internal, "{text}");
        }
    }

    /// What Postfix writes in place of an address that it has is what it can be asked for.
    #[test]
    fn a_quote_that_postfix_would_not_have_written_is_part_of_the_name() {
        for (key, local) in [
            ("anna@example.org", "anna"),
            ("\"a b\"@example.org", "a b"),
            ("a b@example.org", "a b"),
            ("\"a\\\"b\"@example.org", "a\"b"),
            ("a\"b@example.org", "a\"b"),
            ("\"anna\"@example.org", "\"anna\""),
            ("\"\\\"anna\\\"\"@example.org", "\"anna\""),
            ("an\\na@example.org", "an\\na"),
            ("\"an\\\\na\"@example.org", "an\\na"),
            ("\"a b\"+x@example.org", "\"a b\"+x"),
            ("\"a b+x\"@example.org", "a b+x"),
            ("\"@example.org", "\""),
        ] {
            assert_eq!(Address::asked(key).local, local, "{key}");
        }
    }

    #[test]
    fn an_extension_ends_at_the_at_sign_and_never_begins_the_address() {
        for (delimiters, text, expected) in [
            ("+", "anna+lists@example.org", Some(("anna@example.org", "+lists"))),
            ("+", "anna+lists+more@example.org", Some(("anna@example.org", "+lists+more"))),
            ("+", "anna+@example.org", Some(("anna@example.org", "+"))),
            ("+", "anna+lists", Some(("anna", "+lists"))),
            ("+", "anna@example.org", None),
            ("+", "+anna@example.org", None),
            ("+", "anna@exa+mple.org", None),
            ("+", "", None),
            ("+", "@", None),
            ("+-", "anna-lists@example.org", Some(("anna@example.org", "-lists"))),
            ("+-", "anna+a-b@example.org", Some(("anna@example.org", "+a-b"))),
            ("+", "anna-lists@example.org", None),
            ("", "anna+lists@example.org", None),
            ("+", "\"a@b+x\"@example.org", Some(("\"a@b\"@example.org", "+x"))),
            ("+", "\"a b\"+x@example.org", Some(("\"a b\"@example.org", "+x"))),
            ("+-", "Owner-list@example.org", None),
            ("+-", "list-request@example.org", None),
            ("+-", "-request@example.org", None),
            ("+", "owner-list+x@example.org", Some(("owner-list@example.org", "+x"))),
            ("+-", "mailer-daemon@example.org", None),
            ("-", "double-bounce@example.org", None),
        ] {
            let address = Address::read(text);
            let bare = address.without_extension(delimiters);
            let bare = bare.map(|(bare, extension)| (bare.external(), extension));
            let bare = bare.as_ref().map(|(bare, extension)| (bare.as_str(), *extension));
            assert_eq!(bare, expected, "{text} at {delimiters:?}");
        }
    }

    #[test]
    fn a_domain_alone_takes_the_name_that_was_asked_for() {
        for (addresses, name, expected) in [
            ("@example.net", "moved", "moved@example.net"),
            ("@example.net,anna@example.org", "moved", "moved@example.net,anna@example.org"),
            ("@example.net", "a b", "\"a b\"@example.net"),
            ("anna@example.org,@example.net", "moved", "anna@example.org,@example.net"),
            ("anna@example.org", "moved", "anna@example.org"),
        ] {
            assert_eq!(with_local(addresses, name), expected, "{addresses}");
        }
    }

    #[test]
    fn an_extension_goes_on_with_each_address_that_has_a_local_part() {
        for (addresses, expected) in [
            ("anna@example.org", "anna+x@example.org"),
            ("anna@example.org, ben@example.net", "anna+x@example.org,ben+x@example.net"),
            ("@example.net", "@example.net"),
            ("anna", "anna+x"),
            ("\"a, b\"@example.org,c@d", "\"a, b+x\"@example.org,c+x@d"),
            // The end of the list must not come to be in quotes, nor out of them.
            ("\"a@b\",c@d", "\"a@b\",c+x@d"),
            ("\"a@b, c@d e", "\"a@b, c@d e"),
            ("", ""),
            (" , ", ""),
        ] {
            assert_eq!(extended(addresses, "+x"), expected, "{addresses}");
        }
    }

    #[test]
    fn a_list_is_split_outside_of_quotes() {
        let of = |text| listed(text).collect::<Vec<_>>();
        assert_eq!(of("a@b c@d,e@f"), ["a@b", "c@d", "e@f"]);
        assert_eq!(of(r#""a\", b"@c d"#), [r#""a\", b"@c"#, "d"]);
        assert!(of(",, ").is_empty());
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_again(local in "[^\r]{0,12}", domain in "[a-z.]{0,12}") {
            let address = Address { local: local.clone().into(), domain: Some(domain.as_str()) };
            let external = address.external();
            let again = Address::read(&external);
            prop_assert_eq!(&again.local, &local);
            prop_assert_eq!(again.domain, Some(domain.as_str()));
            prop_assert_eq!(again.external(), external.clone());
            prop_assert_eq!(&Address::asked(&external).local, &local);
        }

        #[test]
        fn any_text_is_an_address(text: String, delimiters in "[+-]{0,2}") {
            let address = Address::read(&text);
            let again = address.external();
            let again = Address::read(&again);
            prop_assert_eq!(&again.local, &address.local);
            let (local, domain) = halves(&text);
            prop_assert_eq!(domain, address.domain);
            prop_assert_eq!(domain.map_or(local.len(), |domain| local.len() + 1 + domain.len()), text.len());
            if let Some((bare, extension)) = address.without_extension(&delimiters) {
                prop_assert_eq!([&bare.local, extension].concat(), address.local.clone().into_owned());
            }
        }
    }
}
