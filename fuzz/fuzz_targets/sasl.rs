//! The payloads of the SASL mechanisms: what is read is written the same, or, where there are several ways to write it, so
//! that it is read the same.
#![no_main]

use gatepost_protocol::sasl::{
    CramMd5, OAuthBearer, Plain, XOAuth2, anonymous, bearer, external, login,
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
    if let Ok(message) = OAuthBearer::parse(data) {
        assert_eq!(OAuthBearer::split(data).as_ref(), Ok(&message));
        assert!(bearer::is_token(message.token) && data.len() <= bearer::RESPONSE);
        let written = message.encode().expect("a message");
        assert_eq!(OAuthBearer::parse(written.expose()), Ok(message));
        assert!(XOAuth2::parse(data).is_err(), "the name in it would go unread");
    }
    if let Ok(message) = XOAuth2::parse(data) {
        assert_eq!(XOAuth2::split(data).as_ref(), Ok(&message));
        assert!(bearer::is_token(message.token) && data.len() <= bearer::RESPONSE);
        let written = message.encode().expect("a message");
        assert_eq!(XOAuth2::parse(written.expose()), Ok(message));
    }
    let _ = (login::check(data).is_ok(), external::authzid(data).is_ok(), anonymous::trace(data).is_ok());
});
