//! What is wrong with `[maps]`, and with sockets that serve them.

use crate::config::tests::{checked, heads};

/// A directory of tables that is right but for what follows.
const SQL: &str =
    "[[directory]]\nname = 'a'\ntype = 'sqlite'\nfile = '/a.db'\nuser_query = 'SELECT :user AS user'\n";

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
    (
        "[maps]\n",
        "aliases_may_send = 'no'\n",
        &["2:20: maps.aliases_may_send: true or false is wanted here, not a string"],
    ),
    (
        "[maps.relays]\n",
        "walk = 'up'\n",
        &[
            "1:1: maps.relays: is a map that no directory has",
            "2:8: maps.relays.walk: \"up\" is not known here",
        ],
    ),
    ("[maps.aliases]\n", "walks = 'exact'\n", &["2:1: maps.aliases.walks: is no key of gatepost"]),
    (
        SQL,
        "[directory.maps]\naliases = 'SELECT 1'\n",
        &["7:11: directory.maps.aliases: gives the same for every key"],
    ),
    (
        SQL,
        "[directory.maps]\naliases = \"SELECT '%x'\"\n",
        &["7:11: directory.maps.aliases: holds \"%x\", which stands for nothing"],
    ),
    (
        SQL,
        "[directory.maps]\naliases = 'SELECT :service'\n",
        &["7:11: directory.maps.aliases: names \"service\", which nobody has a value for"],
    ),
    (
        SQL,
        "[directory.maps]\naliases = 1\n",
        &["7:11: directory.maps.aliases: a text or a table is wanted here, not a whole number"],
    ),
    (
        SQL,
        "[directory.maps]\n'a b' = 'SELECT :key'\n",
        &["7:1: directory.maps.a b: \"a b\" is no name of a map"],
    ),
    (
        SQL,
        "[directory.maps.x]\nhosts = 'localhost'\ntable = 'alias'\nquery_filter = '(a=%s)'\n",
        &[
            "6:1: directory.maps.x.query: is missing",
            "7:1: directory.maps.x.hosts: is said of the server, and this is about one table of it",
            "8:1: directory.maps.x.table: is a part of a query",
            "9:1: directory.maps.x.query_filter: is no key of gatepost",
        ],
    ),
    (
        SQL,
        "[directory.maps]\nsmtp_sasl_password_maps = 'SELECT p FROM x WHERE h = :key'\n",
        &[
            "7:1: directory.maps.smtp_sasl_password_maps: holds passwords, and would be told to anybody who may connect",
        ],
    ),
    (
        "[[directory]]\nname = 'a'\ntype = 'static'\n",
        "[directory.maps]\naliases = 'SELECT :key'\n",
        &["4:12: directory.maps: needs tables or entries to look things up in, and there are none here"],
    ),
    (
        "[[directory]]\nname = 'a'\ntype = 'ldap'\nurls = ['ldap://localhost']\nbase_dn = 'dc=x'\nuser_filter = '(uid={user})'\n",
        "[directory.maps]\naliases = '(mail=%s)'\n[directory.maps.y]\nquery_filter = '(mail=x)'\nresult_attribute = 'a b, =c'\nsearch_base = '%d'\n",
        &[
            "8:11: directory.maps.aliases: says what to look for, and not what is to come of it",
            "10:16: directory.maps.y.query_filter: finds the same for every key",
            "11:20: directory.maps.y.result_attribute: \"=c\" is no attribute",
            "12:15: directory.maps.y.search_base: is no distinguished name",
        ],
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
        &["5:7: listener.map: there is no map \"mailbox\""],
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
fn a_map_whose_table_is_wrong_is_there_all_the_same() {
    let listener = "[[listener]]\nprotocol = 'postfix-tcp-table'\naddress = '127.0.0.1:1'\nallow_from = ['127.0.0.1/32']\n";
    let text = format!(
        "{SQL}[directory.maps]\nbcc = 'SELECT 1'\n{listener}map = 'bcc'\n[maps.bcc]\nwalk = 'address'\n"
    );
    assert_eq!(heads(&[("a.toml", &text)]), ["a.toml:7:7: directory.maps.bcc: gives the same for every key"]);
}

#[test]
fn who_names_a_map_that_is_not_there_is_told_which_there_are() {
    let listener = "[[listener]]\nprotocol = 'postfix-tcp-table'\naddress = '127.0.0.1:1'\nallow_from = ['127.0.0.1/32']\n";
    let text = format!("{SQL}[directory.maps]\nbcc = 'SELECT :key'\n{listener}map = 'alias'\n");
    let said = checked(&text).unwrap_err().to_string();
    let known =
        "\"domains\", \"mailboxes\", \"aliases\", \"alias_domains\", \"senders\", \"recipients\" or \"bcc\"";
    assert!(said.contains(known), "{said}");
    assert!(checked(&text.replace("'alias'", "'bcc'")).is_ok());
}
