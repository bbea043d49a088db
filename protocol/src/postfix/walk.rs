//! Under which keys a table is asked, one after the other.
//!
//! Postfix does this itself with a file or a database, and not with a socketmap, which it asks once, with the whole key:
//! user+ext@example.org. Here is what it does with the others, so that a table behind a socketmap says the same.
//!
//! <https://www.postfix.org/virtual.5.html>, <https://www.postfix.org/transport.5.html>,
//! <https://www.postfix.org/access.5.html>: TABLE SEARCH ORDER.

use super::address::{Address, halves};

/// How a table is walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walk {
    /// `exact`: the key alone.
    Exact,
    /// `address`: user+ext@domain, user@domain, @domain.
    Address,
    /// `transport`: user+ext@domain, user@domain, domain, .parent and so on up. `*` Postfix asks for itself.
    Transport,
    /// `access`: user+ext@domain, user@domain, domain, parent and so on up, user+ext@, user@.
    Access,
    /// `client`: a name, and its parents; or an address of IP, and the networks at its dots or colons: 192.0.2.1, 192.0.2,
    /// 192.0, 192.
    Client,
    /// `domain`: a domain, and its parents.
    Domain,
    /// `nexthop`: a domain, and its parents with a dot before: .example.org.
    Nexthop,
}

/// How restrictions about the servers of a domain end.
const SERVERS: [&str; 3] = ["_mx_access", "_ns_access", "_a_access"];

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is asked for.
    pub key: String,
    /// Whether an extension was taken off the local part.
    pub is_bare: bool,
    /// Whether it is an address with a local part: all that any other key finds is for everybody of a domain.
    pub is_whole: bool,
}

impl Walk {
    /// All, with their names in the configuration.
    pub const ALL: [(&'static str, Self); 7] = [
        ("exact", Self::Exact),
        ("address", Self::Address),
        ("transport", Self::Transport),
        ("access", Self::Access),
        ("client", Self::Client),
        ("domain", Self::Domain),
        ("nexthop", Self::Nexthop),
    ];

    /// How Postfix walks the tables of a parameter, or of a restriction such as `check_sender_access`. `None`: it is
    /// none that looks up in tables.
    pub fn of_parameter(name: &str) -> Option<Self> {
        let walk = match name {
            "virtual_mailbox_domains"
            | "virtual_alias_domains"
            | "mydestination"
            | "check_sasl_access"
            | "smtpd_milter_maps"
            | "smtpd_discard_ehlo_keyword_address_maps" => Self::Exact,
            "virtual_mailbox_maps"
            | "virtual_alias_maps"
            | "canonical_maps"
            | "sender_canonical_maps"
            | "recipient_canonical_maps"
            | "smtp_generic_maps"
            | "relocated_maps"
            | "relay_recipient_maps"
            | "local_recipient_maps"
            | "sender_bcc_maps"
            | "recipient_bcc_maps"
            | "smtpd_sender_login_maps"
            | "sender_dependent_relayhost_maps"
            | "sender_dependent_default_transport_maps"
            | "smtp_sasl_password_maps" => Self::Address,
            "transport_maps" => Self::Transport,
            "check_sender_access" | "check_recipient_access" => Self::Access,
            "check_client_access" => Self::Client,
            "relay_domains" | "check_helo_access" => Self::Domain,
            "smtp_tls_policy_maps" => Self::Nexthop,
            // Of the servers of a domain, by name and by address: check_recipient_mx_access and its kin.
            _ if name.starts_with("check_") && SERVERS.iter().any(|of| name.ends_with(of)) => Self::Client,
            _ => return None,
        };
        Some(walk)
    }

    /// The keys for what Postfix asks for, in their order, each once. In lower case, as those of all tables of fixed
    /// strings; an extension begins at one of the `delimiters`. A domain of other letters is asked for in both forms, as
    /// U-label and as A-label (RFC 5890 2.3.2.1), the one that came first: Postfix has it as the remote wrote it.
    pub fn steps(self, key: &str, delimiters: &str) -> Vec<Step> {
        let key = key.to_lowercase();
        let Some(other) = in_other_letters(&key) else { return self.steps_of(key, delimiters) };
        let mut all = Steps(Vec::with_capacity(8));
        let mut others = self.steps_of(other, delimiters).into_iter();
        for step in self.steps_of(key, delimiters) {
            all.add(step);
            others.next().into_iter().for_each(|step| all.add(step));
        }
        others.for_each(|step| all.add(step));
        all.0
    }

    fn steps_of(self, key: String, delimiters: &str) -> Vec<Step> {
        let mut steps = Steps(Vec::with_capacity(4));
        match self {
            Self::Exact => steps.put(key),
            Self::Address | Self::Transport | Self::Access => steps.walk_address(self, &key, delimiters),
            Self::Client if is_ip(&key) => steps.walk_networks(&key),
            Self::Client | Self::Domain => steps.walk_domains(&key, ""),
            // A host in brackets, or one with a port, is no domain.
            Self::Nexthop if key.contains(['[', ':']) => steps.put(key),
            Self::Nexthop => steps.walk_domains(&key, "."),
        }
        steps.0
    }
}

struct Steps(Vec<Step>);

impl Steps {
    /// What is for one, with its extension.
    fn put(&mut self, key: String) {
        self.add(Step { key, is_bare: false, is_whole: true });
    }

    /// What is for everybody.
    fn put_wide(&mut self, key: String) {
        self.add(Step { key, is_bare: false, is_whole: false });
    }

    fn add(&mut self, step: Step) {
        if self.0.iter().all(|other| other.key != step.key) {
            self.0.push(step);
        }
    }

    fn walk_address(&mut self, walk: Walk, key: &str, delimiters: &str) {
        let address = Address::asked(key);
        let Some(domain) = address.domain else {
            // The null sender, or a name that is asked for beside addresses.
            return self.put(key.to_owned());
        };
        if address.local.is_empty() {
            // Postfix asks for @domain itself nowhere; whoever else does is to be told what is there.
            self.put_wide(key.to_owned());
        } else {
            self.put_forms(&address, false);
        }
        let bare = address.without_extension(delimiters);
        if let Some((bare, _)) = &bare {
            self.put_forms(bare, true);
        }
        match walk {
            Walk::Address => self.put_wide(format!("@{domain}")),
            Walk::Transport => self.walk_domains(domain, "."),
            Walk::Access => {
                self.walk_domains(domain, "");
                self.put_forms(&Address { domain: Some(""), ..address.clone() }, false);
                if let Some((bare, _)) = bare {
                    self.put_forms(&Address { domain: Some(""), ..bare }, true);
                }
            }
            Walk::Exact | Walk::Client | Walk::Domain | Walk::Nexthop => {}
        }
    }

    fn put_forms(&mut self, address: &Address<'_>, is_bare: bool) {
        self.add(Step { key: address.external(), is_bare, is_whole: true });
        if let Some(internal) = address.internal() {
            self.add(Step { key: internal, is_bare, is_whole: true });
        }
    }

    /// A domain and those above it, with `mark` before them.
    fn walk_domains(&mut self, domain: &str, mark: &str) {
        self.put_wide(domain.to_owned());
        let mut rest = domain;
        // A dot at the beginning is none between two names.
        while let Some(at) = rest.bytes().skip(1).position(|byte| byte == b'.') {
            rest = rest.get(at + 2..).unwrap_or_default();
            if !rest.is_empty() {
                self.put_wide([mark, rest].concat());
            }
        }
    }

    /// An address of IP, and what is left of it at each delimiter from the right.
    fn walk_networks(&mut self, address: &str) {
        let delimiter = if address.contains(':') { ':' } else { '.' };
        let mut rest = address;
        self.put(rest.to_owned());
        while let Some(at) = rest.rfind(delimiter) {
            rest = rest.get(..at).unwrap_or_default().trim_end_matches(delimiter);
            if rest.is_empty() {
                break;
            }
            self.put_wide(rest.to_owned());
        }
    }
}

/// The key with the other form of its domain, or of the domain that it is. `None`: it has but one.
fn in_other_letters(key: &str) -> Option<String> {
    let (local, domain) = match halves(key) {
        (local, Some(domain)) => (Some(local), domain),
        (whole, None) => (None, whole),
    };
    let other = if domain.split('.').any(|label| label.starts_with("xn--")) {
        match idna::domain_to_unicode(domain) {
            (other, Ok(())) => other,
            (_, Err(_)) => return None,
        }
    } else if domain.is_ascii() {
        return None;
    } else {
        idna::domain_to_ascii(domain).ok()?
    };
    let other = other.to_lowercase();
    (other != domain && !other.is_empty()).then(|| match local {
        Some(local) => [local, "@", &other].concat(),
        None => other,
    })
}

fn is_ip(key: &str) -> bool {
    key.contains(':') || key.split('.').all(|part| part.parse::<u8>().is_ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Walk::{self, Access, Client, Domain, Exact, Nexthop, Transport};

    fn keys(walk: Walk, key: &str) -> Vec<String> {
        walk.steps(key, "+").into_iter().map(|step| step.key).collect()
    }

    /// What Postfix asks tables of fixed strings for, as seen on the wire.
    #[test]
    fn each_kind_is_walked_as_postfix_walks_it() {
        let table: &[(Walk, &str, &[&str])] = &[
            (
                Walk::Address,
                "User+Ext@Sub.Dom.TEST",
                &["user+ext@sub.dom.test", "user@sub.dom.test", "@sub.dom.test"],
            ),
            (Walk::Address, "user@dom.test", &["user@dom.test", "@dom.test"]),
            (
                Walk::Address,
                "\"a b+c\"@dom.test",
                &["\"a b+c\"@dom.test", "a b+c@dom.test", "\"a b\"@dom.test", "a b@dom.test", "@dom.test"],
            ),
            (Walk::Address, "a b@dom.test", &["\"a b\"@dom.test", "a b@dom.test", "@dom.test"]),
            (
                Walk::Address,
                "quo\"ted@dom.test",
                &["\"quo\\\"ted\"@dom.test", "quo\"ted@dom.test", "@dom.test"],
            ),
            (
                Access,
                "\"anna\"@dom.test",
                &[
                    "\"\\\"anna\\\"\"@dom.test",
                    "\"anna\"@dom.test",
                    "dom.test",
                    "test",
                    "\"\\\"anna\\\"\"@",
                    "\"anna\"@",
                ],
            ),
            (Walk::Address, "", &[""]),
            (Walk::Address, "<>", &["<>"]),
            (Walk::Address, "mx.dom.test", &["mx.dom.test"]),
            (Walk::Address, "[mx.dom.test]:587", &["[mx.dom.test]:587"]),
            (Walk::Address, "@dom.test", &["@dom.test"]),
            (
                Transport,
                "User+Ext@Sub.Dom.TEST",
                &["user+ext@sub.dom.test", "user@sub.dom.test", "sub.dom.test", ".dom.test", ".test"],
            ),
            (Transport, "*", &["*"]),
            (
                Access,
                "User+Ext@Sub.Dom.TEST",
                &[
                    "user+ext@sub.dom.test",
                    "user@sub.dom.test",
                    "sub.dom.test",
                    "dom.test",
                    "test",
                    "user+ext@",
                    "user@",
                ],
            ),
            (Access, "<>", &["<>"]),
            (Client, "MX.Dom.test", &["mx.dom.test", "dom.test", "test"]),
            (Client, "unknown", &["unknown"]),
            (Client, "192.0.2.1", &["192.0.2.1", "192.0.2", "192.0", "192"]),
            (Client, "2001:db8::1", &["2001:db8::1", "2001:db8", "2001"]),
            (Client, "::1", &["::1"]),
            (Domain, "Sub.Dom.test", &["sub.dom.test", "dom.test", "test"]),
            (Nexthop, "sub.dom.test", &["sub.dom.test", ".dom.test", ".test"]),
            (Nexthop, ".dom.test", &[".dom.test", ".test"]),
            (Nexthop, "[mx.dom.test]", &["[mx.dom.test]"]),
            (Nexthop, "dom.test:587", &["dom.test:587"]),
            (Exact, "Dom.TEST", &["dom.test"]),
        ];
        for (walk, key, expected) in table {
            assert_eq!(keys(*walk, key), *expected, "{walk:?} of {key}");
        }
    }

    #[test]
    fn a_domain_of_other_letters_is_asked_for_in_both_forms() {
        let table: &[(Walk, &str, &[&str])] = &[
            (
                Walk::Address,
                "Anna+x@Bücher.example",
                &[
                    "anna+x@bücher.example",
                    "anna+x@xn--bcher-kva.example",
                    "anna@bücher.example",
                    "anna@xn--bcher-kva.example",
                    "@bücher.example",
                    "@xn--bcher-kva.example",
                ],
            ),
            (Exact, "XN--bcher-kva.example", &["xn--bcher-kva.example", "bücher.example"]),
            (Exact, "rené@example.org", &["rené@example.org"]),
            (
                Domain,
                "mx.Пример.test",
                &["mx.пример.test", "mx.xn--e1afmkfd.test", "пример.test", "xn--e1afmkfd.test", "test"],
            ),
            (Exact, "a@xn--.example", &["a@xn--.example"]),
            (
                Nexthop,
                "mx.bücher.example",
                &[
                    "mx.bücher.example",
                    "mx.xn--bcher-kva.example",
                    ".bücher.example",
                    ".xn--bcher-kva.example",
                    ".example",
                ],
            ),
        ];
        for (walk, key, expected) in table {
            assert_eq!(keys(*walk, key), *expected, "{walk:?} of {key}");
        }
    }

    #[test]
    fn a_step_says_what_was_taken_off_and_whether_it_is_for_everybody() {
        let steps = Walk::Address.steps("a+x@b", "+");
        let steps: Vec<_> = steps.iter().map(|step| (step.is_bare, step.is_whole)).collect();
        assert_eq!(steps, [(false, true), (true, true), (false, false)]);
    }

    #[test]
    fn a_parameter_has_the_walk_of_its_manual() {
        for (name, walk) in [
            ("virtual_alias_maps", Some(Walk::Address)),
            ("transport_maps", Some(Transport)),
            ("check_client_access", Some(Client)),
            ("smtp_tls_policy_maps", Some(Nexthop)),
            ("relay_domains", Some(Domain)),
            ("check_recipient_mx_access", Some(Client)),
            ("check_helo_a_access", Some(Client)),
            ("aliases", None),
            ("", None),
        ] {
            assert_eq!(Walk::of_parameter(name), walk, "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_walk_ends_and_asks_for_nothing_twice(key: String, which in 0..7_usize, delimiters in "[+-]{0,2}") {
            let steps = Walk::ALL[which].1.steps(&key, &delimiters);
            prop_assert!(!steps.is_empty());
            let mut keys: Vec<_> = steps.iter().map(|step| &step.key).collect();
            keys.sort();
            keys.dedup();
            prop_assert_eq!(keys.len(), steps.len());
        }
    }
}
