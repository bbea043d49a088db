//! What becomes of mail.

use super::{super::Does::Mail, ARRIVED, AS_USUAL, FAR, FRIEND, NOTHING, Row, never, row};

pub(super) const ROWS: &[Row] = &[
    // The local part without its extension, whichever domain it is.
    row(
        "mailbox_transport_maps",
        &[("dora", "discard:dora-is-elsewhere")],
        Mail(FRIEND, "Dora+x@passing.test"),
        "relay=none, status=sent (dora-is-elsewhere)",
    ),
    row(
        "mailbox_transport_maps",
        &[("@passing.test", "discard:by-domain"), ("eve@passing.test", "discard:by-address")],
        Mail(FRIEND, "eve@passing.test"),
        "status=bounced (unknown user: \"eve\")",
    ),
    row(
        "fallback_transport_maps",
        &[("frank", "discard:who-is-frank")],
        Mail(FRIEND, "frank+x@passing.test"),
        "relay=none, status=sent (who-is-frank)",
    ),
    row(
        "fallback_transport_maps",
        &[("@passing.test", "discard:by-domain"), ("gina@passing.test", "discard:by-address")],
        Mail(FRIEND, "gina@passing.test"),
        "status=bounced (unknown user: \"gina\")",
    ),
    // An address takes the place of another one, with its extension, in the envelope and in the headers.
    row(
        "canonical_maps",
        &[("old@canon.test", "new@canonical.test")],
        Mail("Old+x@canon.test", FAR),
        "header From: new+x@canonical.test from localhost[127.0.0.1]; from=<new+x@canonical.test> to=<far@elsewhere.test>",
    ),
    row(
        "canonical_maps",
        NOTHING,
        Mail(FRIEND, "old+x@canon.test"),
        "to=<new+x@canonical.test>, orig_to=<old+x@canon.test>, relay=none, status=sent (canonical.test)",
    ),
    row(
        "canonical_maps",
        &[("@whole.canon.test", "@canonical.test")],
        Mail("Some.Body+x@whole.canon.test", FAR),
        "header From: Some.Body+x@canonical.test from",
    ),
    row(
        "canonical_maps",
        &[("moved@canon.test", "@canonical.test")],
        Mail("moved+x@canon.test", FAR),
        "header From: moved+x@canonical.test from",
    ),
    never(
        row(
            "canonical_maps",
            NOTHING,
            Mail("old@sub.whole.canon.test", FAR),
            "from=<old@sub.whole.canon.test>",
        ),
        "canonical.test",
    ),
    row(
        "sender_canonical_maps",
        &[("desk@sender.test", "front@canonical.test")],
        Mail("desk+x@sender.test", FAR),
        "header From: front+x@canonical.test from",
    ),
    never(
        row(
            "sender_canonical_maps",
            NOTHING,
            Mail(FRIEND, "desk@sender.test"),
            "to=<desk@sender.test>, relay=none",
        ),
        "canonical.test",
    ),
    row(
        "recipient_canonical_maps",
        &[("wrong@recipient.test", "right@canonical.test"), ("@all.recipient.test", "all@canonical.test")],
        Mail(FRIEND, "wrong+x@recipient.test"),
        "to=<right+x@canonical.test>, orig_to=<wrong+x@recipient.test>, relay=none",
    ),
    row(
        "recipient_canonical_maps",
        NOTHING,
        Mail(FRIEND, "any+x@all.recipient.test"),
        "to=<all@canonical.test>, orig_to=<any+x@all.recipient.test>, relay=none",
    ),
    never(
        row(
            "recipient_canonical_maps",
            NOTHING,
            Mail("wrong@recipient.test", FAR),
            "from=<wrong@recipient.test>",
        ),
        "canonical.test",
    ),
    // And so it does where there are more of them, of recipients alone.
    row(
        "virtual_alias_maps",
        &[
            ("team@alias.test", "one@elsewhere.test, two@elsewhere.test"),
            ("@whole.alias.test", "@elsewhere.test"),
        ],
        Mail(FRIEND, "Team+x@alias.test"),
        "to=<two+x@elsewhere.test>, orig_to=<Team+x@alias.test>, relay=none",
    ),
    row(
        "virtual_alias_maps",
        NOTHING,
        Mail(FRIEND, "Any+x@whole.alias.test"),
        "to=<Any+x@elsewhere.test>, orig_to=<Any+x@whole.alias.test>, relay=none",
    ),
    // The same where mail leaves, without the extension.
    row(
        "smtp_generic_maps",
        &[("inside@generic.test", "outside@public.test")],
        Mail("Inside+x@generic.test", FAR),
        "header From: outside@public.test from localhost[127.0.0.1]; from=<outside@public.test> to=<far@elsewhere.test>",
    ),
    row(
        "smtp_generic_maps",
        &[("moved@generic.test", "@public.test")],
        Mail("moved+x@generic.test", FAR),
        "header From: moved@public.test from",
    ),
    row(
        "smtp_generic_maps",
        &[("@whole.generic.test", "@public.test")],
        Mail("any+x@whole.generic.test", FAR),
        "header From: any+x@public.test from",
    ),
    never(
        row(
            "smtp_generic_maps",
            NOTHING,
            Mail("inside@sub.generic.test", FAR),
            "header From: inside@sub.generic.test from",
        ),
        "public.test",
    ),
    // Somebody gets a copy.
    row(
        "sender_bcc_maps",
        &[
            ("boss@bcc.test", "archive@keep.test"),
            ("@all.bcc.test", "all@keep.test"),
            ("<>", "null@keep.test"),
        ],
        Mail("Boss+x@bcc.test", FAR),
        "to=<archive@keep.test>, relay=none, status=sent (keep.test)",
    ),
    row("sender_bcc_maps", NOTHING, Mail("any@all.bcc.test", FAR), "to=<all@keep.test>, relay=none"),
    never(row("sender_bcc_maps", NOTHING, Mail("any@sub.all.bcc.test", FAR), AS_USUAL), "keep.test"),
    never(row("sender_bcc_maps", NOTHING, Mail("", FAR), "from=<>"), "keep.test"),
    row(
        "recipient_bcc_maps",
        &[("press@bcc.test", "copies@keep.test"), ("@each.bcc.test", "each@keep.test")],
        Mail(FRIEND, "Press+x@bcc.test"),
        "to=<copies@keep.test>, relay=none, status=sent (keep.test)",
    ),
    row("recipient_bcc_maps", NOTHING, Mail(FRIEND, "any@each.bcc.test"), "to=<each@keep.test>, relay=none"),
    never(row("recipient_bcc_maps", NOTHING, Mail("press@bcc.test", FAR), AS_USUAL), "keep.test"),
    // By sender: whose server takes it, and how it gets there.
    row(
        "sender_dependent_relayhost_maps",
        &[("one@hosts.test", "[one.test]:587"), ("@hosts.test", "[all.test]"), ("none@hosts.test", "DUNNO")],
        Mail("One+x@hosts.test", FAR),
        "relay=none, status=sent ([one.test]:587)",
    ),
    row(
        "sender_dependent_relayhost_maps",
        NOTHING,
        Mail("any@hosts.test", FAR),
        "relay=none, status=sent ([all.test])",
    ),
    row("sender_dependent_relayhost_maps", NOTHING, Mail("none@hosts.test", FAR), AS_USUAL),
    row("sender_dependent_relayhost_maps", NOTHING, Mail("one@sub.hosts.test", FAR), AS_USUAL),
    row(
        "sender_dependent_relayhost_maps",
        &[("<>", "[bounces.test]")],
        Mail("", FAR),
        "postfix/nobodys/discard: to=<far@elsewhere.test>, relay=none, status=sent ([bounces.test])",
    ),
    row(
        "sender_dependent_default_transport_maps",
        &[("one@ways.test", "discard:by-address"), ("@ways.test", "discard:by-domain")],
        Mail("One+x@ways.test", FAR),
        "relay=none, status=sent (by-address)",
    ),
    row(
        "sender_dependent_default_transport_maps",
        &[("<>", "nobodys:")],
        Mail("any@ways.test", FAR),
        "relay=none, status=sent (by-domain)",
    ),
    row("sender_dependent_default_transport_maps", NOTHING, Mail("one@sub.ways.test", FAR), AS_USUAL),
    // A server that offers no TLS gets nothing, or it does.
    row(
        "smtp_tls_policy_maps",
        &[("secure.test", "encrypt"), (".secure.test", "encrypt"), ("open.secure.test", "none")],
        Mail("friend@smtp.test", "any@Secure.test"),
        "status=deferred (TLS is required, but was not offered by host Secure.test[",
    ),
    row(
        "smtp_tls_policy_maps",
        NOTHING,
        Mail("friend@smtp.test", "any@deep.sub.secure.test"),
        "status=deferred (TLS is required, but was not offered by host deep.sub.secure.test[",
    ),
    row("smtp_tls_policy_maps", NOTHING, Mail("friend@smtp.test", "any@open.secure.test"), ARRIVED),
    row("smtp_tls_policy_maps", NOTHING, Mail("friend@smtp.test", "any@notsecure.test"), ARRIVED),
    row(
        "smtp_tls_policy_maps",
        &[("alone.test", "encrypt")],
        Mail("friend@smtp.test", "any@sub.alone.test"),
        ARRIVED,
    ),
    row(
        "smtp_tls_policy_maps",
        &[("[bracket.hosts.test]:10621", "encrypt")],
        Mail("bracket@smtp.test", FAR),
        "status=deferred (TLS is required, but was not offered by host bracket.hosts.test[",
    ),
    // Who logs in at the relay: by sender, by host, by nexthop. It takes nothing of strangers.
    row(
        "smtp_sasl_password_maps",
        &[
            ("shop@relayed.test", "alice@example.test:wonder"),
            ("relay.hosts.test", "blocked@example.test:wrong"),
        ],
        Mail("Shop+x@relayed.test", FAR),
        "sasl_method=PLAIN, sasl_username=alice@example.test",
    ),
    row(
        "smtp_sasl_password_maps",
        &[
            ("known.hosts.test", "alice@example.test:wonder"),
            ("[nexthop.hosts.test]:10620", "blocked@example.test:wonder"),
        ],
        Mail("any@by-host.test", FAR),
        "sasl_method=PLAIN, sasl_username=alice@example.test",
    ),
    row(
        "smtp_sasl_password_maps",
        NOTHING,
        Mail("any@by-nexthop.test", FAR),
        "sasl_method=PLAIN, sasl_username=blocked@example.test",
    ),
    row(
        "smtp_sasl_password_maps",
        &[("@all.relayed.test", "blocked@example.test:wonder")],
        Mail("any@all.relayed.test", FAR),
        "sasl_method=PLAIN, sasl_username=blocked@example.test",
    ),
    row(
        "smtp_sasl_password_maps",
        NOTHING,
        Mail("any@sub.all.relayed.test", FAR),
        "said: 554 5.7.1 <far@elsewhere.test>: Recipient address rejected: Access denied",
    ),
    row(
        "smtp_sasl_password_maps",
        &[("wrong@relayed.test", "alice@example.test:wrong")],
        Mail("wrong@relayed.test", FAR),
        "status=deferred (SASL authentication failed; server relay.hosts.test[",
    ),
];
