//! What a provider says of the owner of a token.

use std::{
    borrow::Cow,
    fmt,
    time::{Duration, SystemTime},
};

use serde_json::{Map, Value};

use super::answer::TokenFault;

/// The members of a JSON object. Values are shown in no log.
#[derive(Clone, Default, PartialEq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// A JSON object; `None` for anything else.
    pub(super) fn parse(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok().map(Self)
    }

    pub(super) const fn new(members: Map<String, Value>) -> Self {
        Self(members)
    }

    /// The claim for a template: a string as it is, a number or a truth value in its usual form. `a.b` is the claim of
    /// this name, or the member `b` of the claim `a`. `None` for lists and objects too, which are no text.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        match self.value(name)? {
            Value::String(text) => Some(Cow::Borrowed(text)),
            Value::Number(number) => Some(Cow::Owned(number.to_string())),
            Value::Bool(truth) => Some(Cow::Borrowed(if *truth { "true" } else { "false" })),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// A claim that is a string.
    pub fn string(&self, name: &str) -> Option<&str> {
        self.value(name)?.as_str()
    }

    /// A claim that is a string or a list of strings. Nothing for any other, and for a list with anything else in it.
    pub fn strings(&self, name: &str) -> Vec<&str> {
        match self.value(name) {
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(list)) => {
                list.iter().map(Value::as_str).collect::<Option<_>>().unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        // A claim may well be called "https://example.org/email".
        if let Some(value) = self.0.get(name) {
            return Some(value);
        }
        let mut path = name.split('.');
        let first = self.0.get(path.next()?)?;
        path.try_fold(first, |value, member| value.as_object()?.get(member))
    }

    /// A claim that is a `NumericDate` (RFC 7519 2): seconds, with or without a fraction. Never a string.
    ///
    /// # Errors
    ///
    /// A claim that is something else, or a time that no clock will ever show.
    pub(super) fn time(&self, name: &'static str) -> Result<Option<SystemTime>, TokenFault> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let since = value.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let time = since.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
        time.map(Some).ok_or(TokenFault::Claim(name))
    }

    /// `iat`: when what says this was issued, if it tells.
    pub fn issued_at(&self) -> Option<SystemTime> {
        self.time("iat").ok().flatten()
    }

    /// With what `other` says besides.
    pub(super) fn and(mut self, other: Self) -> Self {
        for (name, value) in other.0 {
            self.0.entry(name).or_insert(value);
        }
        self
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        let json = br#"{"email":"a@b.c","n":5,"f":1.5,"yes":true,"no":null,"list":["x","y"],"mixed":["x",1],
            "a.b":"dotted","a":{"b":"hidden","c":{"d":"deep"}},"https://x.org/mail":"z","exp":1700000000.5,"late":1e300,
            "text":"1700000000","minus":-1}"#;
        Claims::parse(json).unwrap()
    }

    #[test]
    fn what_is_text_can_be_put_into_a_template() {
        let claims = claims();
        for (name, expected) in [
            ("email", Some("a@b.c")),
            ("n", Some("5")),
            ("f", Some("1.5")),
            ("yes", Some("true")),
            ("no", None),
            ("list", None),
            ("a", None),
            ("a.b", Some("dotted")),
            ("a.c.d", Some("deep")),
            ("a.c.x", None),
            ("email.x", None),
            ("https://x.org/mail", Some("z")),
            ("", None),
        ] {
            assert_eq!(claims.text(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn a_list_of_strings_may_be_written_as_one_string() {
        let claims = claims();
        assert_eq!(claims.strings("email"), ["a@b.c"]);
        assert_eq!(claims.strings("list"), ["x", "y"]);
        assert!(claims.strings("mixed").is_empty() && claims.strings("n").is_empty());
    }

    #[test]
    fn a_time_is_a_number_and_nothing_else() {
        let claims = claims();
        let time = claims.time("exp").unwrap().unwrap();
        assert_eq!(time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis(), 1_700_000_000_500);
        assert_eq!(claims.time("absent"), Ok(None));
        for name in ["text", "late", "minus", "yes", "no", "list"] {
            assert_eq!(claims.time(name), Err(TokenFault::Claim(name)));
        }
    }

    #[test]
    fn debug_shows_names_only() {
        assert!(!format!("{:?}", claims()).contains("a@b.c"));
        assert!(Claims::parse(b"[]").is_none() && Claims::parse(b"").is_none());
    }
}
