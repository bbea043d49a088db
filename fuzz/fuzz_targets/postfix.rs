//! Postfix's lookup and policy protocols, and saslauthd's: messages are the same whichever way their bytes arrive, and what is
//! read is written so that it is read the same.
//!
//! The first byte says which of them it is; where there is a stream, the next two say what its limit is and how it arrives.
#![no_main]

use bytes::BytesMut;
use gatepost_protocol::{
    codec::{BlockCodec, NetstringCodec},
    postfix::{
        netstring::{self, Netstrings},
        policy::{self, Action, Blocks},
        socketmap, tcp_table,
    },
    saslauthd,
};
use libfuzzer_sys::fuzz_target;
use tokio_util::codec::Decoder;

fuzz_target!(|data: &[u8]| {
    let Some((which, data)) = data.split_first() else { return };
    match which % 7 {
        0 => netstrings(data),
        1 => socketmap(data),
        2 => tcp_table(data),
        3 => blocks(data),
        4 => policy(data),
        5 => action(data),
        _ => saslauthd(data),
    }
});

fn netstrings(data: &[u8]) {
    let [limit, chunk, stream @ ..] = data else { return };
    let (limit, chunk) = (usize::from(*limit), usize::from(*chunk) + 1);
    let cutter = Netstrings::new(limit);
    let cut = |buf: &mut &[u8]| Ok(cutter.cut(buf).map_err(|_| ())?.map(<[u8]>::to_vec));
    let whole = arrive(stream.len().max(1), stream, cut);
    assert_eq!(arrive(chunk, stream, cut), whole);
    assert_eq!(decode(NetstringCodec::new(limit), chunk, stream), whole);
    assert!(whole.0.iter().all(|payload| payload.len() <= limit));
    let mut out = BytesMut::new();
    for payload in &whole.0 {
        netstring::encode(payload, &mut out);
    }
    assert_eq!(arrive(chunk, &out, cut), (whole.0, false));
}

fn socketmap(payload: &[u8]) {
    if let Ok(request) = socketmap::Request::parse(payload) {
        let mut out = BytesMut::new();
        request.encode(&mut out).expect("was read");
        assert_eq!(unframed(&out), payload);
        let _ = format!("{request:?}");
    }
    if let Ok(reply) = socketmap::Reply::parse(payload) {
        let mut out = BytesMut::new();
        reply.encode(&mut out);
        let again = socketmap::Reply::parse(unframed(&out)).expect("was written");
        assert_eq!(kind(again), kind(reply));
        if let socketmap::Reply::Ok(_) = reply {
            assert_eq!((again, unframed(&out)), (reply, payload));
        }
        let _ = format!("{reply:?}");
    }
    // Whatever a directory has to say, and whyever it has nothing to say.
    for reply in [socketmap::Reply::Ok(payload), socketmap::Reply::Temp(payload)] {
        let mut out = BytesMut::new();
        reply.encode(&mut out);
        assert_ne!(unframed(&out), b"OK ");
        let again = socketmap::Reply::parse(unframed(&out)).expect("was written");
        assert_eq!(kind(again), kind(reply.sendable()));
    }
}

fn kind(reply: socketmap::Reply<'_>) -> u8 {
    match reply {
        socketmap::Reply::Ok(_) => 0,
        socketmap::Reply::NotFound => 1,
        socketmap::Reply::Temp(_) => 2,
        socketmap::Reply::Timeout(_) => 3,
        socketmap::Reply::Perm(_) => 4,
    }
}

fn unframed(mut netstring: &[u8]) -> &[u8] {
    let payload = Netstrings::new(socketmap::REPLY).cut(&mut netstring).expect("a netstring");
    assert!(netstring.is_empty(), "one netstring became two");
    payload.expect("a whole netstring")
}

fn tcp_table(line: &[u8]) {
    if let Ok(request) = tcp_table::Request::parse(line) {
        let mut out = BytesMut::new();
        request.encode(&mut out);
        assert_eq!(tcp_table::Request::parse(one_line(&out)), Ok(request));
    }
    if let Ok(reply) = tcp_table::Reply::parse(line) {
        let mut out = BytesMut::new();
        reply.encode(&mut out);
        let again = tcp_table::Reply::parse(one_line(&out)).expect("was written");
        if !matches!(reply, tcp_table::Reply::Temp(_)) {
            assert_eq!(again, reply.sendable());
        }
    }
    for reply in [tcp_table::Reply::Ok(line.into()), tcp_table::Reply::Temp(line.into())] {
        let mut out = BytesMut::new();
        reply.encode(&mut out);
        assert!(one_line(&out).len() <= tcp_table::REPLY && one_line(&out).is_ascii());
        let again = tcp_table::Reply::parse(one_line(&out)).expect("was written");
        if let tcp_table::Reply::Ok(_) = reply {
            assert_eq!(again, reply.sendable());
        }
    }
}

fn one_line(out: &[u8]) -> &[u8] {
    let line = out.strip_suffix(b"\n").expect("a LF at the end");
    assert!(!line.contains(&b'\n'), "one line became two");
    line
}

fn blocks(data: &[u8]) {
    let [limit, chunk, stream @ ..] = data else { return };
    let (limit, chunk) = (usize::from(*limit), usize::from(*chunk) + 1);
    let cutter = Blocks::new(limit);
    let cut = |buf: &mut &[u8]| Ok(cutter.cut(buf).map_err(|_| ())?.map(<[u8]>::to_vec));
    let whole = arrive(stream.len().max(1), stream, cut);
    assert_eq!(arrive(chunk, stream, cut), whole);
    assert_eq!(decode(BlockCodec::new(limit), chunk, stream), whole);
    for block in whole.0 {
        assert!(block.len() <= limit && (block.is_empty() || block.ends_with(b"\n")));
        assert!(!block.starts_with(b"\n") && !block.windows(2).any(|two| two == b"\n\n"));
    }
}

fn policy(block: &[u8]) {
    let Ok(request) = policy::Request::parse(block) else { return };
    let _ = (format!("{request:?}"), request.client_ip(), request.server_ip());
    let mut out = BytesMut::new();
    // With the names of all that is unknown, a long one may have become too long.
    if request.encode(&mut out).is_err() {
        assert!(block.len() > policy::REQUEST - 1024 && out.is_empty());
        return;
    }
    let again = policy::Request::parse(one_block(&out, policy::REQUEST)).expect("was written");
    assert!(again.others().eq(request.others()));
    let nothing = policy::Attributes::default();
    let known =
        |request: policy::Request<'_>| format!("{:?}", policy::Request { attributes: nothing, ..request });
    assert_eq!(known(again), known(request));
}

fn action(block: &[u8]) {
    let whole = [b"action=", block].concat();
    for block in [block, &whole] {
        let Ok(action) = Action::parse(block) else { continue };
        let mut out = BytesMut::new();
        action.encode(&mut out);
        let written = one_block(&out, policy::REPLY);
        assert_eq!(Action::parse(written), Ok(action));
        let value = written.strip_prefix(b"action=").and_then(|value| value.strip_suffix(b"\n"));
        let value = std::str::from_utf8(value.expect("one line")).expect("UTF-8").to_ascii_lowercase();
        // What smtpd takes for a permission.
        let word = value.split([' ', '\t', ',']).next().expect("a word");
        assert!(!["", "ok", "relay"].contains(&word) && !word.starts_with("permit"), "{value}");
        assert!(!value.bytes().all(|byte| byte.is_ascii_digit()), "{value}");
        assert!(!value.contains('\n'), "{value}");
    }
}

fn one_block(mut out: &[u8], limit: usize) -> &[u8] {
    let block = Blocks::new(limit).cut(&mut out).expect("not too long").expect("a whole block");
    assert!(out.is_empty(), "one block became two");
    block
}

fn saslauthd(stream: &[u8]) {
    let mut rest = stream;
    if let Ok(Some(request)) = saslauthd::Request::cut(&mut rest) {
        let written = request.encode().expect("was read");
        assert_eq!([written.expose(), rest].concat(), stream);
        for at in 0..written.len() {
            assert!(
                matches!(saslauthd::Request::cut(&mut &stream[..at]), Ok(None)),
                "cut off after {at} bytes"
            );
        }
        assert!(request.user().len() <= request.login.len() + 1 + request.realm.len());
        let _ = (saslauthd::remote(rest), format!("{request:?}"));
    }
    let _ = saslauthd::Reply::cut(&mut &*stream);
}

/// The messages, and whether what came behind them broke the stream.
type Outcome = (Vec<Vec<u8>>, bool);

fn arrive(chunk: usize, stream: &[u8], cut: impl Fn(&mut &[u8]) -> Result<Option<Vec<u8>>, ()>) -> Outcome {
    let (mut messages, mut held) = (Vec::new(), Vec::new());
    for chunk in stream.chunks(chunk) {
        held.extend_from_slice(chunk);
        let mut rest = &*held;
        loop {
            match cut(&mut rest) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(()) => return (messages, true),
            }
        }
        held = rest.to_vec();
    }
    (messages, false)
}

fn decode<C: Decoder<Item = bytes::Bytes>>(mut codec: C, chunk: usize, stream: &[u8]) -> Outcome {
    let (mut messages, mut held) = (Vec::new(), BytesMut::new());
    for chunk in stream.chunks(chunk) {
        held.extend_from_slice(chunk);
        loop {
            match codec.decode(&mut held) {
                Ok(Some(message)) => messages.push(message.to_vec()),
                Ok(None) => break,
                Err(_) => return (messages, true),
            }
        }
    }
    (messages, false)
}
