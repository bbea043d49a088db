//! Counters against a list of all mails, whatever is asked in whatever order.

use proptest::prelude::*;

use super::*;

/// Every mail that was taken, and what was decided of all.
#[derive(Default)]
struct Model {
    /// When, by whom, and at what cost; in milliseconds since 1970.
    taken: Vec<(u64, usize, Cost)>,
    /// With the time.
    decided: Vec<(u64, (usize, u8), Vec<usize>)>,
}

/// A sixtieth of a minute.
const PART: u64 = 1000;
const START: u64 = 1_800_000_000_123;
/// Of a login, and of its domain, which all have in common.
const MOST: [Most; 2] = [
    Most { messages: Some(4), recipients: Some(9), bytes: None },
    Most { messages: Some(7), recipients: None, bytes: Some(700) },
];

impl Model {
    /// What of it is within the window: of one login or of all.
    fn sent(&self, who: Option<usize>, now: u64, oldest: impl Fn(u64) -> bool) -> Cost {
        let mut total = Cost::default();
        for &(at, by, cost) in &self.taken {
            if who.is_none_or(|who| who == by) && at <= now && oldest(at) {
                total = Cost {
                    messages: total.messages + cost.messages,
                    recipients: total.recipients + cost.recipients,
                    bytes: total.bytes + cost.bytes,
                };
            }
        }
        total
    }

    /// Which limits a mail is too much for.
    fn over(&self, who: usize, cost: Cost, now: u64) -> Vec<usize> {
        let too_much = |limit: &usize| {
            let sent = self.sent((*limit == 0).then_some(who), now, |at| now / PART - at / PART <= 60);
            exceeds(sent, cost, MOST[*limit])
        };
        [0, 1].into_iter().filter(too_much).collect()
    }
}

fn exceeds(sent: Cost, more: Cost, most: Most) -> bool {
    [
        (sent.messages + more.messages, most.messages),
        (sent.recipients + more.recipients, most.recipients),
        (sent.bytes + more.bytes, most.bytes),
    ]
    .iter()
    .any(|(sum, most)| most.is_some_and(|most| *sum > most))
}

#[derive(Debug, Clone)]
struct Move {
    later: u64,
    who: usize,
    mail: u8,
    cost: Cost,
    counts: bool,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let later = prop_oneof![3 => Just(0), 3 => 0..3000_u64, 1 => 20_000..70_000_u64];
    let one = (later, 0..3_usize, 0..40_u8, (1..4_u64, 0..300_u64), any::<bool>()).prop_map(
        |(later, who, mail, (recipients, bytes), counts)| Move {
            later,
            who,
            mail,
            cost: to(recipients, bytes),
            counts,
        },
    );
    prop::collection::vec(one, 1..120)
}

proptest! {
    #[test]
    fn counters_agree_with_a_list_of_all_mails(moves in moves()) {
        let (start, wall) = (Instant::now(), UNIX_EPOCH + Duration::from_millis(START));
        let counters = Counters::new(start, wall);
        let limits = MOST.map(limit_of);
        let rules: [Arc<str>; 2] = ["user".into(), "domain".into()];
        let (mut model, mut passed) = (Model::default(), 0);
        for Move { later, who, mail, cost, counts } in moves {
            passed += later;
            let now = START + passed;
            let login = format!("user{who}@x.test");
            let charge = |at: usize, key| Charge { rule: &rules[at], limit: &limits[at], key, cost, trial: false };
            let charges = [charge(0, &*login), charge(1, "@x.test")];
            // A mail is one of its sender's, so another one of the same number is another mail.
            let name = [u8::try_from(who).unwrap(), mail];
            let step = if counts { Step::Count(Some(&name)) } else { Step::Hold };
            let over = counters.settle(&charges, step, start + Duration::from_millis(passed));
            let over: Vec<_> = over.iter().map(|over| over.charge).collect();
            let known = |(at, decided, _): &&(u64, (usize, u8), Vec<usize>)| {
                counts && *decided == (who, mail) && now - at <= 15 * 60_000
            };
            match model.decided.iter().find(known).map(|(_, _, over)| over.clone()) {
                // The first refusal stays one. Limits that had room then may have none by now.
                Some(before) if before.is_empty() => prop_assert_eq!(&over, &before),
                Some(before) => prop_assert!(before.iter().all(|limit| over.contains(limit))),
                None => {
                    prop_assert_eq!(&over, &model.over(who, cost, now));
                    if counts {
                        if over.is_empty() {
                            model.taken.push((now, who, cost));
                        }
                        model.decided.push((now, (who, mail), over));
                    }
                }
            }
        }
        // Never more than the limit in any time of a window's length, and nobody was refused who had room in one that
        // is a sixtieth longer.
        for &(end, ..) in &model.taken {
            for (limit, who) in [(0, Some(0)), (0, Some(1)), (0, Some(2)), (1, None)] {
                let sent = model.sent(who, end, |at| end - at <= 60 * PART);
                prop_assert!(!exceeds(sent, Cost::default(), MOST[limit]));
            }
        }
    }
}
