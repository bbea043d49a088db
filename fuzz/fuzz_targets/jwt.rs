//! A token as a remote sends it, before any key is looked at: taken apart or not, never a panic, and never two ways.
#![no_main]

use gatepost::oidc::jwt::{self, LONGEST, NoJwt};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|token: &[u8]| {
    let text = jwt::token(token);
    assert!(text.is_none_or(|text| !text.is_empty() && text.len() <= LONGEST && text.is_ascii()));
    match jwt::front(token) {
        Ok(front) => {
            assert!(text.is_some_and(|text| text.matches('.').count() == 2));
            // What is shown in a log holds no claim's value, whatever they are called.
            let _ = format!("{:?}", front.claims);
            for name in ["iss", "sub", "a.b", ""] {
                let _ = (front.claims.text(name), front.claims.strings(name));
            }
        }
        Err(NoJwt::NoToken) => assert!(text.is_none()),
        Err(NoJwt::Opaque | NoJwt::Broken) => assert!(text.is_some()),
    }
});
