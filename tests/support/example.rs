use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use super::{MariaDb, Place};

/// One of `conf.d/examples` for a database, as it is but for where things are: the server, a secret, the mail; and but for
/// the number of Postfix's user.
pub fn example(name: &str, place: &Place, server: &MariaDb<'_>) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf.d/examples").join(format!("{name}.toml"));
    let text = fs::read_to_string(path).unwrap();
    let secret = place.outside("secret");
    fs::write(&secret, "service\n").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let put = |text: String, from: &str, to: &str| {
        assert!(text.contains(from), "{name} has no {from}");
        text.replace(from, to)
    };
    let socket = server.socket().display().to_string();
    let text = put(
        text,
        &format!("mysql://{name}@/{name}?socket=/var/run/mysqld/mysqld.sock"),
        &format!("mysql://gatepost@/mail?socket={socket}"),
    );
    let text = put(text, &format!("/etc/gatepost/secrets/{name}"), &secret.display().to_string());
    let postfix = place.tree().uid("postfix");
    put(text, "/var/vmail", &place.inside("mail/vmail"))
        .replace("/var/volatile", &place.inside("mail/volatile"))
        .replace("readers = [\"101\"]", &format!("readers = [\"{postfix}\"]"))
}
