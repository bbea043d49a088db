//! What people are called, told by their entries: the way back from an entry to the names that lead to it.

use ldap3::asn1::{ASNTag as _, PL, StructureTag};

use super::{super::row::Recipe, encode, entry::Entry, names};
use crate::{
    config::{Part, Template, ldap::Find},
    username::Username,
};

/// Where the names of an entry are.
pub(super) struct Naming {
    /// What a name is compared with.
    rules: Vec<Rule>,
    /// Conditions on the kind of entry that every user meets.
    kinds: String,
    /// Whether a name may lead to an entry in a way that does not show in it.
    is_free: bool,
}

/// An attribute, and what its values look like.
#[derive(Debug, PartialEq, Eq)]
struct Rule {
    attribute: String,
    shape: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Hole(Hole),
}

/// Which part of the name is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hole {
    User,
    Local,
    Domain,
}

/// Stands for a hole while a filter is read. Together with its letter no text of a filter has it: the configuration
/// refuses that.
const MARK: &str = "gatepost0hole";

impl Naming {
    /// What the configuration says about finding users, read backwards.
    pub(super) fn of(find: &Find) -> Self {
        let mut naming = Self { rules: Vec::new(), kinds: String::new(), is_free: false };
        match find {
            Find::Filter(template) => match ldap3::parse_filter(marked(template)) {
                Ok(tag) => naming.read(&tag.into_structure(), true),
                Err(()) => naming.is_free = true,
            },
            Find::Dn(template) => naming.read_dn(&marked(template)),
        }
        naming.is_free |= naming.rules.is_empty();
        naming
    }

    /// The attributes that have names.
    pub(super) fn attributes(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.attribute.as_str())
    }

    /// A filter for entries that may be those of users. What switches somebody off may be a condition of the operator's
    /// filter, so it asks for no more than names.
    pub(super) fn filter(&self) -> String {
        let mut filter = self.kinds.clone();
        if !self.is_free {
            filter.push_str("(|");
            for rule in &self.rules {
                filter.push_str(&format!("({}=*)", rule.attribute));
            }
            filter.push(')');
        }
        filter
    }

    /// All names by which somebody can log in, and the one under which the account goes on. `None`: that cannot be told.
    pub(super) fn names(&self, entry: &Entry, recipe: &Recipe) -> Option<Vec<Username>> {
        let default_domain = recipe.default_domain.as_deref();
        let canonical = recipe.fields.iter().find(|(field, _)| field == "user").map(|(_, name)| name);
        let canonical = canonical.filter(|name| names(name).count() == name.names().count());
        let canonical = canonical.and_then(|name| {
            let text = name.expand(|name| entry.first(name)).ok()?;
            Username::normalise(&text, default_domain).ok()
        });
        if self.is_free && canonical.is_none() {
            return None;
        }
        let mut found: Vec<Username> = canonical.clone().into_iter().collect();
        for rule in &self.rules {
            for value in entry.values(&rule.attribute) {
                let Ok(value) = std::str::from_utf8(value) else { continue };
                let Some(typed) = typed(&rule.shape, value) else { continue };
                let candidates = match typed {
                    Typed::Whole(name) => vec![name],
                    // Whatever stands behind the @, they are found.
                    Typed::Local(local) => match recipe.domains.all() {
                        Some(domains) => domains.iter().map(|domain| format!("{local}@{domain}")).collect(),
                        None if canonical.is_none() => return None,
                        None => vec![local],
                    },
                };
                let normal =
                    candidates.iter().map(|name| Username::normalise(name.as_bytes(), default_domain));
                for name in normal.flatten().filter(|name| recipe.domains.serve(name)) {
                    if !found.contains(&name) {
                        found.push(name);
                    }
                }
            }
        }
        Some(found)
    }

    /// `every`: whether each user meets this part.
    fn read(&mut self, filter: &StructureTag, every: bool) {
        let parts = match &filter.payload {
            PL::C(parts) => parts.as_slice(),
            PL::P(_) => &[],
        };
        match (filter.id, parts) {
            (0, parts) => parts.iter().for_each(|part| self.read(part, every)),
            (1, parts) => parts.iter().for_each(|part| self.read(part, false)),
            (3 | 8, [attribute, value]) => self.compare(text(attribute), text(value), every),
            // An extensible match with a rule of comparing for equality, or of its own.
            (9, parts) if holes(filter) > 0 => {
                let part = |id| parts.iter().find(|part| part.id == id).and_then(text);
                match part(1).is_none_or(|rule| !rule.starts_with("1.2.840.113556")) {
                    true => self.compare(part(2), part(3), false),
                    false => self.is_free = true,
                }
            }
            _ => self.is_free |= holes(filter) > 0,
        }
    }

    fn compare(&mut self, attribute: Option<&str>, value: Option<&str>, every: bool) {
        let (Some(attribute), Some(value)) = (attribute, value) else {
            self.is_free = true;
            return;
        };
        if value.contains(MARK) {
            let rule = Rule { attribute: attribute.to_owned(), shape: shape(value) };
            if !self.rules.contains(&rule) {
                self.rules.push(rule);
            }
        } else if every
            && ["objectClass", "objectCategory"].iter().any(|kind| kind.eq_ignore_ascii_case(attribute))
        {
            self.kinds.push_str(&format!("({attribute}="));
            encode::filter_value(value.as_bytes(), &mut self.kinds);
            self.kinds.push(')');
        }
    }

    /// The value of the first attribute is there in the entry as well. What the others say of the name, such as its
    /// domain, is taken for unknown.
    fn read_dn(&mut self, dn: &str) {
        let first = dn.split([',', '+']).next().and_then(|first| first.split_once('='));
        match first {
            Some((attribute, value)) if value.contains(MARK) && !value.contains('\\') => {
                self.rules.push(Rule { attribute: attribute.trim().to_owned(), shape: shape(value.trim()) });
            }
            Some(_) | None => self.is_free = true,
        }
    }
}

/// The end of a DN that is the same for everybody. `None`: there is none.
pub(super) fn common_base(dn: &Template) -> Option<&str> {
    match dn.parts().last()? {
        Part::Literal(end) => end.split_once(',').map(|(_, base)| base.trim_start()),
        Part::Name(_) | Part::NameOr(..) => None,
    }
}

/// What a value says that was typed.
#[derive(Debug, PartialEq, Eq)]
enum Typed {
    /// This name.
    Whole(String),
    /// A name with this before its `@`.
    Local(String),
}

/// `None`: no name leads to this value.
fn typed(shape: &[Piece], value: &str) -> Option<Typed> {
    let (mut user, mut local, mut domain) = (None, None, None);
    let mut rest = value;
    let mut pieces = shape.iter().peekable();
    while let Some(piece) = pieces.next() {
        match piece {
            Piece::Text(text) => rest = without(text, rest)?,
            Piece::Hole(hole) => {
                // As long as can be: what stands behind it last is what belongs there.
                let end = match pieces.peek() {
                    None => rest.len(),
                    Some(Piece::Text(text)) => rest.to_ascii_lowercase().rfind(&text.to_ascii_lowercase())?,
                    Some(Piece::Hole(_)) => return None,
                };
                let (part, after) = rest.split_at_checked(end)?;
                rest = after;
                match hole {
                    Hole::User => user = Some(part),
                    Hole::Local => local = Some(part),
                    Hole::Domain => domain = Some(part),
                }
            }
        }
    }
    match (rest.is_empty(), user, local, domain) {
        (true, Some(user), ..) => Some(Typed::Whole(user.to_owned())),
        (true, None, Some(local), Some(domain)) => Some(Typed::Whole(format!("{local}@{domain}"))),
        (true, None, Some(local), None) => Some(Typed::Local(local.to_owned())),
        (true, None, None, _) | (false, ..) => None,
    }
}

/// `value` without `text` before it, in capitals or not.
fn without<'v>(text: &str, value: &'v str) -> Option<&'v str> {
    let (before, after) = value.split_at_checked(text.len())?;
    before.eq_ignore_ascii_case(text).then_some(after)
}

fn marked(template: &Template) -> String {
    let part = |part: &Part| match part {
        Part::Literal(literal) => literal.clone(),
        Part::Name(name) | Part::NameOr(name, _) => match name.as_str() {
            "user" => format!("{MARK}u"),
            "local" => format!("{MARK}l"),
            _ => format!("{MARK}d"),
        },
    };
    template.parts().iter().map(part).collect()
}

fn shape(value: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (number, part) in value.split(MARK).enumerate() {
        let text = match (number, part.split_at_checked(1)) {
            (0, _) | (_, None) => part,
            (_, Some((hole, text))) => {
                pieces.push(Piece::Hole(match hole {
                    "u" => Hole::User,
                    "l" => Hole::Local,
                    _ => Hole::Domain,
                }));
                text
            }
        };
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
    }
    pieces
}

/// How many holes there are in a part of a filter.
fn holes(filter: &StructureTag) -> usize {
    match &filter.payload {
        PL::C(parts) => parts.iter().map(holes).sum(),
        PL::P(bytes) => String::from_utf8_lossy(bytes).matches(MARK).count(),
    }
}

fn text(part: &StructureTag) -> Option<&str> {
    match &part.payload {
        PL::P(bytes) => std::str::from_utf8(bytes).ok(),
        PL::C(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Naming, common_base};
    use crate::{
        config::{Kind, ldap::Find},
        directory::{domains::Domains, ids::Ids, ldap::entry::Entry, row::Recipe, tests::config},
        password::Scheme,
    };

    /// What a configuration makes of an entry with these attributes.
    fn names(keys: &str, fields: &str, attributes: &[(&str, &[&str])]) -> Option<Vec<String>> {
        let config = config(&format!(
            "[[directory]]\nname = 'a'\ntype = 'ldap'\nurls = ['ldapi://%2Fx']\nbase_dn = 'dc=x'\n{keys}\n[directory.fields]\n{fields}\n"
        ));
        let Kind::Ldap(ldap) = &config.kind else { panic!("{keys}") };
        let recipe = Recipe {
            directory: Arc::clone(&config.name),
            domains: Domains::new(config.domains.clone()),
            default_domain: Some(Arc::from("default.org")),
            default_scheme: Scheme::Crypt,
            rehash: None,
            fields: config.fields.clone(),
            ids: Ids::default(),
        };
        let entry = Entry::made("uid=x", attributes);
        let names = Naming::of(&ldap.find).names(&entry, &recipe)?;
        Some(names.iter().map(|name| name.as_str().to_owned()).collect())
    }

    #[test]
    fn an_entry_tells_the_names_that_lead_to_it() {
        let entry: &[(&str, &[&str])] = &[
            ("mail", &["Alice@Example.org"]),
            ("uid", &["alice", "ally"]),
            ("proxyAddresses", &["SMTP:wonder@example.org", "smtp:a@example.net", "X500:/o=x"]),
            ("o", &["mail+alice@example.org!"]),
        ];
        let domains = "domains = ['example.org', 'example.net']\n";
        let table: &[(&str, &str, &str, Option<&[&str]>)] = &[
            ("", "user_filter = '(mail={user})'", "", Some(&["alice@example.org"])),
            ("", "user_filter = '(mail={local}@{domain})'", "", Some(&["alice@example.org"])),
            ("", "user_filter = '(&(a=b)(o=mail+{user}!))'", "", Some(&["alice@example.org"])),
            (
                "",
                "user_filter = '(|(mail={user})(proxyAddresses=smtp:{user}))'",
                "",
                Some(&["alice@example.org", "wonder@example.org", "a@example.net"]),
            ),
            // Whatever they type behind the @: nobody knows under which names they go on.
            ("", "user_filter = '(uid={local})'", "", None),
            ("domains = ['*.example.org']\n", "user_filter = '(uid={local})'", "", None),
            ("", "user_filter = '(mail={local}@*)'", "", None),
            // They go on under one that is known.
            (
                "",
                "user_filter = '(uid={local})'",
                "user = '{mail}'",
                Some(&["alice@example.org", "alice@default.org", "ally@default.org"]),
            ),
            ("", "user_filter = '(mail={local}@*)'", "user = '{mail}'", Some(&["alice@example.org"])),
            // Which is not there.
            ("", "user_filter = '(uid={local})'", "user = '{other}'", None),
            (
                domains,
                "user_filter = '(uid={local})'",
                "",
                Some(&["alice@example.org", "alice@example.net", "ally@example.org", "ally@example.net"]),
            ),
            ("domains = ['example.net']\n", "user_filter = '(mail={user})'", "", Some(&[])),
            ("", "user_filter = '(mail:caseIgnoreMatch:={user})'", "", Some(&["alice@example.org"])),
            ("", "user_filter = '(!(mail={user}))'", "", None),
            (
                domains,
                "user_dn = 'uid={local},ou=people,dc=x'",
                "",
                Some(&["alice@example.org", "alice@example.net", "ally@example.org", "ally@example.net"]),
            ),
            ("", "user_dn = 'mail={user},ou=people,dc=x'", "", Some(&["alice@example.org"])),
        ];
        for (domains, find, fields, expected) in table {
            let got = names(&format!("{domains}{find}"), fields, entry);
            let expected =
                expected.map(|names| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
            assert_eq!(got, expected, "{domains}{find} {fields}");
        }
    }

    #[test]
    fn what_is_asked_for_is_who_may_have_a_name() {
        let filter = |find: &str| {
            let config = config(&format!(
                "[[directory]]\nname = 'a'\ntype = 'ldap'\nurls = ['ldapi://%2Fx']\nbase_dn = 'dc=x'\n{find}\n"
            ));
            let Kind::Ldap(ldap) = &config.kind else { panic!("{find}") };
            let base = match &ldap.find {
                Find::Dn(template) => common_base(template).unwrap_or("none").to_owned(),
                Find::Filter(_) => String::new(),
            };
            (Naming::of(&ldap.find).filter(), base)
        };
        for (find, expected, base) in [
            ("user_filter = '(mail={user})'", "(|(mail=*))", ""),
            (
                "user_filter = '(&(objectClass=person)(!(locked=TRUE))(|(mail={user})(uid={local}))(active=1))'",
                "(objectClass=person)(|(mail=*)(uid=*))",
                "",
            ),
            ("user_filter = '(|(&(objectClass=a)(mail={user}))(uid={user}))'", "(|(mail=*)(uid=*))", ""),
            ("user_filter = '(&(objectClass=person)(mail={local}@*))'", "(objectClass=person)", ""),
            ("user_dn = 'uid={local},ou=people,dc=x'", "(|(uid=*))", "ou=people,dc=x"),
            ("user_dn = 'uid={local},ou={domain},dc=x'", "(|(uid=*))", "dc=x"),
        ] {
            assert_eq!(filter(find), (expected.to_owned(), base.to_owned()), "{find}");
        }
    }
}
