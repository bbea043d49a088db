//! The tables, as they are written for Postfix and for gatepost, and what is in them.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use super::keys::{DOMAINS, Row};

/// A table by its name, and the lines of its file.
pub(super) struct Definition {
    pub(super) name: &'static str,
    pub(super) lines: &'static [(&'static str, &'static str)],
}

const WHOLE: &str = "SELECT goto FROM alias WHERE address = '%s' ORDER BY n";

/// Of MariaDB, asked for keys as they are.
pub(super) const SQL: [Definition; 9] = [
    Definition { name: "whole", lines: &[("query", WHOLE)] },
    Definition {
        name: "parts",
        lines: &[("query", "SELECT goto FROM part WHERE mbox = '%u' AND domain = '%d' ORDER BY n")],
    },
    Definition {
        name: "labels",
        lines: &[(
            "query",
            "SELECT v FROM label WHERE one = '%1' AND two = '%2' UNION SELECT '%9-%4' FROM label WHERE v = 'all'",
        )],
    },
    Definition {
        name: "formatted",
        lines: &[("query", WHOLE), ("result_format", "smtp:[%d]:%u %S|%U|%D 100%%")],
    },
    Definition {
        name: "labelled",
        lines: &[("query", WHOLE), ("result_format", "%s in %2.%1"), ("expansion_limit", "4")],
    },
    Definition {
        name: "limited",
        lines: &[
            ("query", WHOLE),
            ("domain", "example.org, bücher.example, single"),
            ("expansion_limit", "0"),
        ],
    },
    Definition {
        name: "columns",
        lines: &[("query", "SELECT address, a, b, c, d, e, f, g, h, i, j FROM typed WHERE address = '%s'")],
    },
    Definition {
        name: "alike",
        lines: &[(
            "query",
            "SELECT goto FROM alias WHERE address LIKE '%u@%d' AND '%s' <> 'x%%' ORDER BY address, n LIMIT 3",
        )],
    },
    Definition {
        name: "echo",
        lines: &[("query", "SELECT concat('<', '%s', '> <', '%u', '> 100%%'), '%U'")],
    },
];

/// Of MariaDB, with more than they may have.
pub(super) const SQL_TOO_MUCH: [Definition; 1] =
    [Definition { name: "capped", lines: &[("query", WHOLE), ("expansion_limit", "1")] }];

/// The same table for the parameters of Postfix that a daemon walks.
pub(super) const WALKED: [Definition; 5] = [
    Definition { name: "relocated_maps", lines: &[("query", WHOLE)] },
    Definition {
        name: "transport_maps",
        lines: &[("query", WHOLE), ("result_format", "error:5.1.6 goes to %s")],
    },
    Definition {
        name: "check_recipient_access",
        lines: &[("query", WHOLE), ("result_format", "REJECT is %s")],
    },
    Definition { name: "check_sender_access", lines: &[("query", WHOLE), ("result_format", "REJECT is %s")] },
    Definition { name: "virtual_alias_maps", lines: &[("query", WHOLE)] },
];

const ROWS: (&str, &str) = ("search_base", "ou=rows,dc=example,dc=org");

/// Of slapd, asked for keys as they are.
pub(super) const LDAP: [Definition; 6] = [
    Definition {
        name: "whole",
        lines: &[ROWS, ("query_filter", "(uid=%s)"), ("result_attribute", "description")],
    },
    Definition {
        name: "parts",
        lines: &[
            ROWS,
            ("query_filter", "(&(uid=%u@%d)(objectClass=inetOrgPerson))"),
            ("result_attribute", "description, o"),
            ("result_format", "%s of %S|%U|%D"),
        ],
    },
    Definition {
        name: "groups",
        lines: &[
            ROWS,
            ("query_filter", "(uid=%s)"),
            ("result_attribute", "o"),
            ("leaf_result_attribute", "description"),
            ("terminal_result_attribute", "ou"),
            ("special_result_attribute", "member"),
        ],
    },
    Definition {
        name: "placed",
        lines: &[
            ("search_base", "ou=%d,ou=rows,dc=example,dc=org"),
            ("scope", "one"),
            ("query_filter", "(uid=%s)"),
            ("result_attribute", "description"),
        ],
    },
    Definition {
        name: "labels",
        lines: &[
            ROWS,
            ("query_filter", "(|(uid=@%2.%1)(uid=%2.%1))"),
            ("result_attribute", "description"),
            ("result_format", "%s in %3.%2"),
            ("size_limit", "2"),
        ],
    },
    Definition {
        name: "limited",
        lines: &[
            ROWS,
            ("query_filter", "(uid=%s)"),
            ("result_attribute", "description"),
            ("domain", "example.org, bücher.example, single"),
        ],
    },
];

/// Of slapd, with more than they may have.
pub(super) const LDAP_TOO_MUCH: [Definition; 2] = [
    Definition {
        name: "deep",
        lines: &[
            ROWS,
            ("query_filter", "(uid=%s)"),
            ("result_attribute", "description"),
            ("special_result_attribute", "member"),
            ("recursion_limit", "3"),
        ],
    },
    Definition {
        name: "wide",
        lines: &[
            ROWS,
            ("query_filter", "(|(uid=%s)(cn=row1)(cn=row2))"),
            ("result_attribute", "description"),
            ("size_limit", "2"),
        ],
    },
];

impl Definition {
    /// As a file of Postfix's, but for what says where the server is.
    pub(super) fn for_postfix(&self) -> String {
        self.lines.iter().map(|(key, value)| format!("{key} = {value}\n")).collect()
    }

    /// As a part of a directory of gatepost's.
    pub(super) fn for_gatepost(&self) -> String {
        let mut text = format!("[directory.maps.{}]\n", self.name);
        for (key, value) in self.lines {
            let value = match *key {
                "domain" | "result_attribute" => format!("{:?}", value.split(", ").collect::<Vec<_>>()),
                _ if value.parse::<u32>().is_ok() => (*value).to_owned(),
                _ => format!("{value:?}"),
            };
            writeln!(text, "{key} = {value}").unwrap();
        }
        text
    }
}

/// Everything as tables of MariaDB. They tell letters apart that are not the same.
pub(super) fn sql(rows: &[Row]) -> String {
    let mut text = "
CREATE TABLE mailbox (username VARCHAR(255) PRIMARY KEY, password VARCHAR(255) NOT NULL);
CREATE TABLE alias (address VARCHAR(255) NOT NULL, goto TEXT, n INT NOT NULL, INDEX (address)) COLLATE utf8mb4_bin;
CREATE TABLE part (mbox VARCHAR(255) NOT NULL, domain VARCHAR(255) NOT NULL, goto TEXT, n INT NOT NULL, INDEX (mbox)) COLLATE utf8mb4_bin;
CREATE TABLE label (one VARCHAR(63), two VARCHAR(63), v VARCHAR(63)) COLLATE utf8mb4_bin;
INSERT INTO label VALUES ('org', 'example', 'one'), ('net', 'example', 'two'), ('example', 'bücher', 'three'), ('', '', 'none'), ('example', 'i', 'all');
CREATE TABLE typed (address VARCHAR(255) NOT NULL, a INT, b DECIMAL(20,4), c DATE, d DATETIME, e DOUBLE, f BIGINT UNSIGNED, g VARBINARY(20), h TINYINT(1), i TIME, j YEAR, INDEX (address)) COLLATE utf8mb4_bin;
"
    .to_owned();
    let (mut aliases, mut parts, mut typed) = (Vec::new(), Vec::new(), Vec::new());
    for (number, Row { address, values }) in rows.iter().enumerate() {
        for (n, value) in values.iter().enumerate() {
            let value = value.as_ref().map_or_else(|| "NULL".to_owned(), |value| quoted(value));
            aliases.push(format!("({}, {value}, {n})", quoted(address)));
            if let Some((local, domain)) = address.rsplit_once('@') {
                parts.push(format!("({}, {}, {value}, {n})", quoted(local), quoted(domain)));
            }
        }
        let i = i64::try_from(number).unwrap();
        typed.push(format!(
            "({}, {}, {}.{:04}, '20{:02}-0{}-1{}', '1999-12-31 23:59:{:02}', {}, {}, 'v{number}', {}, '-0{}:00:01', {})",
            quoted(address),
            1000 - i,
            i * 77 - 50_000,
            number % 10_000,
            number % 100,
            1 + number % 9,
            number % 10,
            number % 60,
            f64::from(u16::try_from(number).unwrap()) / 8.0,
            u64::MAX - number as u64,
            number % 2,
            number % 10,
            1990 + number % 60,
        ));
    }
    for (table, rows) in [("alias", aliases), ("part", parts), ("typed", typed)] {
        writeln!(text, "INSERT INTO {table} VALUES {};", rows.join(", ")).unwrap();
    }
    text
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// The same as entries: every seventh is a group, of the five entries before it.
pub(super) fn ldif(rows: &[Row]) -> String {
    let mut text = "\ndn: ou=rows,dc=example,dc=org\nobjectClass: organizationalUnit\nou: rows\n".to_owned();
    for domain in DOMAINS {
        let dn = name(domain);
        writeln!(text, "\ndn:: {}\nobjectClass: organizationalUnit\nou:: {}", base64(&dn), base64(domain))
            .unwrap();
    }
    let dn = |number: usize| {
        let (_, domain) = rows[number].address.rsplit_once('@').unwrap_or_default();
        let below = if DOMAINS.contains(&domain) { name(domain) } else { ROWS.1.to_owned() };
        format!("cn=row{number},{below}")
    };
    for (number, Row { address, values }) in rows.iter().enumerate() {
        let group = number % 7 == 6;
        let class = if group { "groupOfNames\nobjectClass: uidObject" } else { "inetOrgPerson\nsn: row" };
        write!(
            text,
            "\ndn:: {}\nobjectClass: {class}\ncn: row{number}\nuid:: {}\n",
            base64(&dn(number)),
            base64(address)
        )
        .unwrap();
        for value in values.iter().flatten().filter(|value| !value.is_empty()) {
            writeln!(text, "description:: {}", base64(value)).unwrap();
        }
        if number % 5 == 0 {
            writeln!(text, "o: house{number}@elsewhere.test").unwrap();
        }
        if number % 31 == 0 {
            writeln!(text, "ou: ended{number}@elsewhere.test").unwrap();
        }
        if group {
            for member in number - 5..number {
                writeln!(text, "member:: {}", base64(&dn(member))).unwrap();
            }
            // Another group, seven of them in a row, and somebody who is not there.
            if number % 49 != 6 {
                writeln!(text, "member:: {}\nmember: cn=nobody,{}", base64(&dn(number - 7)), ROWS.1).unwrap();
            }
        }
    }
    text
}

fn name(domain: &str) -> String {
    format!("ou={domain},{}", ROWS.1)
}

fn base64(text: &str) -> String {
    BASE64.encode(text)
}
