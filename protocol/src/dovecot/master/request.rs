//! REQUEST: the second half of a login.

use bytes::{BufMut as _, BytesMut};
use nom::combinator::map_res;

use crate::error::Malformed;

use super::super::grammar::{self, whole};
use super::super::{Cookie, Fields, RequestId, put, put_fields};

/// `"REQUEST" TAB <id> TAB <client pid> TAB <client id> TAB <cookie> [TAB <param>]*`: a post-login process asks
/// for the user that a login process has let in. What it names must all fit, and works once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'a> {
    /// Number of this request on this connection.
    pub id: RequestId,
    /// What the login process said as CPID.
    pub client_pid: u32,
    /// What the login process had as id of AUTH.
    pub client_id: RequestId,
    /// What the login process was given as COOKIE. To be compared in constant time.
    pub cookie: Cookie,
    /// `session_pid=`: the asking process itself, to be held against what the socket says of it.
    pub session_pid: Option<u32>,
    /// `request_auth_token`: it wants an `auth_token=` in the answer.
    pub request_auth_token: bool,
    /// `session_pid_trusted` (after 2.4.4): do not hold it against the socket, if the socket lets only us in.
    pub session_pid_trusted: bool,
    /// All parameters, known and unknown, as they came.
    pub fields: Fields<'a>,
}

impl<'a> Request<'a> {
    pub(super) fn parse(args: &'a [u8]) -> Result<Self, Malformed> {
        let cookie = map_res(grammar::raw, Cookie::parse);
        let parts = (grammar::id, grammar::number, grammar::id, cookie, grammar::fields);
        let (id, client_pid, client_id, cookie, fields) =
            whole("REQUEST", "<id> TAB <client pid> TAB <client id> TAB <cookie>", parts, args)?;
        let mut request = Self {
            id,
            client_pid,
            client_id,
            cookie,
            session_pid: None,
            request_auth_token: false,
            session_pid_trusted: false,
            fields,
        };
        for field in fields.iter() {
            match &*field.key {
                SESSION_PID => request.session_pid = Some(pid(field.value.as_deref())?),
                REQUEST_AUTH_TOKEN => request.request_auth_token = true,
                SESSION_PID_TRUSTED => request.session_pid_trusted = true,
                _ => {}
            }
        }
        Ok(request)
    }

    /// Appends the line without its LF. What is set here but not in the list is written before it.
    pub(super) fn encode(&self, out: &mut BytesMut) {
        put(out, format_args!("REQUEST\t{}\t{}\t{}\t", self.id, self.client_pid, self.client_id));
        self.cookie.encode(out);
        if let Some(pid) = self.session_pid
            && !self.fields.has(SESSION_PID)
        {
            put(out, format_args!("\tsession_pid={pid}"));
        }
        for (set, key) in
            [(self.request_auth_token, REQUEST_AUTH_TOKEN), (self.session_pid_trusted, SESSION_PID_TRUSTED)]
        {
            if set && !self.fields.has(key) {
                out.put_u8(b'\t');
                out.put_slice(key);
            }
        }
        put_fields(out, self.fields);
    }
}

const SESSION_PID: &[u8] = b"session_pid";
const REQUEST_AUTH_TOKEN: &[u8] = b"request_auth_token";
const SESSION_PID_TRUSTED: &[u8] = b"session_pid_trusted";

/// A process id that is none must not pass for "not said", for then it would not be checked.
fn pid(value: Option<&[u8]>) -> Result<u32, Malformed> {
    whole("REQUEST", "session_pid=<pid>", grammar::digits, value.unwrap_or_default())
}
