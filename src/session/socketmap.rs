//! Postfix's socketmap: many maps on one socket. The connection itself is [`super::lookup`].

use bytes::BytesMut;
use gatepost_protocol::{
    error::Malformed,
    postfix::socketmap::{Reply, Request},
};

use super::lookup::{Asked, Told};

pub(super) fn read(payload: &[u8]) -> Result<Asked, Malformed> {
    let Request { name, key } = Request::parse(payload)?;
    Ok(Asked::Key { map: name.into(), key: key.into() })
}

pub(super) fn tell(told: &Told, out: &mut BytesMut) {
    let reply = match told {
        Told::Found(value) => Reply::Ok(value.as_str().as_bytes()),
        Told::NotFound => Reply::NotFound,
        Told::Unavailable => Reply::Temp(Told::UNAVAILABLE),
        Told::NoSuchMap => Reply::Perm(Told::NO_SUCH_MAP),
        Told::NotForYou => Reply::Perm(Told::NOT_FOR_YOU),
    };
    reply.encode(out);
}
