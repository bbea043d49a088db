//! How gatepost proves to a provider who it is, and what becomes of people where it cannot.

use crate::{
    ALICE, Door, Front, Outcome,
    support::{Place, Provider, Tree},
};

#[test]
fn a_provider_is_told_who_asks_in_the_way_that_it_wants() {
    let web = Place::new(&Tree::web());
    let provider = Provider::start(&web);
    let odd = "client_id = \"gatepost+odd\"\nclient_secret_file\nclient_secret = \"a:b/c+d%e&f\"";
    let key = provider.client_key();
    let signed = format!(
        "client_id = \"gatepost-signed\"\nclient_auth = \"private_key_jwt\"\nclient_secret_file\nprivate_key_file = {key:?}"
    );
    let post = "client_id = \"gatepost-post\"\nclient_auth = \"post\"";
    for lines in [post, odd, &signed] {
        let place = Place::new(&Tree::bookworm());
        let front = Front::open(&place, &provider.table(lines));
        front.expect(lines, &Door::USUAL, ALICE, &provider.opaque(), &Outcome::Enters);
    }
}

/// The operator has something to mend, and nobody else has done anything wrong.
#[test]
fn nobody_is_refused_because_the_provider_does_not_know_gatepost() {
    let web = Place::new(&Tree::web());
    let provider = Provider::start(&web);
    let place = Place::new(&Tree::bookworm());
    let wrong = "client_secret_file\nclient_secret = \"not-the-secret\"";
    let front = Front::open(&place, &provider.table(wrong));
    front.expect("unknown", &Door::USUAL, ALICE, &provider.opaque(), &Outcome::Temporary);
    front.expect("a JWT", &Door::USUAL, ALICE, &provider.jwt(), &Outcome::Enters);
    let log = front.log();
    assert!(!log.contains("not-the-secret"), "{log}");
}
