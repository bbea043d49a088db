//! What is in each table, what is done, and what comes of it. All tables are those of one Postfix, so that what a row puts in
//! is there for all.

mod doors;
mod mail;

use super::Does;

/// What a table is to do.
pub(super) struct Row {
    pub(super) map: &'static str,
    /// What is in it for this.
    pub(super) has: &'static [(&'static str, &'static str)],
    pub(super) does: Does,
    /// What is said of it, by smtpd or in the log.
    pub(super) says: &'static str,
    /// What is not.
    pub(super) never: Option<&'static str>,
}

/// Nothing but what other rows have put in, some of which is like it and is not to be found.
const NOTHING: &[(&str, &str)] = &[];

/// Somebody whom no table knows, and somebody far away. Their mail goes nowhere, and the log has the domain.
pub(super) const FRIEND: &str = "friend@elsewhere.test";
pub(super) const FAR: &str = "far@elsewhere.test";

/// Somebody for whom mail is taken of everybody.
pub(super) const NEAR: &str = "one@inner.test";

/// Taken in, as mail and as a recipient; and discarded where it would have gone to the server of its domain.
const TAKEN: &str = "250 2.0.0 Ok: queued as ";
const ALLOWED: &str = "250 2.1.5 Ok";
const AS_USUAL: &str = "relay=none, status=sent (elsewhere.test)";
/// The next server has it.
const ARRIVED: &str = "relay=none, status=sent (arrived)";

pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    doors::ROWS.iter().chain(mail::ROWS)
}

const fn row(
    map: &'static str,
    has: &'static [(&'static str, &'static str)],
    does: Does,
    says: &'static str,
) -> Row {
    Row { map, has, does, says, never: None }
}

/// One after which something is not said besides.
const fn never(row: Row, never: &'static str) -> Row {
    Row { never: Some(never), ..row }
}

/// What the way of mail needs beside what its rows are about: whose mail goes out by SMTP, and by whose server.
pub(super) const WAYS: &[(&str, &str, &str)] = &[
    ("sender_dependent_default_transport_maps", "@smtp.test", "smtp:"),
    ("sender_dependent_default_transport_maps", "bracket@smtp.test", "smtp:[bracket.hosts.test]:10621"),
    ("sender_dependent_default_transport_maps", "@canonical.test", "smtp:[next.hosts.test]"),
    ("sender_dependent_default_transport_maps", "@generic.test", "smtp:[next.hosts.test]"),
    ("sender_dependent_default_transport_maps", "@whole.generic.test", "smtp:[next.hosts.test]"),
    ("sender_dependent_default_transport_maps", "@sub.generic.test", "smtp:[next.hosts.test]"),
    ("sender_dependent_default_transport_maps", "@relayed.test", "smtp:"),
    ("sender_dependent_default_transport_maps", "@all.relayed.test", "smtp:"),
    ("sender_dependent_default_transport_maps", "@sub.all.relayed.test", "smtp:"),
    ("sender_dependent_default_transport_maps", "@by-host.test", "smtp:"),
    ("sender_dependent_default_transport_maps", "@by-nexthop.test", "smtp:"),
    ("sender_dependent_relayhost_maps", "@relayed.test", "[relay.hosts.test]:10620"),
    ("sender_dependent_relayhost_maps", "@all.relayed.test", "[relay.hosts.test]:10620"),
    ("sender_dependent_relayhost_maps", "@sub.all.relayed.test", "[strange.hosts.test]:10620"),
    ("sender_dependent_relayhost_maps", "@by-host.test", "[known.hosts.test]:10620"),
    ("sender_dependent_relayhost_maps", "@by-nexthop.test", "[nexthop.hosts.test]:10620"),
    ("local_recipient_maps", "@passing.test", "x"),
];

/// The host names of clients and servers. `HERE`: of the servers of the place.
pub(super) const HOSTS: &str = "127.0.0.1 localhost
127.40.0.1 mail.client.test
127.40.0.2 mx.deep.parent.test
127.40.0.3 mx.notparent.test
127.40.0.4 mx.dotted.test
127.40.0.5 mx.first.test
127.60.7.1 web.served.test
127.60.70.1 web.kept.test
127.61.1.1 mx.above.served.test
HERE next.hosts.test relay.hosts.test known.hosts.test nexthop.hosts.test bracket.hosts.test strange.hosts.test
HERE secure.test deep.sub.secure.test open.secure.test notsecure.test sub.alone.test
";
