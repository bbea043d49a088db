//! What smtpd says of who comes, and for whom they have mail.

use super::{
    super::Does::{Client, Connect, Helo, Keywords, Login, Mail, Recipient, Remote},
    ALLOWED, FAR, FRIEND, NOTHING, Row, TAKEN, never, row,
};

pub(super) const ROWS: &[Row] = &[
    // A host name, its parents, and then the address and its networks.
    row(
        "check_client_access",
        &[("mail.client.test", "REJECT by name")],
        Client("127.40.0.1"),
        "554 5.7.1 <mail.client.test[127.40.0.1]>: Client host rejected: by name",
    ),
    row(
        "check_client_access",
        &[("parent.test", "REJECT by its parent")],
        Client("127.40.0.2"),
        "554 5.7.1 <mx.deep.parent.test[127.40.0.2]>: Client host rejected: by its parent",
    ),
    row("check_client_access", NOTHING, Client("127.40.0.3"), TAKEN),
    row("check_client_access", &[(".dotted.test", "REJECT by a dot")], Client("127.40.0.4"), TAKEN),
    row(
        "check_client_access",
        &[("first.test", "OK"), ("127.40.0.5", "REJECT by address")],
        Client("127.40.0.5"),
        TAKEN,
    ),
    row(
        "check_client_access",
        &[("127.41.1.1", "REJECT by address")],
        Client("127.41.1.1"),
        "554 5.7.1 <unknown[127.41.1.1]>: Client host rejected: by address",
    ),
    row(
        "check_client_access",
        &[("127.42.7", "REJECT of three")],
        Client("127.42.7.9"),
        "554 5.7.1 <unknown[127.42.7.9]>: Client host rejected: of three",
    ),
    row("check_client_access", NOTHING, Client("127.42.70.9"), TAKEN),
    row(
        "check_client_access",
        &[("127.43", "REJECT of two")],
        Client("127.43.8.9"),
        "554 5.7.1 <unknown[127.43.8.9]>: Client host rejected: of two",
    ),
    row("check_client_access", &[("127", "WARN of one")], Client("127.45.1.1"), ": of one; from="),
    row(
        "check_client_access",
        &[("127.44.1.1", "OK"), ("127.44.1", "REJECT of three")],
        Client("127.44.1.1"),
        TAKEN,
    ),
    row("check_client_access", NOTHING, Client("127.44.1.2"), "Client host rejected: of three"),
    row(
        "check_client_access",
        &[("2001:db8:7", "REJECT of three")],
        Remote("2001:db8:7::9"),
        "554 5.7.1 <unknown[2001:db8:7::9]>: Client host rejected: of three",
    ),
    row("check_client_access", NOTHING, Remote("2001:db8:70::9"), ALLOWED),
    row(
        "check_client_access",
        &[("2001:db8:8:0:1::9", "OK"), ("2001:db8:8", "REJECT of three")],
        Remote("2001:db8:8:0:1::9"),
        ALLOWED,
    ),
    row("check_client_access", NOTHING, Remote("2001:db8:8:0:1::8"), "Client host rejected: of three"),
    // A name and its parents, but of an address nothing that stands behind its dots.
    row(
        "check_helo_access",
        &[("exact.helo.test", "REJECT by name")],
        Helo("exact.helo.test"),
        "554 5.7.1 <exact.helo.test>: Helo command rejected: by name",
    ),
    row(
        "check_helo_access",
        &[("above.test", "REJECT by its parent")],
        Helo("MX.deep.Above.test"),
        "554 5.7.1 <MX.deep.Above.test>: Helo command rejected: by its parent",
    ),
    row("check_helo_access", NOTHING, Helo("mx.notabove.test"), TAKEN),
    row("check_helo_access", &[("good.above.test", "OK")], Helo("good.above.test"), TAKEN),
    row("check_helo_access", &[("3.4", "REJECT by half an address")], Helo("1.2.3.4"), TAKEN),
    row(
        "check_helo_access",
        &[("4.5.6.7", "REJECT by address")],
        Helo("4.5.6.7"),
        "554 5.7.1 <4.5.6.7>: Helo command rejected: by address",
    ),
    // Each address that the name has, and its networks, but no name.
    row(
        "check_helo_a_access",
        &[("127.60.7", "REJECT of three")],
        Helo("web.served.test"),
        "554 5.7.1 <web.served.test>: Helo command rejected: of three",
    ),
    row("check_helo_a_access", NOTHING, Helo("web.kept.test"), TAKEN),
    row(
        "check_helo_a_access",
        &[("above.served.test", "REJECT by its parent"), ("mx.above.served.test", "REJECT by name")],
        Helo("mx.above.served.test"),
        TAKEN,
    ),
    row(
        "check_helo_a_access",
        NOTHING,
        Helo("[127.60.7.2]"),
        "554 5.7.1 <[127.60.7.2]>: Helo command rejected: of three",
    ),
    // The login alone.
    row(
        "check_sasl_access",
        &[("blocked@example.test", "REJECT not today")],
        Login("Blocked@example.test", FRIEND),
        "554 5.7.1 <blocked@example.test>: SASL login name rejected: not today",
    ),
    row(
        "check_sasl_access",
        &[("@example.test", "REJECT"), ("example.test", "REJECT"), ("alice@", "REJECT"), ("alice", "REJECT")],
        Login("alice@example.test", FRIEND),
        TAKEN,
    ),
    // Who may send under an address.
    row(
        "smtpd_sender_login_maps",
        &[
            ("owned@senders.test", "ALICE@example.test, blocked@example.test"),
            ("@all.senders.test", "blocked@example.test"),
        ],
        Login("alice@example.test", "Owned+x@senders.test"),
        TAKEN,
    ),
    row(
        "smtpd_sender_login_maps",
        NOTHING,
        Login("alice@example.test", "any@all.senders.test"),
        "553 5.7.1 <any@all.senders.test>: Sender address rejected: not owned by user alice@example.test",
    ),
    row("smtpd_sender_login_maps", NOTHING, Login("alice@example.test", "any@sub.all.senders.test"), TAKEN),
    row(
        "smtpd_sender_login_maps",
        NOTHING,
        Mail("owned@senders.test", FAR),
        "553 5.7.1 <owned@senders.test>: Sender address rejected: not logged in",
    ),
    // An address of IP and no network.
    row(
        "smtpd_milter_maps",
        &[("127.50.1.1", "unix:nowhere")],
        Connect("127.50.1.1"),
        "milter-reject: CONNECT from unknown[127.50.1.1]: 4",
    ),
    row("smtpd_milter_maps", &[("127.50.2", "unix:nowhere")], Client("127.50.2.1"), TAKEN),
    never(
        row(
            "smtpd_discard_ehlo_keyword_address_maps",
            &[("127.51.1.1", "pipelining, size")],
            Keywords("127.51.1.1"),
            "CHUNKING",
        ),
        "PIPELINING",
    ),
    row(
        "smtpd_discard_ehlo_keyword_address_maps",
        &[("127.51.2", "pipelining")],
        Keywords("127.51.2.1"),
        "PIPELINING",
    ),
    // A domain and those below it; then who is there.
    row("relay_domains", &[("inner.test", "x")], Recipient("one@Inner.test"), ALLOWED),
    row("relay_domains", NOTHING, Recipient("one@deep.sub.inner.test"), ALLOWED),
    row(
        "relay_domains",
        NOTHING,
        Recipient("one@notinner.test"),
        "454 4.7.1 <one@notinner.test>: Relay access denied",
    ),
    row(
        "relay_domains",
        &[(".dotted-relay.test", "x")],
        Recipient("one@sub.dotted-relay.test"),
        "454 4.7.1 <one@sub.dotted-relay.test>: Relay access denied",
    ),
    row("relay_recipient_maps", &[("one@inner.test", "x")], Recipient("One+x@inner.test"), ALLOWED),
    row(
        "relay_recipient_maps",
        &[("@deep.sub.inner.test", "x")],
        Recipient("two@deep.sub.inner.test"),
        ALLOWED,
    ),
    row(
        "relay_recipient_maps",
        NOTHING,
        Recipient("two@inner.test"),
        "550 5.1.1 <two@inner.test>: Recipient address rejected: User unknown in relay recipient table",
    ),
    row("relay_recipient_maps", NOTHING, Recipient("one@sub.inner.test"), "550 5.1.1 "),
    // A domain, and none below it; then who is there.
    row("virtual_mailbox_domains", &[("boxes.test", "x")], Recipient("anna@Boxes.test"), ALLOWED),
    row("virtual_mailbox_domains", &[(".boxes.test", "x")], Recipient("anna@sub.boxes.test"), "454 4.7.1 "),
    row("virtual_mailbox_maps", &[("anna@boxes.test", "x")], Recipient("Anna+x@boxes.test"), ALLOWED),
    row(
        "virtual_mailbox_maps",
        &[("anna", "x"), ("boxes.test", "x")],
        Recipient("ben@boxes.test"),
        "550 5.1.1 <ben@boxes.test>: Recipient address rejected: User unknown in virtual mailbox table",
    ),
    row("virtual_alias_domains", &[("alias.test", "x")], Recipient("sales@Alias.test"), ALLOWED),
    row("virtual_alias_domains", &[(".alias.test", "x")], Recipient("sales@sub.alias.test"), "454 4.7.1 "),
    row(
        "virtual_alias_maps",
        &[("sales@alias.test", "shop@elsewhere.test")],
        Recipient("Sales+x@alias.test"),
        ALLOWED,
    ),
    row(
        "virtual_alias_maps",
        NOTHING,
        Recipient("ben@alias.test"),
        "550 5.1.1 <ben@alias.test>: Recipient address rejected: User unknown in virtual alias table",
    ),
    // A domain, and none below it; then who is there, by address or by the local part alone.
    row(
        "mydestination",
        &[("local.test", "x"), ("passing.test", "x")],
        Recipient("anna@Local.test"),
        ALLOWED,
    ),
    row(
        "mydestination",
        &[(".local.test", "x")],
        Recipient("anna@sub.local.test"),
        "454 4.7.1 <anna@sub.local.test>: Relay access denied",
    ),
    row("local_recipient_maps", &[("anna", "x")], Recipient("Anna+x@local.test"), ALLOWED),
    row("local_recipient_maps", &[("ben@local.test", "x")], Recipient("ben+x@local.test"), ALLOWED),
    row("local_recipient_maps", &[("cleo+only", "x")], Recipient("cleo+only@local.test"), ALLOWED),
    row(
        "local_recipient_maps",
        NOTHING,
        Recipient("cleo@local.test"),
        "550 5.1.1 <cleo@local.test>: Recipient address rejected: User unknown in local recipient table",
    ),
    row("local_recipient_maps", NOTHING, Recipient("anybody@passing.test"), ALLOWED),
    row(
        "local_recipient_maps",
        &[("anna@", "x"), ("local.test", "x")],
        Recipient("nobody@local.test"),
        "550 5.1.1 ",
    ),
];
