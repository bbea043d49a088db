//! Where a decision becomes the words of the auth-client protocol. The only place. R5 to R9, R14 and D4 to D7 of
//! [`super::rules`].

use std::borrow::Cow;

use bytes::BytesMut;
use gatepost_protocol::{
    dovecot::{FailCode, Fields, FieldsBuf, RequestId, params::Params, reply},
    sasl::bearer::Rejection,
    text::base64_into,
};

use super::delay::Failure;
use crate::{
    account::Account,
    decision::{Attempt, Hop, Refusal, Verified},
    mechanism::{Claim, Credential},
    oidc::Challenge,
};

/// Longest name of a service that is kept, in bytes. The usual ones have less than a dozen.
pub(super) const SERVICE: usize = 64;

/// Longest text of a refused name that is repeated to the peer, in characters.
const SHOWN_NAME: usize = 255;

/// Longest `forward_fields` that are passed on, in bytes, and what they may become in `OK`, where each has a longer name:
/// they are kept with their request, and login processes read no line of any length. Dovecot's own are a few addresses
/// and names.
const FORWARD: usize = 2048;

/// Longest reason that is told to a client which hands it on in a line of SMTP, in characters.
const SHOWN_REASON: usize = 200;

/// `FAIL <id> user=<as typed> [code=] [reason=] [temp]`. The same bytes for an unknown user and a wrong password.
///
/// The name is repeated for the log of Postfix and what reads it (`sasl_username=`), also for unknown users.
pub(super) fn refusal(id: RequestId, claim: &Claim, refusal: &Refusal) -> BytesMut {
    fail(id, named(claim).as_deref(), refusal, None)
}

/// The same for a request of which no more than the name is known.
pub(super) fn refusal_of(id: RequestId, name: &[u8], refusal: &Refusal) -> BytesMut {
    fail(id, Some(&shown(name)), refusal, None)
}

/// The same for a request that never came to a claim.
pub(super) fn unclaimed(id: RequestId, refusal: &Refusal) -> BytesMut {
    fail(id, None, refusal, None)
}

/// R14: the same for a token, with what the remote may do about it. `at_once`: that may come along with `FAIL`.
pub(super) fn token_refusal(
    id: RequestId,
    claim: &Claim,
    refusal: &Refusal,
    challenge: Option<Challenge>,
    at_once: bool,
) -> Failure {
    let (scope, configuration) = match &challenge {
        Some(Challenge { scope, configuration }) => (Some(&**scope), Some(&**configuration)),
        None => (None, None),
    };
    let rejection = Rejection { scope, configuration }.encode();
    let rejection = rejection.as_bytes();
    let name = named(claim);
    let fail = |last| fail(id, name.as_deref(), refusal, last);
    if at_once {
        return fail(Some(rejection)).into();
    }
    let mut challenge = BytesMut::new();
    reply::cont(&mut challenge, id, rejection);
    Failure { challenge: Some(challenge), line: fail(None) }
}

fn fail(id: RequestId, user: Option<&str>, refusal: &Refusal, last: Option<&[u8]>) -> BytesMut {
    // Room for everything that is said here and may be escaped.
    let mut line = BytesMut::with_capacity(96 + 2 * (user.map_or(0, str::len) + last.map_or(0, <[u8]>::len)));
    let code = refusal.fail_code();
    let reason = match code {
        Some(FailCode::PassExpired) => Some("Password expired"),
        Some(FailCode::AuthzFail | FailCode::InvalidBase64 | FailCode::TempFail | FailCode::UserDisabled)
        | None => None,
    };
    // Both spellings of "temporary": Dovecot before 2.3 and its imitators know the bare word only.
    let reason = reason.map(str::as_bytes);
    reply::fail(&mut line, id, user.map(str::as_bytes), code, reason, refusal.is_temporary(), last);
    line
}

/// An account that nobody may log in to, told to a client that knows no `nologin`.
///
/// Such a client takes no escapes off and puts the reason into one line of SMTP as it stands (R7, R9).
pub(super) fn nologin_refusal(id: RequestId, account: &Account) -> BytesMut {
    let mut line = BytesMut::new();
    let reason = account.nologin.as_ref().and_then(|nologin| nologin.reason.as_deref());
    let reason: Option<String> = reason
        .map(|text| text.chars().take(SHOWN_REASON).map(|c| if c.is_control() { '?' } else { c }).collect());
    let reason = reason.as_deref().map(str::as_bytes);
    reply::fail(&mut line, id, Some(account.user.as_ref()), None, reason, false, None);
    line
}

/// `FAIL <id> code=invalid_base64 reason=...`, at once: it is no guess at a password.
pub(super) fn invalid_base64(id: RequestId, reason: &str, out: &mut BytesMut) {
    reply::fail(out, id, None, Some(FailCode::InvalidBase64), Some(reason.as_bytes()), false, None);
}

/// `OK <id> user=<canonical> [forward_*=]* [nologin [reason=]] [proxy ...] [field ...] [original_user=] [auth_user=]
/// [pass=] [master=] [anonymous] [resp=]`, in Dovecot's order; `last` is what the mechanism has to say at the end.
///
/// Booleans are bare: a login process of Dovecot 2.3 ignores `nologin=yes` and lets the user in. The two names are for
/// the logs of login processes: as it was typed, and the master user's.
pub(super) fn accept(
    out: &mut BytesMut,
    id: RequestId,
    verified: &Verified,
    attempt: &Attempt,
    last: Option<&[u8]>,
) {
    let account = verified.account();
    let fields = account.passdb.as_fields();
    let original = verified.original();
    let proxied = fields.has(b"proxy");
    let anonymous = matches!(attempt.claim.credential, Credential::Anonymous { .. });
    let more = proxied || anonymous || original.is_some() || attempt.hop.forward.is_some() || last.is_some();
    if account.nologin.is_none() && !more {
        return reply::ok(out, id, account.user.as_ref(), fields);
    }
    let mut extended = FieldsBuf::default();
    if let Some(forward) = &attempt.hop.forward {
        forwarded(forward, fields, &mut extended);
    }
    if let Some(nologin) = &account.nologin {
        extended.flag("nologin");
        if let Some(reason) = &nologin.reason {
            extended.push("reason", reason);
        }
    }
    extended.extend(fields);
    if let Some(original) = original {
        extended.push("original_user", original);
    }
    if let Some(master) = verified.master() {
        extended.push("auth_user", master);
    }
    if proxied {
        // The login process logs in to the next host with what we tell it; it has not kept the password. Of a mechanism
        // that does not send it there is none to tell.
        let credential = &attempt.claim.credential;
        if !fields.has(b"pass")
            && let Some(secret) = credential.password().or(credential.token())
        {
            // A token is one to the mechanism that it came by, and to no other.
            if credential.token().is_some() && !fields.has(b"proxy_mech") {
                extended.push("proxy_mech", attempt.mechanism.name());
            }
            extended.push("pass", secret.expose());
        }
        if let Some(master) = verified.master().filter(|_| !fields.has(b"master")) {
            extended.push("master", master);
        }
    }
    if anonymous {
        extended.flag("anonymous");
    }
    if let Some(last) = last {
        let mut base64 = BytesMut::new();
        base64_into(last, &mut base64);
        extended.push("resp", &base64);
    }
    reply::ok(out, id, account.user.as_ref(), extended.as_fields());
}

/// What a trusted proxy passed on, each with `forward_` before its name; what the directory itself says wins.
fn forwarded(forward: &[u8], fields: Fields<'_>, to: &mut FieldsBuf) {
    for field in Params::forward(forward) {
        let name = format!("forward_{}", String::from_utf8_lossy(&field.key));
        let length = name.len() + field.value.as_ref().map_or(0, |value| 2 * value.len());
        match field.value {
            _ if to.as_fields().raw().len() + length > FORWARD => return,
            // The name was chosen by whoever speaks to the proxy.
            _ if name.contains('=') || fields.has(name.as_bytes()) => {}
            Some(value) => to.push(&name, value),
            None => to.flag(&name),
        }
    }
}

/// Where the remote came in, as the peer tells it: the real end of the connection where it tells of one, for that is
/// what this machine is called by.
pub(super) fn hop(params: &Params<'_>) -> Hop {
    let forward = params.forward_fields().filter(|fields| (1..=FORWARD).contains(&fields.len()));
    let local = params.real_lip().or_else(|| params.lip());
    Hop { local, port: params.lport(), forward: forward.map(Box::from) }
}

/// The name that somebody says; who has a token need not say any.
fn named(claim: &Claim) -> Option<Cow<'_, str>> {
    match (claim.credential.token(), claim.authcid.as_slice()) {
        (Some(_), b"") => None,
        (Some(_) | None, name) => Some(shown(name)),
    }
}

/// What a person typed as their name, fit for a peer that decodes no escapes (R7): no control character, no blank.
fn shown(name: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(name);
    if name.len() <= SHOWN_NAME && name.iter().all(u8::is_ascii_graphic) {
        return text;
    }
    text.chars().take(SHOWN_NAME).map(|c| if c.is_control() || c.is_whitespace() { '?' } else { c }).collect()
}

/// Text of a peer, for the log and for comparison: at most so many bytes of it, for it is kept with its request.
pub(super) fn lossy(bytes: &[u8], most: usize) -> Box<str> {
    let text = String::from_utf8_lossy(bytes);
    let end = text.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|&end| end <= most).last();
    text.get(..end.unwrap_or(0)).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::lossy;

    #[test]
    fn text_of_a_peer_is_cut_between_characters() {
        for (text, kept) in [
            (&b"imap"[..], "imap"),
            (b"submission", "submis"),
            ("\u{e9}\u{e9}\u{e9}\u{e9}".as_bytes(), "\u{e9}\u{e9}\u{e9}"),
            ("x\u{e9}\u{e9}\u{e9}".as_bytes(), "x\u{e9}\u{e9}"),
            (b"\xff\xff\xff", "\u{fffd}\u{fffd}"),
            (b"", ""),
        ] {
            assert_eq!(&*lossy(text, 6), kept, "{}", text.escape_ascii());
        }
    }
}
