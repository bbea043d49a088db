//! What one of many does to the others.

use std::collections::HashMap;

use crate::asking::{Auth, PEOPLE, daemon, plain};

/// Bad base64 from one remote closed the connection of a whole login process, and with it everybody else's login.
#[test]
fn one_hostile_request_among_99_good_ones_costs_only_itself() {
    let gatepost = daemon(PEOPLE, "alice:{PLAIN}wonder::::::\n").started();
    let right = plain("alice", "wonder");
    let nested = "=".repeat(4000);
    let hostile = [
        "!!!!",
        "AGFsaWNl=",
        "AAAA====",
        "\u{e4}",
        "Zg==Zg==",
        "QUJD\x01n",
        "",
        "=",
        nested.as_str(),
        "AA==",
    ];
    for bad in hostile {
        let mut auth = Auth::connect(&gatepost);
        for place in [1, 50, 100] {
            let flight: Vec<String> = (1..=100)
                .map(|id| {
                    let id = place * 1000 + id;
                    let response = if id == place * 1001 { bad } else { &right };
                    format!("AUTH\t{id}\tPLAIN\tservice=imap\tresp={response}")
                })
                .collect();
            auth.lines.say(&flight.join("\n"));
            let mut replies: HashMap<String, String> = HashMap::new();
            for _ in 1..=100 {
                let reply = auth.lines.hear();
                let mut parts = reply.splitn(3, '\t').map(str::to_owned);
                let word = parts.next().unwrap();
                assert_eq!(replies.insert(parts.next().unwrap(), word), None, "{reply} comes twice");
            }
            let hit = (place * 1001).to_string();
            for (id, word) in &replies {
                let expected = if *id == hit { "FAIL" } else { "OK" };
                assert_eq!(word, expected, "{id}, with {bad:?} at {place}");
            }
        }
    }
}
