//! Domains of mail addresses, and patterns over them.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use super::problem::{Wrong, quoted};

/// Which domains a directory serves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DomainPattern {
    /// `example.org`: this domain and no other. In lower case, NFC.
    Exact(String),
    /// `*.example.net`: every domain below this one, at any depth, but not the domain itself. Without the
    /// `*.`.
    Below(String),
}

impl DomainPattern {
    /// `domain` or `*.domain`.
    pub(super) fn parse(text: &str) -> Result<Self, Wrong> {
        match text.strip_prefix("*.") {
            Some(parent) => Ok(Self::Below(domain(parent)?)),
            None => Ok(Self::Exact(domain(text)?)),
        }
    }

    /// Whether it covers `domain`, which must be normalised as user names are: lower case, NFC.
    pub fn matches(&self, domain: &str) -> bool {
        match self {
            Self::Exact(exact) => domain == exact,
            Self::Below(parent) => domain
                .strip_suffix(parent.as_str())
                .and_then(|sub| sub.strip_suffix('.'))
                .is_some_and(|sub| !sub.is_empty()),
        }
    }
}

impl fmt::Display for DomainPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(domain) => f.write_str(domain),
            Self::Below(parent) => write!(f, "*.{parent}"),
        }
    }
}

/// `text` in lower case and NFC, if it looks like a domain: labels of 1 to 63 bytes of letters, digits, `-`
/// and `_`, no `-` at either end of one, 253 bytes in all. Letters of any script (RFC 6531); one label is
/// enough (`localhost`).
pub(super) fn domain(text: &str) -> Result<String, Wrong> {
    let normal: String = text.to_lowercase().nfc().collect();
    let fits = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|letter| letter.is_alphanumeric() || letter == '-' || letter == '_')
    };
    if normal.len() <= 253 && normal.split('.').all(fits) {
        return Ok(normal);
    }
    Err(Wrong::new(
        format!("{} does not look like a domain", quoted(text)),
        "write it as behind the @ of an address, as in \"example.org\"",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_come_out_normalised() {
        let known = [
            ("example.org", "example.org"),
            ("EXAMPLE.Org", "example.org"),
            ("localhost", "localhost"),
            ("mail_1.x-y.example", "mail_1.x-y.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("BU\u{308}CHER.example", "bücher.example"),
        ];
        for (text, expected) in known {
            assert_eq!(domain(text).as_deref(), Ok(expected), "{text}");
        }
        let long = "a".repeat(64);
        for text in
            ["", ".", "a..b", ".a", "a.", "@a.b", "a b", "-a.b", "a-.b", "a/b", "*", "a.*", "a\t.b", &long]
        {
            assert!(domain(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_pattern_covers_its_own_domains_only() {
        let exact = DomainPattern::parse("Example.org").unwrap();
        let below = DomainPattern::parse("*.example.net").unwrap();
        for (pattern, domain, expected) in [
            (&exact, "example.org", true),
            (&exact, "a.example.org", false),
            (&exact, "badexample.org", false),
            (&below, "a.example.net", true),
            (&below, "a.b.example.net", true),
            (&below, "example.net", false),
            (&below, "badexample.net", false),
            (&below, ".example.net", false),
        ] {
            assert_eq!(pattern.matches(domain), expected, "{pattern} {domain}");
        }
        for text in ["*", "*.", "a.*.b", "**.a", "*a.b"] {
            assert!(DomainPattern::parse(text).is_err(), "{text}");
        }
    }
}
