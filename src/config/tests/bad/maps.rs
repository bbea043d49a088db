//! What is wrong with `[maps]`, and with a socket that serves them.

/// As [`super::BAD`].
pub(super) const BAD: &[(&str, &str, &[&str])] = &[
    (
        "[maps]\n",
        "recipient_delimiter = '+@'\n",
        &["2:23: maps.recipient_delimiter: \"+@\" is no list of delimiters"],
    ),
    (
        "[maps]\n",
        "recipient_delimiter = ' '\n",
        &["2:23: maps.recipient_delimiter: \" \" is no list of delimiters"],
    ),
    ("[maps]\n", "recipient_delimiters = '+'\n", &["2:1: maps.recipient_delimiters: is no key of gatepost"]),
    (
        "[[listener]]\nprotocol = 'postfix-socketmap'\n",
        "address = '127.0.0.1:1'\n",
        &["3:11: listener.address: postfix-socketmap tells about everybody, and over TCP nobody knows whom"],
    ),
];
