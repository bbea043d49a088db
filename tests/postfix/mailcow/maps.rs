//! What mailcow's own tables say of each key.

/// A key, and what is told of it.
pub(crate) type Said = (&'static str, Option<&'static str>);

/// Each map: keys, and what is told.
pub(crate) const MAPS: [(&str, &[Said]); 15] = [
    (
        "domains",
        &[
            ("example.test", Some("example.test")),
            ("Alias.test", Some("alias.test")),
            ("second.test", Some("second.test")),
            // Switched off; relayed; nobody's.
            ("closed.test", None),
            ("former.test", None),
            ("backup.test", None),
            ("inner.test", None),
            ("sub.example.test", None),
            ("alice@example.test", None),
        ],
    ),
    (
        "mailboxes",
        &[
            ("Alice+x@example.test", Some("alice@example.test")),
            ("alice@alias.test", Some("alice@example.test")),
            ("boxonly@example.test", Some("boxonly@example.test")),
            ("gone@example.test", None),
            ("sales@example.test", None),
            ("alice@former.test", None),
        ],
    ),
    (
        "aliases",
        &[
            ("alice@example.test", Some("alice@example.test")),
            ("alice+x@example.test", Some("alice+x@example.test")),
            ("boxonly@example.test", Some("boxonly@example.test")),
            ("gone@example.test", None),
            ("Sales@example.test", Some("alice@example.test,bob@example.test")),
            ("sales+x@example.test", Some("alice+x@example.test,bob+x@example.test")),
            ("quiet@example.test", Some("alice@example.test")),
            ("off@example.test", None),
            ("noreply@example.test", Some("alice@example.test")),
            ("press@example.test", Some("sales@example.test")),
            ("room@example.test", Some("null@localhost")),
            ("now@example.test", Some("alice@example.test")),
            ("over@example.test", None),
            ("ever@example.test", Some("alice@example.test")),
            // An alias domain has mailboxes, and the aliases that were made there.
            ("alice@alias.test", Some("alice@example.test")),
            ("alice+x@alias.test", Some("alice+x@example.test")),
            ("boxonly@alias.test", Some("boxonly@example.test")),
            ("gone@alias.test", None),
            ("sales@alias.test", None),
            ("orders@alias.test", Some("bob@example.test")),
            ("alice@former.test", None),
            // A catch-all is for those who are not there.
            ("nobody@second.test", Some("dora@second.test")),
            ("open@second.test", Some("open@second.test")),
            ("open+x@second.test", Some("open+x@second.test")),
            ("dora@deux.test", Some("dora@second.test")),
            ("nobody@deux.test", None),
            ("nobody@example.test", None),
            ("null@localhost", None),
            ("example.test", None),
        ],
    ),
    (
        "senders",
        &[
            ("alice+x@example.test", Some("alice@example.test,boss@example.test,root@example.test")),
            (
                "sales@example.test",
                Some("alice@example.test,bob@example.test,boss@example.test,root@example.test"),
            ),
            (
                "secure@example.test",
                Some(
                    "alice@example.test,bob@example.test,boss@example.test,root@example.test,secure@example.test",
                ),
            ),
            (
                "secure@alias.test",
                Some(
                    "alice@example.test,bob@example.test,boss@example.test,root@example.test,secure@example.test",
                ),
            ),
            // Not to be sent under, not any more, and for a time only.
            ("noreply@example.test", Some("boss@example.test,root@example.test")),
            ("noreply+x@example.test", Some("boss@example.test,root@example.test")),
            ("quiet@example.test", Some("boss@example.test,root@example.test")),
            ("off@example.test", Some("boss@example.test,root@example.test")),
            ("now@example.test", Some("boss@example.test,root@example.test")),
            ("nobody@example.test", Some("boss@example.test,root@example.test")),
            ("alice@alias.test", Some("alice@example.test,boss@example.test,root@example.test")),
            ("orders@alias.test", Some("bob@example.test,boss@example.test,root@example.test")),
            ("sales@alias.test", Some("boss@example.test,root@example.test")),
            ("orders@former.test", Some("root@example.test")),
            ("old@closed.test", Some("root@example.test")),
            // A catch-all, and who is not there by it.
            ("nobody@second.test", Some("dora@second.test,root@example.test")),
            ("nobody+x@second.test", Some("dora@second.test,root@example.test")),
            ("open@second.test", Some("open@second.test,root@example.test")),
            ("open+x@second.test", Some("open@second.test,root@example.test")),
            ("mute@second.test", Some("root@example.test")),
            ("mute+x@second.test", Some("root@example.test")),
            ("open@deux.test", Some("open@second.test,root@example.test")),
            ("nobody@deux.test", Some("root@example.test")),
            ("partner@elsewhere.test", Some("bob@example.test,root@example.test")),
            ("x@all.elsewhere.test", Some("bob@example.test,root@example.test")),
            ("x@elsewhere.test", Some("root@example.test")),
        ],
    ),
    (
        "relay_domains",
        &[
            ("backup.test", Some("backup.test")),
            ("Inner.test", Some("inner.test")),
            ("former-backup.test", None),
            ("example.test", None),
            ("sub.backup.test", None),
        ],
    ),
    (
        "relay_recipient_maps",
        &[
            ("listed@backup.test", Some("listed@elsewhere.test")),
            ("listed+x@backup.test", Some("listed@elsewhere.test")),
            ("unlisted@backup.test", None),
            ("nobody@backup.test", None),
            ("anybody@inner.test", Some("anybody@inner.test")),
            ("x@elsewhere.test", None),
        ],
    ),
    (
        "transport_maps",
        &[
            ("known@inner.test", Some("lmtp:inet:dovecot:24")),
            ("Known+x@inner.test", Some("lmtp:inet:dovecot:24")),
            ("anybody@inner.test", None),
            ("listed@backup.test", None),
            ("anybody@far.test", Some("smtp_via_transport_maps:[gateway.test]:587")),
            ("anybody@sub.far.test", Some("smtp_via_transport_maps:[below.test]")),
            ("vip+x@far.test", Some("smtp_via_transport_maps:[vip.test]")),
            ("x@elsewhere.test", None),
            ("*", None),
        ],
    ),
    (
        "sender_dependent_default_transport_maps",
        &[
            ("alice@example.test", None),
            ("sales@example.test", None),
            ("secure@example.test", Some("smtp_enforced_tls:")),
            ("Secure+x@example.test", Some("smtp_enforced_tls:")),
            ("secure@alias.test", Some("smtp_enforced_tls:")),
            ("third@example.test", Some("smtp_enforced_tls:[third-relay.test]:587")),
            ("third+x@example.test", Some("smtp_enforced_tls:[third-relay.test]:587")),
            ("former@example.test", None),
            ("dora@second.test", Some("smtp:[relay.test]:587")),
            ("nobody@deux.test", Some("smtp:[relay.test]:587")),
            ("open+x@second.test", Some("smtp:[open-relay.test]")),
            ("<>", None),
        ],
    ),
    (
        "smtp_sasl_password_maps",
        &[
            ("dora@second.test", Some("relay:relay-secret")),
            ("nobody+x@deux.test", Some("relay:relay-secret")),
            ("third+x@example.test", Some("third:third-secret")),
            // Not the password of the domain's relay host for another one.
            ("open@second.test", None),
            ("open+x@second.test", None),
            ("former@example.test", None),
            ("alice@example.test", None),
            ("[relay.test]:587", None),
        ],
    ),
    (
        "smtp_via_transport_passwords",
        &[
            ("[gateway.test]:587", Some("gateway:gateway-secret")),
            ("[vip.test]", None),
            ("dora@second.test", None),
        ],
    ),
    (
        "smtp_tls_policy_maps",
        &[
            ("far.test", Some("encrypt")),
            ("sub.far.test", Some("secure match=far.test")),
            ("[gateway.test]:587", Some("verify")),
            ("former.test", None),
        ],
    ),
    (
        "recipient_canonical_maps",
        &[
            ("wrong+x@elsewhere.test", Some("right+x@elsewhere.test")),
            ("x@moved.test", Some("all@elsewhere.test")),
            ("former@elsewhere.test", None),
        ],
    ),
    ("sender_bcc_maps", &[("alice+x@example.test", Some("archive@example.test")), ("x@second.test", None)]),
    (
        "recipient_bcc_maps",
        &[
            ("x@second.test", Some("archive@second.test")),
            ("alice@example.test", None),
            ("bob@example.test", None),
        ],
    ),
    (
        "check_recipient_mx_access",
        &[
            ("A.mx.test", Some("FILTER smtp_via_transport_maps:[by-mx.test]")),
            ("mx.test", None),
            ("a.mx.test.elsewhere", None),
            ("127.0.0.9", Some("FILTER smtp_via_transport_maps:[by-address.test]")),
            ("mail.elsewhere.test", None),
        ],
    ),
];
