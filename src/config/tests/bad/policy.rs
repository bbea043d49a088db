//! What is wrong with `[policy]`.

/// Two lines.
const RULE: &str = "[[policy.rule]]\nname = 'a'\n";
/// Three lines.
const REJECT: &str = "[[policy.rule]]\nname = 'a'\naction = 'reject'\n";
const OWN: &str = "[[policy.rule]]\nname = 'a'\nsender_authorisation = true\n";
/// Five lines.
const LIMIT: &str = "[[policy.rule]]\nname = 'a'\n[policy.rule.limit]\nper = 'user'\nwindow = '1h'\n";

/// As [`super::BAD`].
pub(super) const BAD: &[(&str, &str, &[&str])] = &[
    ("", "[[policy]]\n", &["1:1: policy: a table is wanted here, not a list of tables"]),
    (
        "[policy]\nmax_keys = 1\nrules = []\n",
        "",
        &["2:12: policy.max_keys: is out of range", "3:1: policy.rules: is no key of gatepost"],
    ),
    ("[[policy.rule]]\naction = 'reject'\n", "", &["1:1: policy.rule.name: is missing"]),
    (REJECT, "naem = 'b'\n", &["4:1: policy.rule.naem: is no key of gatepost"]),
    (
        REJECT,
        "[[policy.rule]]\nname = 'a'\naction = 'hold'\n",
        &["5:8: policy.rule.name: \"a\" is the name of another rule at a.toml:2:8"],
    ),
    (
        "[[policy.rule]]\naction = 'reject'\n",
        "name = 'a=b'\n",
        &["3:8: policy.rule.name: is no name for a rule"],
    ),
    // What a rule does.
    (RULE, "", &["1:1: policy.rule: does nothing"]),
    (RULE, "text = 'no'\n", &["1:1: policy.rule: does nothing"]),
    (RULE, "sender_authorisation = false\n", &["1:1: policy.rule: does nothing"]),
    (
        RULE,
        "action = 'ok'\n",
        &[
            "3:10: policy.rule.action: \"ok\" would permit the mail past all restrictions that follow, reject_unauth_destination among them: no rule can make an open relay",
        ],
    ),
    (
        RULE,
        "action = 'permit_mynetworks'\n",
        &[
            "3:10: policy.rule.action: \"permit_mynetworks\" would permit the mail past all restrictions that follow, reject_unauth_destination among them: no rule can make an open relay",
        ],
    ),
    (RULE, "action = '450'\n", &["3:10: policy.rule.action: 450 without a text is a permission to Postfix"]),
    (RULE, "action = 'rejekt'\n", &["3:10: policy.rule.action: \"rejekt\" is no action"]),
    (RULE, "action = 'bcc'\ntext = 'nobody'\n", &["3:10: policy.rule.action: is wrong in its address"]),
    (RULE, "action = 'reject'\ntext = \"a\\nb\"\n", &["4:8: policy.rule.text: is more than one line"]),
    (RULE, "action = 5\n", &["3:10: policy.rule.action: a string is wanted here, not a whole number"]),
    (REJECT, "null_sender = false\n", &["4:1: policy.rule.null_sender: is for sender_authorisation = true"]),
    (OWN, "action = 'dunno'\n", &["4:10: policy.rule.action: lets everybody use every sender"]),
    (
        OWN,
        "limit = { per = 'user', window = '1h', messages = 1 }\n",
        &["4:9: policy.rule.limit: stands beside sender_authorisation, but a rule does one thing"],
    ),
    // Conditions.
    (
        REJECT,
        "sender = ['example.org']\nrecipient = []\nhelo = ['']\n",
        &[
            "4:11: policy.rule.sender: \"example.org\" is neither an address nor a domain",
            "5:13: policy.rule.recipient: is empty, so that the rule is for nothing",
            "6:9: policy.rule.helo: \"\" is what no host is called",
        ],
    ),
    (
        REJECT,
        "sasl_username = ['', 'a b']\n",
        &[
            "4:18: policy.rule.sasl_username: \"\" is nobody's login",
            "4:22: policy.rule.sasl_username: \"a b\" is not a login name: holds a character that no login name may have",
        ],
    ),
    (
        REJECT,
        "logged_in = false\nsasl_username = ['*']\n",
        &["5:17: policy.rule.sasl_username: stands beside logged_in = false, and nobody is both"],
    ),
    (
        REJECT,
        "network = ['192.0.2.1/24', '!mx']\n",
        &[
            "4:12: policy.rule.network: \"192.0.2.1/24\" is an address within a network",
            "4:28: policy.rule.network: \"mx\" is no network",
        ],
    ),
    (
        REJECT,
        "min_size = '2KiB'\nmax_size = '1KiB'\n",
        &["5:12: policy.rule.max_size: is less than the least"],
    ),
    (REJECT, "tls = 'yes'\n", &["4:7: policy.rule.tls: true or false is wanted here, not a string"]),
    (REJECT, "state = ['rctp']\n", &["4:10: policy.rule.state: \"rctp\" is not known here"]),
    (
        REJECT,
        "state = ['mail']\nrecipient = ['*']\n",
        &["4:9: policy.rule.state: is for MAIL, where \"recipient\" means nothing"],
    ),
    (
        REJECT,
        "recipient = ['*']\nmin_recipients = 5\n",
        &["1:1: policy.rule: is for DATA, where \"recipient\" means nothing"],
    ),
    (
        "[[policy.rule]]\nname = 'a'\naction = 'prepend'\ntext = 'X-A: b'\n",
        "state = ['rcpt', 'end-of-message']\n",
        &["5:9: policy.rule.state: is for END-OF-MESSAGE, where \"prepend\" means nothing"],
    ),
    (
        OWN,
        "state = ['connect']\n",
        &["4:9: policy.rule.state: is for CONNECT, where \"sender_authorisation\" means nothing"],
    ),
    // Limits.
    (LIMIT, "", &["3:1: policy.rule.limit: limits nothing"]),
    (
        RULE,
        "[policy.rule.limit]\nmessages = -1\n",
        &[
            "3:1: policy.rule.limit.per: is missing",
            "3:1: policy.rule.limit.window: is missing",
            "4:12: policy.rule.limit.messages: is out of range",
        ],
    ),
    (
        LIMIT,
        "messages = 1\nbytes = 5\nper_hour = 1\n",
        &[
            "7:9: policy.rule.limit.bytes: a size is wanted here, not a whole number",
            "8:1: policy.rule.limit.per_hour: is no key of gatepost",
        ],
    ),
    (
        RULE,
        "state = ['data']\nrecipient = ['*']\naction = 'hold'\nlimit = { per = 'usr', window = '1s', messages = 1 }\n",
        &[
            "3:1: policy.rule.state: is none of a limit's: it is held against at RCPT and counted at END-OF-MESSAGE",
            "4:1: policy.rule.recipient: is told at RCPT only, and a limit is counted at END-OF-MESSAGE",
            "5:10: policy.rule.action: takes the mail that is too much",
            "6:17: policy.rule.limit.per: \"usr\" is not known here",
            "6:33: policy.rule.limit.window: is out of range",
        ],
    ),
    (
        LIMIT,
        "messages = 1\n[[policy.rule.limit.override]]\nmessages = 2\n[[policy.rule.limit.override]]\nfor = []\nunlimited = true\nbytes = '1MiB'\n",
        &[
            "7:1: policy.rule.limit.override.for: is missing",
            "10:7: policy.rule.limit.override.for: is empty, so that it is for nobody",
            "12:1: policy.rule.limit.override.bytes: is a limit for whom there is none",
        ],
    ),
    (
        "[[listener]]\nprotocol = 'postfix-policy'\n",
        "address = '127.0.0.1:1'\n",
        &["3:11: listener.address: postfix-policy tells about everybody, and over TCP nobody knows whom"],
    ),
];
