//! What is wrong with `[cache]`, and with how changes are found out.

use super::*;

/// Five lines.
const MYSQL: &str = "[[directory]]\nname = 'a'\ntype = 'mysql'\nurl = 'mysql://gp@h/m'\nuser_query = 'SELECT user FROM m WHERE user = :user'\n";

/// As [`super::BAD`].
pub(super) const BAD: &[(&str, &str, &[&str])] = &[
    // change_poll, changed_query, changed_since
    (
        SQLITE,
        "change_poll = 5\n",
        &["4:15: directory.change_poll: a duration is wanted here, not a whole number"],
    ),
    (SQLITE, "change_poll = '5'\n", &["4:15: directory.change_poll: \"5\" is no duration"]),
    (SQLITE, "change_poll = '-1s'\n", &["4:15: directory.change_poll: \"-1s\" is no duration"]),
    (SQLITE, "change_poll = '99ms'\n", &["4:15: directory.change_poll: is out of range"]),
    (SQLITE, "change_poll = '61m'\n", &["4:15: directory.change_poll: is out of range"]),
    (SQLITE, "change_pol = '1s'\n", &["4:1: directory.change_pol: is no key of gatepost"]),
    (
        SQLITE,
        "changed_query = 'SELECT :since'\nchanged_since = '0'\n",
        &[
            "4:1: directory.changed_query: is no key of gatepost",
            "5:1: directory.changed_since: is no key of gatepost",
        ],
    ),
    (
        MYSQL,
        "changed_query = 'SELECT user, at AS changed FROM m WHERE at > 1'\nchange_poll = '1s'\n",
        &["6:17: directory.changed_query: does not name :since"],
    ),
    (
        MYSQL,
        "changed_query = 'SELECT user, at AS changed FROM m WHERE at > :since AND m = :user'\n",
        &["6:17: directory.changed_query: names \"user\", which nobody has a value for"],
    ),
    (
        MYSQL,
        "changed_query = 'SELECT :since; DELETE FROM m'\n",
        &["6:17: directory.changed_query: holds more than one statement"],
    ),
    (
        MYSQL,
        "changed_query = ''\nchanged_since = ''\n",
        &[
            "6:17: directory.changed_query: is empty",
            "7:17: directory.changed_since: \"\" is no time of a database",
        ],
    ),
    (
        MYSQL,
        "changed_query = ['SELECT :since']\nchanged_since = 0\n",
        &[
            "6:17: directory.changed_query: a string is wanted here, not a list",
            "7:17: directory.changed_since: a string is wanted here, not a whole number",
        ],
    ),
    (
        MYSQL,
        "changed_query = 'SELECT :since'\nchanged_since = '0000000000000000000000000000000000000000000000000000000000000000.'\n",
        &[
            "7:17: directory.changed_since: \"000000000000000000000000000000000000000000000000000000000000...\" is no time of a database",
        ],
    ),
    // [cache]
    ("", "cache = 'off'\n", &["1:9: cache: a table is wanted here, not a string"]),
    ("", "[[cache]]\n", &["1:1: cache: a table is wanted here, not a list of tables"]),
    (
        "",
        "[cache]\nttl = 300\nnegative_ttl = true\nmax_stale = 1.5\nmax_memory = 256\n",
        &[
            "2:7: cache.ttl: a duration is wanted here, not a whole number",
            "3:16: cache.negative_ttl: a duration is wanted here, not true or false",
            "4:13: cache.max_stale: a duration is wanted here, not a number with a fraction",
            "5:14: cache.max_memory: a size is wanted here, not a whole number",
        ],
    ),
    (
        "",
        "[cache]\nttl = '300'\nnegative_ttl = '-1m'\nmax_stale = ''\nmax_memory = '256MB'\n",
        &[
            "2:7: cache.ttl: \"300\" is no duration",
            "3:16: cache.negative_ttl: \"-1m\" is no duration",
            "4:13: cache.max_stale: \"\" is no duration",
            "5:14: cache.max_memory: \"256MB\" is no size",
        ],
    ),
    (
        "",
        "[cache]\nttl = '5ms'\nnegative_ttl = '999ms'\nmax_stale = '1ms'\nmax_memory = '1023KiB'\n",
        &[
            "2:7: cache.ttl: is out of range",
            "3:16: cache.negative_ttl: is out of range",
            "4:13: cache.max_stale: is out of range",
            "5:14: cache.max_memory: is out of range",
        ],
    ),
    (
        "",
        "[cache]\nttl = '25h'\nnegative_ttl = '61m'\nmax_stale = '31d'\nmax_memory = '2TiB'\n",
        &[
            "2:7: cache.ttl: is out of range",
            "3:16: cache.negative_ttl: is out of range",
            "4:13: cache.max_stale: is out of range",
            "5:14: cache.max_memory: is out of range",
        ],
    ),
    (
        "",
        "[cache]\nenabled = false\nttll = '5m'\n",
        &["2:1: cache.enabled: is no key of gatepost", "3:1: cache.ttll: is no key of gatepost"],
    ),
];

/// What stands in quotes is how it would be written.
#[test]
fn the_remedy_of_a_wrong_length_of_time_says_what_would_be_right() {
    for (text, remedy) in [
        ("[cache]\nttl = 300\n", "write it in quotes and with its unit, as in \"300s\""),
        ("[cache]\nttl = '5ms'\n", "write something from \"1s\" to \"1d\", or \"0s\" for none"),
        ("[cache]\nmax_memory = 64\n", "write it in quotes and with its unit, as in \"64MiB\""),
        ("[cache]\nmax_memory = '1KiB'\n", "write something from \"1MiB\" to \"1TiB\""),
    ] {
        let problems = checked(&format!("{text}{SOME_DIRECTORY}")).unwrap_err().to_string();
        assert!(problems.contains(remedy), "{text}: {problems}");
    }
}
