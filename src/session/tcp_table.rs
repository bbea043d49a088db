//! Postfix's tcp_table: one map on one port. The connection itself is [`super::lookup`].

use std::{borrow::Cow, sync::Arc};

use bytes::BytesMut;
use gatepost_protocol::{
    error::Malformed,
    postfix::tcp_table::{Reply, Request},
};

use super::lookup::{Asked, Told};

pub(super) fn read(line: &[u8], map: &Arc<str>) -> Result<Asked, Malformed> {
    Ok(match Request::parse(line)? {
        Request::Get(key) => Asked::Key { map: Arc::clone(map).into(), key: key.into() },
        // Nobody can put anything into what the directories are.
        Request::Put => Asked::Nothing,
    })
}

pub(super) fn tell(told: &Told, out: &mut BytesMut) {
    let reply = match told {
        Told::Found(value) => Reply::Ok(Cow::Borrowed(value.as_str().as_bytes())),
        Told::NotFound => Reply::NotFound,
        Told::Unavailable => Reply::Temp(Cow::Borrowed(Told::UNAVAILABLE)),
        // 500 is for keys, and would have mail refused for what is wrong with a configuration.
        Told::NoSuchMap => Reply::Temp(Cow::Borrowed(Told::NO_SUCH_MAP)),
        Told::NotForYou => Reply::Temp(Cow::Borrowed(Told::NOT_FOR_YOU)),
    };
    reply.encode(out);
}
