//! Two Postfixes in one: services that look up in their own tables, and the same services that ask gatepost.

use std::collections::BTreeMap;

use super::definitions::Definition;
use crate::support::{Lines, Place, Postfix, wait_until};

/// What is written in the tables of a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Own,
    Gatepost,
}

/// What a service is asked, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Relocated,
    Transport,
    Recipient,
    Sender,
    Alias,
}

impl Kind {
    pub(super) const ALL: [Self; 5] =
        [Self::Relocated, Self::Transport, Self::Recipient, Self::Sender, Self::Alias];

    pub(super) const fn map(self) -> &'static str {
        match self {
            Self::Relocated => "relocated_maps",
            Self::Transport => "transport_maps",
            Self::Recipient => "check_recipient_access",
            Self::Sender => "check_sender_access",
            Self::Alias => "virtual_alias_maps",
        }
    }

    /// What it is asked for: of where mail goes fewer, as each is delivered, and none that is longer than a line of the log.
    pub(super) fn addresses(self, all: &[String]) -> Vec<String> {
        match self {
            Self::Alias => all.iter().filter(|address| address.len() < 200).take(2000).cloned().collect(),
            Self::Sender => ["".to_owned()].iter().chain(all).cloned().collect(),
            Self::Relocated | Self::Transport | Self::Recipient => all.to_vec(),
        }
    }

    const fn port(self, side: Side) -> u16 {
        10610 + 2 * self as u16 + side as u16
    }

    /// The lines of master.cf.
    fn services(self, place: &Place, side: Side, table: &str) -> String {
        let (address, port) = (place.address(), self.port(side));
        let rewrite = format!("rewrite{port} unix - - n - - trivial-rewrite");
        let table_of = |map: &str| format!("-o {map}={table}");
        let (options, more) = match self {
            Self::Relocated | Self::Transport => (
                format!(
                    "-o rewrite_service_name=rewrite{port} -o smtpd_recipient_restrictions=reject_unlisted_recipient,reject"
                ),
                format!("{rewrite} {}\n", table_of(self.map())),
            ),
            Self::Recipient => (
                format!("-o smtpd_recipient_restrictions=check_recipient_access,{table},reject"),
                String::new(),
            ),
            Self::Sender => (
                format!(
                    "-o smtpd_sender_restrictions=check_sender_access,{table},reject -o smtpd_recipient_restrictions=reject"
                ),
                String::new(),
            ),
            Self::Alias => (
                format!(
                    "-o cleanup_service_name=cleanup{port} {} -o mynetworks=127.0.0.0/8 -o smtpd_recipient_restrictions=permit_mynetworks,reject",
                    table_of(self.map())
                ),
                format!("cleanup{port} unix n - n - 0 cleanup {}\n", table_of(self.map())),
            ),
        };
        format!(
            "{address}:{port} inet n - n - - smtpd -o smtpd_sasl_auth_enable=no -o smtpd_delay_reject=no -o smtpd_relay_restrictions= {options}\n{more}"
        )
    }
}

/// What Postfix needs in its main.cf for as many refusals as there will be.
pub(super) const PATIENT: &str = "
recipient_delimiter = +
virtual_alias_domains =
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 1000000
smtpd_hard_error_limit = 1000000
smtpd_recipient_limit = 1000000
smtpd_recipient_overshoot_limit = 1000000
smtpd_client_connection_count_limit = 0
";

/// The services of all kinds, on both sides.
pub(super) fn services(place: &Place, own: &str) -> String {
    let mut text = String::new();
    for kind in Kind::ALL {
        text += &kind.services(place, Side::Own, &file(place, own, kind.map()));
        text += &kind.services(place, Side::Gatepost, &Postfix::table_of_gatepost(place, kind.map()));
    }
    text
}

/// A table of Postfix's own: `mysql:/.../whole.cf`.
pub(super) fn file(place: &Place, own: &str, name: &str) -> String {
    format!("{own}:{}", place.inside(&format!("postfix/etc/{own}-{name}.cf")))
}

/// Writes the files of Postfix's own tables, each with `server` before it.
pub(super) fn write_files<'d>(
    place: &Place,
    own: &str,
    server: &str,
    definitions: impl IntoIterator<Item = &'d Definition>,
) {
    for definition in definitions {
        let path = format!("postfix/etc/{own}-{}.cf", definition.name);
        place.write(&path, &format!("{server}{}", definition.for_postfix()));
    }
}

/// What the service says of each address, in as many words; of [`Kind::Alias`] where mail for it goes.
pub(super) fn said(
    place: &Place,
    postfix: &Postfix<'_>,
    kind: Kind,
    side: Side,
    addresses: &[String],
) -> Vec<String> {
    let mut smtp = Lines::connect(place.port(kind.port(side)));
    smtp.expect("220");
    smtp.say("EHLO client.example.test");
    smtp.hear_until(|line| line.starts_with("250 "));
    if kind != Kind::Sender {
        smtp.ask("MAIL FROM:<friend@elsewhere.test> SMTPUTF8", "250");
    }
    let mut said = Vec::with_capacity(addresses.len());
    for some in addresses.chunks(50) {
        for address in some {
            smtp.say(&match kind {
                Kind::Sender => format!("MAIL FROM:<{address}> SMTPUTF8"),
                Kind::Relocated | Kind::Transport | Kind::Recipient | Kind::Alias => {
                    format!("RCPT TO:<{address}>")
                }
            });
        }
        said.extend(some.iter().map(|_| smtp.hear_only()));
    }
    if kind == Kind::Alias {
        smtp.ask("DATA", "354");
        let queued = smtp.ask("Subject: test\r\n\r\nhello\r\n.", "250");
        let queued = queued.rsplit(' ').next().unwrap();
        for (said, to) in said.iter_mut().zip(delivered(postfix, queued, addresses)) {
            *said += &to;
        }
    }
    smtp.ask("QUIT", "221");
    said
}

/// To whom Postfix has delivered a mail, for each of the addresses that it was sent to.
fn delivered(postfix: &Postfix<'_>, queued: &str, addresses: &[String]) -> Vec<String> {
    let log = || postfix.log();
    wait_until("the mail is delivered", || log().contains(&format!("{queued}: removed")));
    let mut to: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let log = log();
    for line in log.lines() {
        let Some((_, line)) = line.split_once(&format!("{queued}: to=<")) else { continue };
        let (line, _) = line.rsplit_once(">, relay=none").expect("it is delivered to nowhere");
        let (address, original) = line.split_once(">, orig_to=<").unwrap_or((line, line));
        to.entry(original.to_owned()).or_default().push(address.to_owned());
    }
    for to in to.values_mut() {
        to.sort();
        // cleanup knows the last thousand only, and may be told of an address twice.
        to.dedup();
    }
    let of = |address: &String| format!(" and goes to {:?}", to.get(address));
    addresses.iter().map(of).collect()
}
