//! Keys of Postfix's tables: under which others each is looked for, and what becomes of the addresses in them and of those that
//! are found.
//!
//! The first byte says which of them it is. What stands before the first NUL are the delimiters of an extension, or an
//! extension, or a local part.
#![no_main]

use std::collections::HashSet;

use gatepost_protocol::postfix::{
    address::{Address, extended, listed, with_local},
    walk::{Key, Step, Walk},
};
use libfuzzer_sys::fuzz_target;

/// Names have no more labels than this: 253 bytes, and a dot between two (RFC 1035 2.3.4).
const LABELS: usize = 127;

fuzz_target!(|data: &[u8]| {
    let Some((which, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let (before, text) = text.split_once('\0').unwrap_or(("+", text));
    match which % 11 {
        8 => forms(text, before),
        9 => written(before, text),
        10 => lists(text, before),
        which => walked(Walk::ALL[usize::from(which)].1, text, before),
    }
});

fn walked(walk: Walk, key: &str, delimiters: &str) {
    let asked_for = Key::of(key);
    assert_eq!(asked_for.typed(), key);
    let steps: Vec<_> = asked_for.steps(walk, delimiters).collect();
    let key = key.to_lowercase();
    let of_addresses = matches!(walk, Walk::Address | Walk::Local | Walk::Transport | Walk::Access);
    let parts = key.rsplit_once('@').filter(|(local, _)| of_addresses && !asked(local).is_empty());

    // The key itself comes first, or behind its external form.
    let first = steps.iter().position(|step| step.key == key).expect("the key itself");
    assert!(first == 0 || (first <= 2 && parts.is_some() && steps[0].key.starts_with('"')), "{steps:?}");
    let keys: HashSet<&str> = steps.iter().map(|step| &*step.key).collect();
    // What stands in the key behind such a delimiter may be taken for its domain, or for a quote.
    let is_odd = delimiters.contains(['@', '"', '\\']);
    assert!(is_odd || keys.len() == steps.len(), "the same twice: {steps:?}");
    assert!(steps.len() <= most(walk, &key), "{} steps of {key:?}", steps.len());

    // What is not made of the letters of the key is made of those of its other form, which is the first of these.
    let mut others = steps.iter().filter(|step| !is_within(&step.key, &key));
    let other = others.next();
    assert!(other.is_none() || is_in_two_forms(&key), "{other:?} of {key:?}");
    assert!(other.is_none_or(|other| others.all(|step| is_within(&step.key, &other.key))), "{steps:?}");

    for step in &steps {
        assert_eq!(step.key, step.key.to_lowercase());
        assert!(!step.is_bare || step.is_whole, "{step:?}");
        match parts {
            Some((local, _)) if step.is_whole => is_of(walk, step, &asked(local), delimiters),
            // What is for everybody says nothing of anybody.
            Some(_) => assert!(!step.key.chars().skip(1).any(|sign| sign == '@'), "{step:?}"),
            None => assert!(!step.is_bare, "{step:?}"),
        }
        let is_cut_off = || ends(&key, &step.key) || (walk == Walk::Client && key.starts_with(&*step.key));
        assert!(step.is_whole || is_in_two_forms(&key) || is_cut_off(), "{step:?} of {key:?}");
    }
}

/// How many steps there may be: those of an address in both forms, with and without its extension, and of each domain.
fn most(walk: Walk, key: &str) -> usize {
    let marks = key.chars().filter(|sign| matches!(sign, '.' | ':')).count();
    // A letter may come to several with dots between them.
    let letters = key.chars().filter(|sign| !sign.is_ascii()).count();
    let domains = (marks + 3 * letters + 1).min(LABELS + 1);
    let steps = match walk {
        Walk::Exact => 1,
        Walk::Address => 5,
        Walk::Local => 9,
        Walk::Transport => 4 + domains,
        Walk::Access => 8 + domains,
        Walk::Client | Walk::Domain | Walk::Nexthop => domains,
    };
    if is_in_two_forms(key) { 2 * steps } else { steps }
}

/// Whether its domain may have another form.
fn is_in_two_forms(key: &str) -> bool {
    !key.is_ascii() || key.contains("xn--")
}

/// An address with this local part, in one of its forms, or with what is left of it before an extension; or that alone.
fn is_of(walk: Walk, step: &Step<'_>, local: &str, delimiters: &str) {
    let before = step.key.rsplit_once('@').map(|(local, _)| local);
    let alone = (walk == Walk::Local).then_some(&*step.key);
    let is =
        |local: &str| [before, alone].into_iter().flatten().any(|it| it == local || it == external(local));
    if step.is_bare {
        let before = |(at, _): &(usize, char)| *at > 0 && is(&local[..*at]);
        let mut ends = local.char_indices().filter(|(_, sign)| delimiters.contains(*sign));
        assert!(ends.next().is_some_and(|end| before(&end)), "{step:?} of {local:?}");
    } else {
        assert!(is(local), "{step:?} of {local:?}");
    }
}

/// Whether a key ends in this, from a `.` or `@` on.
fn ends(key: &str, end: &str) -> bool {
    let marks = ['.', '@'];
    key.strip_suffix(end)
        .is_some_and(|before| before.is_empty() || before.ends_with(marks) || end.starts_with(marks))
}

/// Whether all letters of a step are in the key, in their order. Quotes may be added or taken off.
fn is_within(step: &str, key: &str) -> bool {
    let mut rest = key.chars();
    step.chars().filter(|sign| !matches!(sign, '"' | '\\')).all(|sign| rest.any(|other| other == sign))
}

/// An address that somebody has written, and one that is asked for.
fn forms(text: &str, delimiters: &str) {
    let (local, domain) = text.rsplit_once('@').map_or((text, None), |(local, domain)| (local, Some(domain)));
    let read = Address::read(text);
    assert_eq!((&*read.local, read.domain), (&*plain(local), domain));

    let known = Address::asked(text);
    assert_eq!((&*known.local, known.domain), (&*asked(local), domain));
    let internal = known.internal();
    assert!(known.external() == text || internal.as_deref() == Some(text), "asked for in another form");
    assert_eq!(internal.is_some(), known.external().starts_with('"'));

    if let Some((bare, extension)) = known.without_extension(delimiters) {
        assert_eq!((bare.local.into_owned() + extension, bare.domain), (known.local.to_string(), domain));
        assert!(
            extension.starts_with(|sign| delimiters.contains(sign)) && extension.len() < known.local.len()
        );
        let bare = &known.local[..known.local.len() - extension.len()];
        assert!(!bare.contains(|sign| delimiters.contains(sign)), "it begins earlier");
    }
}

/// What is written of a local part is read as it.
fn written(local: &str, domain: &str) {
    if domain.contains('@') {
        return;
    }
    let address = Address { local: local.into(), domain: Some(domain) };
    let text = address.external();
    assert_eq!(text, external(local) + "@" + domain);
    assert_eq!((Address::read(&text), Address::asked(&text)), (address.clone(), address.clone()));
    if let Some(internal) = address.internal() {
        assert_eq!(internal, format!("{local}@{domain}"));
        // Some could be either.
        assert!(local.starts_with('"') || Address::asked(&internal) == address);
    }
}

/// Lists of addresses: none is lost or made, and each keeps its domain.
fn lists(text: &str, more: &str) {
    let all: Vec<&str> = listed(text).collect();
    assert!(listed(&all.join(",")).eq(all.iter().copied()));
    let domain = |address: &str| address.rsplit_once('@').map(|(_, domain)| domain.to_owned());

    let longer = extended(text, more);
    // With an @ in quotes and no domain behind it, it would seem to have one.
    if !more.contains('@') {
        let longer: Vec<&str> = listed(&longer).collect();
        assert_eq!(longer.len(), all.len(), "{longer:?} of {all:?}");
        for (longer, address) in longer.iter().zip(&all) {
            assert_eq!(domain(longer), domain(address), "{longer:?} of {address:?}");
            let local = |address: &str| plain(address.rsplit_once('@').map_or(address, |(local, _)| local));
            assert!(longer == address || local(longer) == local(address) + more, "{longer:?} of {address:?}");
        }
    }

    let named = with_local(text, more);
    let Some(before) = named.strip_suffix(text) else { panic!("{named:?} of {text:?}") };
    if text.starts_with('@') {
        assert_eq!(before, external(more));
        let named: Vec<&str> = listed(&named).collect();
        assert_eq!(named[0], before.to_owned() + all[0]);
        assert_eq!(named[1..], all[1..]);
    } else {
        assert_eq!(before, "");
    }
}

/// The local part of a key: in quotes, if these are as Postfix would have written them, or as it is.
fn asked(local: &str) -> String {
    let plain = plain(local);
    if external(&plain) == local { plain } else { local.to_owned() }
}

/// Without quotes, and with what stands behind a backslash.
fn plain(local: &str) -> String {
    let mut escaped = false;
    let is_said = |&sign: &char| {
        let is_mark = !escaped && matches!(sign, '"' | '\\');
        escaped = is_mark && sign == '\\';
        !is_mark
    };
    local.chars().filter(is_said).collect()
}

/// A dot-string (RFC 5321 4.1.2), or a string in quotes.
fn external(local: &str) -> String {
    let special = |sign: char| matches!(sign, '\0'..=' ' | '\x7f') || "\"(),:;<>@[\\]".contains(sign);
    if local.split('.').all(|atom| !atom.is_empty() && !atom.contains(special)) {
        return local.to_owned();
    }
    let escape = |sign: char| matches!(sign, '"' | '\\' | '\r').then_some('\\');
    let inner: String = local.chars().flat_map(|sign| escape(sign).into_iter().chain([sign])).collect();
    format!("\"{inner}\"")
}
