use std::{net::SocketAddr, process::Stdio};

use super::{Lines, Place, process::Process};

/// A connection within TLS to whoever answers at `address`, after STARTTLS of `protocol` if there is one; and the process
/// that speaks TLS for it.
pub fn within_tls(place: &Place, address: SocketAddr, protocol: Option<&str>) -> (Lines, Process) {
    let mut command = place.tree().command("openssl");
    command.args(["s_client", "-quiet", "-verify_quiet", "-connect", &address.to_string()]);
    if let Some(protocol) = protocol {
        command.args(["-starttls", protocol]);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = Process::start("openssl", &mut command);
    let (input, output) = process.streams();
    (Lines::over(output, input), process)
}
