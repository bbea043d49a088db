//! What is wrong with `[maps]`, and with sockets that serve them.

use super::checked;

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
    // What has to be said of one table, and of no other.
    (
        "[[listener]]\nprotocol = 'postfix-tcp-table'\n",
        "address = '127.0.0.1:1'\nmap = 'mailboxes'\n",
        &["3:11: listener.address: postfix-tcp-table tells about everybody, and over TCP nobody knows whom"],
    ),
    (
        "[[listener]]\nprotocol = 'postfix-tcp-table'\n",
        "address = '127.0.0.1:1'\nallow_from = ['127.0.0.1/32']\n",
        &["1:1: listener.map: is missing"],
    ),
    (
        "[[listener]]\nprotocol = 'postfix-tcp-table'\n",
        "address = '127.0.0.1:1'\nallow_from = ['127.0.0.1/32']\nmap = 'mailbox'\n",
        &["5:7: listener.map: there is no table \"mailbox\""],
    ),
    (
        "[[listener]]\nprotocol = 'postfix-tcp-table'\n",
        "path = '/a'\nmap = 1\n",
        &[
            "3:8: listener.path: is a Unix socket, and Postfix asks these tables over TCP only",
            "4:7: listener.map: a string is wanted here, not a whole number",
        ],
    ),
    (
        "[[listener]]\nprotocol = 'postfix-socketmap'\n",
        "path = '/a'\nmap = 'mailboxes'\n",
        &["4:1: listener.map: is for postfix-tcp-table only"],
    ),
    (
        "[[listener]]\nprotocol = 'postfix-tcptable'\n",
        "path = '/a'\nmap = 'mailboxes'\n",
        &["2:12: listener.protocol: \"postfix-tcptable\" is not known here"],
    ),
];

#[test]
fn who_names_no_table_or_a_wrong_one_is_told_which_there_are() {
    for map in ["", "map = 'aliases'\n"] {
        let place = "address = '127.0.0.1:1'\nallow_from = ['127.0.0.1/32']\n";
        let text = format!("[[listener]]\nprotocol = 'postfix-tcp-table'\n{place}{map}");
        let said = checked(&text).unwrap_err().to_string();
        assert!(said.contains("\"domains\", \"mailboxes\" or \"senders\""), "{said}");
    }
}
