//! What peers expect of an auth service beyond the grammar, as far as it is written nowhere else. Comments and tests
//! of this room cite the rules by number.
//!
//! They come from watching real programs (Postfix 3.7 to 3.12, Exim 4.96, chasquid 1.11, Radicale 3.9, Dovecot 2.3.19
//! and 2.4.1) and reading their sources; what they have said is in `tests/transcripts`.
//!
//! # Everybody at an auth-client socket
//!
//! - **R1** The whole greeting comes on accept, unasked, in one write of less than 1024 bytes: `VERSION`, `MECH` ...,
//!   `SPID`, `CUID`, `COOKIE`, `DONE`. Exim before 2025 says nothing until it has come, Radicale reads once.
//! - **R2** The minor version that is announced is 2. At 3 and more some clients wait for a second packet; what 3 and
//!   4 brought is answered by what the client itself announces.
//! - **R3** All `MECH` stand before `SPID`, although Dovecot's description has it the other way round. Postfix and
//!   Exim take a `SPID` before any `MECH` for a master socket and give up.
//! - **R4** The greeting is never refused and never late, and offers at least one mechanism. Without one, Postfix's
//!   smtpd exits before its banner, and no other is started for 60 s: nobody can send mail at all.
//! - **R5** A temporary failure is told by closing the connection, without a reply, to a client of minor 0 or 1 that
//!   has one request in flight. Postfix, Exim and chasquid make a permanent refusal of every `FAIL`, whatever it says,
//!   and mail programs then ask for another password. With several in flight, or to others, it is `FAIL` with both
//!   `code=temp_fail` and the older `temp`.
//! - **R6** Every answer comes within 10 s: Postfix reads no longer. The engine gives up after 8 s, as in R5.
//! - **R7** `OK` begins with `user=`, and `FAIL` carries it for logs. In neither may a name hold TAB, CR, LF, NUL,
//!   0x01 or blanks: Postfix and Exim take no escapes off.
//! - **R8** To clients of minor 0 and 1, `OK` holds `user=` alone: go-dovecot-sasl panics on a bare word, Exim reads
//!   16 fields, and none of them knows `nologin`, which is a refusal to them.
//! - **R9** Postfix shows `reason=` of `FAIL` to the remote as it stands: short, on one line, and the same for whoever
//!   exists and whoever does not.
//! - **R10** Mechanisms that need a certificate are for requests with `valid-client-cert` and its name. Postfix
//!   forwards `AUTH EXTERNAL` also where it does not offer it.
//! - **R11** `resp=` with nothing behind it is an absent response to clients of minor 0 and 1, as Exim always writes
//!   it, and an empty one to others. `resp==` and `CONT <id> =` are an empty one to everybody.
//! - **R12** The last data of a mechanism go out as one more challenge, which is answered by an empty response, unless
//!   the request says `final-resp-ok`: then they may be `resp=` of `OK`.
//! - **R13** An idle connection is left open: a process of Postfix keeps one for its life.
//! - **R14** Who is refused with a token is told in JSON where there is another (RFC 7628 section 3.2), as Dovecot does:
//!   as `resp=` of `FAIL` where the request says `final-resp-ok`, and as one more challenge to all others. That is told
//!   when `FAIL` would have been; the response to it says nothing (0x01, or nothing at all from most that speak XOAUTH2),
//!   whatever it is, and `FAIL` follows at once. A temporary failure is told as always (R5), without the JSON: the token
//!   may be good.
//!
//! # Dovecot's login processes
//!
//! - **D1** `AUTH` with an id of 0, one in use, an unknown mechanism, without a service, or with anything behind
//!   `resp=` is a breach of protocol: the connection ends. Bad base64 is the remote's fault: the request ends.
//! - **D2** A continuation that nobody asked for ends its request as well, with `reason=Unexpected continuation`; one
//!   of a request that is gone is answered `reason=Authentication request timed out`.
//! - **D3** `CANCEL` is answered `CANCELLED` to clients of minor 4 and more, which otherwise keep the request for
//!   ever, and never to older ones, which take the word for a breach of protocol.
//! - **D4** `nologin`, `proxy` and `anonymous` are bare words. Dovecot 2.3 ignores `nologin=yes` and lets the user in.
//! - **D5** After `OK` the login is kept for a mail process to claim, for 150 s, as long as the connection lasts,
//!   unless it was `nologin` or `proxy`: then the login process keeps the remote. On other than login sockets nothing
//!   is kept.
//! - **D6** The fields of `OK` stand in Dovecot's order: `user=`, `forward_*=`, those of the directory,
//!   `original_user=` (the name as it was typed, if that is not `user=`), `auth_user=` (the master user), and for a
//!   proxy `pass=` and `master=`.
//! - **D7** The login process connects to a number: `hostip=` is added to a `host=` that is a name, and `proxy_maybe`,
//!   which it does not know, is settled beforehand.
//!
//! # Dovecot's mail processes and doveadm, at a master or userdb socket
//!
//! - **M1** The greeting is `VERSION` and `SPID` and nothing else: `CUID` would make it an auth-client socket. `SPID`
//!   is the same as on the login sockets, or a mail process that serves several logins refuses all but the first.
//! - **M2** `REQUEST` claims a login by the pid of the login process, its request id and the cookie of its connection,
//!   once. `session_pid` must be that of the peer, where the kernel tells one. Every other claim is a bare `FAIL`.
//! - **M3** A line of a reply has less than 8192 bytes with its LF, or the peer hangs up. A reply that has more is
//!   `FAIL`.
//! - **M4** `NOTFOUND` is for certain: LMTP bounces mail over it. `FAIL` with a reason is a failure for now: LMTP says
//!   451.
//! - **M5** The answer to `REQUEST` carries besides the fields of the user `master_user=` (the master user),
//!   `auth_mech=`, `auth_token=` where it was asked for, and `auth_user=`: the master user, or the name as it was
//!   typed if that is another.
//! - **M6** `auth_token` is the lower-case hex of HMAC-SHA1 with the user name as the key over the pid of the mail
//!   process, the session id if there is one, the service, and a secret of the installation.
//! - **M7** Dovecot 2.4 shows a listing as it comes, so `LIST` gives only what fits the mask. It may come without a
//!   service.
//! - **M8** A socket of mode 0666 lets a peer look up itself alone, unless it is the owner of the socket or of its
//!   group, or root. Every other mode leaves that to the file system.
//!
//! # Who asks saslauthd
//!
//! - **S1** One request, one reply, and the connection ends. The library waits for as long as there is neither reply nor
//!   end, so that the engine's deadline is what bounds it (R6).
//! - **S2** A temporary failure is told by closing the connection without a reply, which Postfix makes 454 of. `NO` is 535,
//!   whatever text is behind it.
//! - **S3** The name is the login with `@` and the realm behind it, if there is a realm: the library has taken apart what was
//!   typed. With an accepted login nothing comes back, so that the program goes on with the name as it was typed. It does
//!   not say by which mechanism the password came.
//! - **S4** Nobody knows `nologin`, so that it is `NO` (R8).
//! - **S5** No address is told by any release of the library (its development version has one behind the request), but the
//!   remote has one: what only those without may do (`allow_nets=local`), they may not.
