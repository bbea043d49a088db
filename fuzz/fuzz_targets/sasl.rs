//! The payloads of the SASL mechanisms: what is read is written the same.
#![no_main]

use gatepost_protocol::sasl::{
    CramMd5, Plain, anonymous, external, login,
    scram::{ClientFinal, ClientFirst, ServerFinal, ServerFirst},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(message) = Plain::parse(data) {
        assert_eq!(message.encode().expect("a message").expose(), data);
    }
    if let Ok(message) = CramMd5::parse(data) {
        assert_eq!(message.encode(), data);
    }
    if let Ok(message) = ClientFirst::parse(data) {
        assert_eq!([message.header, message.bare].concat(), data);
        assert_eq!(message.encode().expect("a message"), data);
    }
    if let Ok(message) = ClientFinal::parse(data) {
        assert!(data.starts_with(message.without_proof));
        assert_eq!(message.encode().as_slice(), data);
    }
    if let Ok(message) = ServerFirst::parse(data) {
        assert_eq!(message.encode(), data);
    }
    if let Ok(message) = ServerFinal::parse(data) {
        assert_eq!(message.encode(), data);
    }
    let _ = (login::check(data).is_ok(), external::authzid(data).is_ok(), anonymous::trace(data).is_ok());
});
