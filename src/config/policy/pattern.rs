//! What the lists of a rule are made of: addresses, logins, names of hosts.

use unicode_normalization::UnicodeNormalization as _;

use crate::{
    config::{
        domain::{DomainPattern, domain},
        problem::{Wrong, quoted},
    },
    username::Username,
};

/// A list in which the first item that fits decides, as in Postfix's own: one with `!` before it says no, and so does the
/// end of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T>(Vec<Item<T>>);

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item<T> {
    says: bool,
    what: T,
}

impl<T> Listed<T> {
    pub(super) fn of(items: Vec<Item<T>>) -> Self {
        Self(items)
    }

    /// What it says of something that `fits` an item or does not.
    pub fn says(&self, fits: impl Fn(&T) -> bool) -> bool {
        self.0.iter().find(|item| fits(&item.what)).is_some_and(|item| item.says)
    }
}

/// Reads an item, whose text behind a `!` is for `read`.
pub(super) fn item<T>(text: &str, read: impl FnOnce(&str) -> Result<T, Wrong>) -> Result<Item<T>, Wrong> {
    match text.strip_prefix('!') {
        Some(text) => read(text).map(|what| Item { says: false, what }),
        None => read(text).map(|what| Item { says: true, what }),
    }
}

/// Some addresses, or some logins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressPattern {
    /// `*`: every one.
    Any,
    /// `""`: the null sender.
    Null,
    /// `anna@example.org`, or a login without a domain. In normal form: lower case, NFC.
    Whole(String),
    /// `postmaster@`: of every domain. In normal form, without the `@`.
    Local(String),
    /// `@example.org` or `*.example.org`: all of that domain, or of those below it.
    Domain(DomainPattern),
}

impl AddressPattern {
    /// Whether it fits an address in normal form.
    pub fn fits(&self, address: &str) -> bool {
        let parts = address.rsplit_once('@');
        match self {
            Self::Any => true,
            Self::Null => address.is_empty(),
            Self::Whole(whole) => whole == address,
            Self::Local(wanted) => parts.is_some_and(|(local, _)| local == wanted),
            Self::Domain(pattern) => parts.is_some_and(|(_, domain)| pattern.matches(domain)),
        }
    }

    /// `anna@example.org`, `postmaster@`, `@example.org`, `*.example.org`, `*`, or `""` for the null sender.
    pub(super) fn of_address(text: &str) -> Result<Self, Wrong> {
        match text {
            "" => Ok(Self::Null),
            _ => Self::some(text)?.ok_or_else(|| {
                let what = format!("{} is neither an address nor a domain", quoted(text));
                Wrong::new(
                    what,
                    "write \"anna@example.org\", \"@example.org\", \"*.example.org\" or \"postmaster@\"",
                )
            }),
        }
    }

    /// The same of logins, which may be bare: then `default_domain` is appended, as it is when somebody logs in.
    pub(super) fn of_login(text: &str, default_domain: Option<&str>) -> Result<Self, Wrong> {
        if text.is_empty() {
            return Err(Wrong::new("\"\" is nobody's login", "write logged_in = false for who has none"));
        }
        if let Some(pattern @ (Self::Any | Self::Local(_) | Self::Domain(_))) = Self::some(text)? {
            return Ok(pattern);
        }
        let name = Username::normalise(text.as_bytes(), default_domain);
        name.map(|name| Self::Whole(name.as_str().to_owned())).map_err(|why| {
            let what = format!("{} is not a login name: {why}", quoted(text));
            Wrong::new(
                what,
                "write \"anna@example.org\", \"@example.org\", \"*.example.org\", or \"*\" for everybody",
            )
        })
    }

    /// `None`: there is no `@` in it.
    fn some(text: &str) -> Result<Option<Self>, Wrong> {
        if text == "*" {
            return Ok(Some(Self::Any));
        }
        if text.starts_with("*.") {
            return DomainPattern::parse(text).map(|pattern| Some(Self::Domain(pattern)));
        }
        let Some((local, behind)) = text.rsplit_once('@') else { return Ok(None) };
        if local.contains(|sign: char| sign.is_control() || sign == '*') {
            let what = format!("{} has a sign before its @ that does not belong there", quoted(text));
            return Err(Wrong::new(
                what,
                "write the address as it is, or \"@example.org\" for all of a domain",
            ));
        }
        Ok(Some(match (local, behind) {
            ("", behind) => Self::Domain(DomainPattern::parse(behind)?),
            (local, "") => Self::Local(normal(local)),
            (local, behind) => Self::Whole(format!("{}@{}", normal(local), domain(behind)?)),
        }))
    }
}

/// Some hosts, by what they are called or call themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// `*`: every one.
    Any,
    /// This name, or whatever it is, in lower case.
    Exact(String),
    /// `*.example.org`: all below it. In lower case, with the dot.
    Below(String),
}

impl HostPattern {
    /// Whether it fits a name in lower case.
    pub fn fits(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => exact == name,
            Self::Below(end) => name.len() > end.len() && name.ends_with(end.as_str()),
        }
    }

    /// Nothing is demanded of a name: who says HELO may say anything, such as `[192.0.2.1]`.
    pub(super) fn parse(text: &str) -> Result<Self, Wrong> {
        if text.is_empty() || text.contains(|sign: char| sign.is_control() || sign.is_whitespace()) {
            let what = format!("{} is what no host is called", quoted(text));
            return Err(Wrong::new(what, "write \"mail.example.org\", \"*.example.org\" or \"*\""));
        }
        Ok(match (text, text.strip_prefix('*')) {
            ("*", _) => Self::Any,
            (_, Some(end)) if end.starts_with('.') => Self::Below(end.to_lowercase()),
            _ => Self::Exact(text.to_lowercase()),
        })
    }
}

/// Lower case, NFC: the form in which addresses are compared.
pub(crate) fn normal(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { text.to_lowercase().nfc().collect() }
}

#[cfg(test)]
mod tests {
    use super::{AddressPattern, HostPattern, Listed, item};

    #[test]
    fn an_address_is_held_against_whole_ones_parts_and_domains() {
        for (pattern, address, fits) in [
            ("Anna@Example.org", "anna@example.org", true),
            ("anna@example.org", "anna@example.orgx", false),
            ("REN\u{c9}@x.test", "ren\u{e9}@x.test", true),
            ("@example.org", "anna@example.org", true),
            ("@example.org", "anna@sub.example.org", false),
            ("@example.org", "\"a@b\"@example.org", true),
            ("@*.example.org", "anna@sub.example.org", true),
            ("*.example.org", "anna@a.b.example.org", true),
            ("*.example.org", "anna@example.org", false),
            ("*.example.org", "anna@badexample.org", false),
            ("PostMaster@", "postmaster@anywhere.test", true),
            ("postmaster@", "postmaster", false),
            ("*", "anna@example.org", true),
            ("*", "", true),
            ("", "", true),
            ("", "anna@example.org", false),
            ("@example.org", "", false),
        ] {
            assert_eq!(
                AddressPattern::of_address(pattern).unwrap().fits(address),
                fits,
                "{pattern} {address}"
            );
        }
        for text in ["anna", "example.org", "@", "a*@example.org", "@exa mple", "*.", "a\n@x.test"] {
            assert!(AddressPattern::of_address(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_login_may_be_bare_and_is_completed_as_at_a_login() {
        let login = |text, domain| AddressPattern::of_login(text, domain);
        assert!(login("Anna", Some("example.org")).unwrap().fits("anna@example.org"));
        assert!(login("Anna", None).unwrap().fits("anna"));
        assert!(login("@example.org", None).unwrap().fits("anna@example.org"));
        assert!(login("*", None).unwrap().fits("anna"));
        for text in ["", "a b", "a@b@c", "a/b@example.org"] {
            assert!(login(text, None).is_err(), "{text:?}");
        }
    }

    #[test]
    fn hosts_are_whatever_they_say() {
        for (pattern, name, fits) in [
            ("Mail.Example.org", "mail.example.org", true),
            ("*.example.org", "mail.example.org", true),
            ("*.example.org", "example.org", false),
            ("*.example.org", ".example.org", false),
            ("[192.0.2.1]", "[192.0.2.1]", true),
            ("*", "anything", true),
        ] {
            assert_eq!(HostPattern::parse(pattern).unwrap().fits(name), fits, "{pattern} {name}");
        }
        assert!(HostPattern::parse("").is_err() && HostPattern::parse("a b").is_err());
    }

    #[test]
    fn the_first_that_fits_decides() {
        let list = |texts: &[&str]| {
            Listed::of(texts.iter().map(|text| item(text, AddressPattern::of_address).unwrap()).collect())
        };
        let says = |texts: &[&str], address: &str| list(texts).says(|pattern| pattern.fits(address));
        assert!(says(&["!anna@x.test", "@x.test"], "bob@x.test"));
        assert!(!says(&["!anna@x.test", "@x.test"], "anna@x.test"));
        assert!(says(&["@x.test", "!anna@x.test"], "anna@x.test"), "too late");
        assert!(!says(&["!anna@x.test"], "bob@x.test"), "nothing says yes");
        assert!(says(&["!@x.test", "*"], "bob@y.test"));
        assert!(!says(&["!", "*"], "") && says(&["!", "*"], "bob@y.test"));
    }
}
