use std::{
    fs,
    net::{SocketAddr, TcpStream},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    Authority, Place,
    https::{Answer, Https},
    process::Process,
    proxy::Proxy,
    wait_until,
};

const PORT: u16 = 10443;

/// Where webmail listens in the place of its provider, which sends people back there. To 10080 no browser goes.
pub const WEBMAIL_PORT: u16 = 18080;

/// The scripts of the provider, `tests/peers/web`.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/web");

/// The OpenID provider of `tests/peers/web`, over TLS, with a wire before it that can fail.
///
/// It knows Alice (`wonder`), Bob (`builder`) and Carol (`carol`) by the addresses that [`super::People`] has them
/// under, Mallory (`mallory`), whose address it has not verified, and Newcomer (`newcomer`), who has no mailbox.
/// Its place is one in [`super::Tree::web`], and two providers have two places.
#[derive(Debug)]
pub struct Provider<'a> {
    place: &'a Place,
    wire: Proxy,
    /// Past the wire, so that a test reaches it however that is.
    direct: Https,
    process: Option<Process>,
}

/// What a token is to be.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub user: &'a str,
    pub password: &'a str,
    /// `opaque`, or the algorithm of a JWT.
    pub format: &'a str,
    /// Nobody's where there is none, for the provider itself.
    pub audience: Option<&'a str>,
    pub scope: &'a str,
    pub lifetime: Duration,
}

impl Default for Wanted<'_> {
    /// An opaque one of Alice, with all that gatepost asks for.
    fn default() -> Self {
        Self {
            user: "alice",
            password: "wonder",
            format: "opaque",
            audience: Some("gatepost"),
            scope: "email",
            lifetime: Duration::from_secs(3600),
        }
    }
}

/// Who signs a forged token.
#[derive(Clone, Copy, Debug)]
pub enum Signer {
    /// The provider, with its newest RSA key.
    Provider,
    /// Another key under the same name.
    Stranger,
    /// HS256 with the public key as the secret.
    Public,
    Nobody,
}

/// How the provider answers.
#[derive(Clone, Copy, Debug)]
pub enum Mood {
    Well,
    /// After so long.
    Slow(Duration),
    /// With a page, of this status, as from whatever stands before it.
    Html(u16),
}

impl<'a> Provider<'a> {
    /// The one of this place, certified by an authority of its own.
    pub fn start(place: &'a Place) -> Self {
        let authority = Authority::found(place, "authority");
        authority.certify("provider");
        authority.certify_person("client");
        for script in fs::read_dir(SCRIPTS).unwrap().map(|entry| entry.unwrap().path()) {
            if script.extension().is_some_and(|extension| extension == "mjs") {
                fs::copy(&script, place.outside(script.file_name().unwrap().to_str().unwrap())).unwrap();
            }
        }
        symlink("/opt/web/node_modules", place.outside("node_modules")).unwrap();
        let address = SocketAddr::from(place.port(PORT));
        let direct = Https::new(address, &authority.file());
        let mut provider = Self { place, wire: Proxy::start(address), direct, process: None };
        let settings = json!({
            "issuer": provider.issuer(),
            "address": place.address(),
            "port": PORT,
            "certificate": place.inside("provider.pem"),
            "key": place.inside("provider.key"),
            "client_key": place.inside("client.key"),
            "keys": place.inside("signing-keys"),
            "redirects": [format!("http://{}/index.php/login/oauth", place.port(WEBMAIL_PORT))],
        });
        place.write("provider.json", &settings.to_string());
        provider.start_again();
        provider
    }

    /// It signs with the keys that it had, and knows none of the opaque tokens that it had given out.
    pub fn start_again(&mut self) {
        let log = self.place.outside("provider.log");
        let log = fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        let mut command = self.place.tree().command("node");
        command.args([self.place.inside("provider.mjs"), self.place.inside("provider.json")]);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut process = Process::start("the provider", &mut command);
        wait_until("the provider listens", || {
            assert_eq!(process.ended(), None, "the provider did not start:\n{}", self.log());
            TcpStream::connect(self.place.port(PORT)).is_ok()
        });
        self.process = Some(process);
    }

    pub fn stop(&mut self) {
        self.process.take().expect("the provider runs").kill();
    }

    /// What everybody but the test reaches it by.
    pub fn wire(&self) -> &Proxy {
        &self.wire
    }

    pub fn issuer(&self) -> String {
        format!("https://localhost:{}", self.wire.address().port())
    }

    /// Who vouches for its certificate.
    pub fn authority(&self) -> PathBuf {
        self.place.outside("authority.pem")
    }

    /// The key of the client `gatepost-signed`.
    pub fn client_key(&self) -> PathBuf {
        let key = self.place.outside("client.key");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        key
    }

    /// Its table in gatepost's configuration, with these lines in place of the usual ones of the same keys. A line that
    /// is but a key leaves that out.
    pub fn table(&self, lines: &str) -> String {
        let secret = self.place.outside("client-secret");
        fs::write(&secret, "gatepost-secret\n").unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        let usual = [
            ("name", "\"house\"".to_owned()),
            ("issuer", format!("{:?}", self.issuer())),
            ("client_id", "\"gatepost\"".to_owned()),
            ("client_secret_file", format!("{secret:?}")),
            ("validation", "\"auto\"".to_owned()),
            ("audience", "[\"gatepost\"]".to_owned()),
            ("scopes", "[\"email\"]".to_owned()),
            ("username_claim", "\"email\"".to_owned()),
            ("ca_file", format!("{:?}", self.authority())),
            ("timeout", "\"2s\"".to_owned()),
        ];
        let given = |key: &str| lines.lines().any(|line| line.split(" =").next() == Some(key));
        let kept =
            usual.iter().filter(|(key, _)| !given(key)).map(|(key, value)| format!("{key} = {value}\n"));
        let lines = lines.lines().filter(|line| usual.iter().all(|(key, _)| line != key));
        let lines = lines.map(|line| format!("{line}\n")).collect::<String>();
        format!("[[oidc]]\n{}{lines}\n", kept.collect::<String>())
    }

    pub fn issue(&self, wanted: Wanted<'_>) -> String {
        let lifetime = wanted.lifetime.as_secs().to_string();
        let resource = wanted.audience.map(|audience| format!("urn:{}:{audience}", wanted.format));
        let mut fields = vec![
            ("grant_type", "password"),
            ("client_id", "tests"),
            ("client_secret", "tests-secret"),
            ("username", wanted.user),
            ("password", wanted.password),
            ("scope", wanted.scope),
            ("lifetime", &lifetime),
        ];
        fields.extend(resource.as_ref().map(|resource| ("resource", resource.as_str())));
        let answer = self.direct.post_form("/token", None, &fields);
        assert_eq!(answer.status, 200, "{answer:?}\n{}", self.log());
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// An opaque token of Alice.
    pub fn opaque(&self) -> String {
        self.issue(Wanted::default())
    }

    /// A JWT of Alice.
    pub fn jwt(&self) -> String {
        self.issue(Wanted { format: "RS256", ..Wanted::default() })
    }

    /// What it says of a token to gatepost.
    pub fn introspect(&self, token: &str) -> Value {
        let gatepost = Some(("gatepost", "gatepost-secret"));
        self.direct.post_form("/token/introspection", gatepost, &[("token", token)]).json()
    }

    /// RFC 7009, by whom the token was given to.
    pub fn revoke(&self, token: &str) {
        let fields = [("token", token), ("client_id", "tests"), ("client_secret", "tests-secret")];
        let answer = self.direct.post_form("/token/revocation", None, &fields);
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// The same of all access tokens of somebody, such as those that only webmail knows.
    pub fn revoke_all(&self, user: &str) {
        self.lab("revoke", json!({ "user": user }));
    }

    /// A JWT of Alice with another header and other claims, of which null ones are left out.
    pub fn forge(&self, header: Value, claims: Value, signer: Signer) -> String {
        let signer = format!("{signer:?}").to_lowercase();
        let told = self.lab("forge", json!({ "header": header, "claims": claims, "signer": signer }));
        told["token"].as_str().unwrap().to_owned()
    }

    /// Signs with new keys from now on, and publishes the old ones as well, or not any more.
    pub fn rotate(&self, keep: bool) {
        self.lab("rotate", json!({ "keep": keep }));
    }

    pub fn feel(&self, mood: Mood) {
        self.lab(
            "mood",
            match mood {
                Mood::Well => json!({}),
                Mood::Slow(delay) => json!({ "delay": delay.as_millis() }),
                Mood::Html(status) => {
                    json!({ "status": status, "html": "<!doctype html><title>Maintenance</title>" })
                }
            },
        );
    }

    /// How often one of its endpoints was asked: `discovery`, `jwks`, `introspection`, `token`, `userinfo`.
    pub fn asked(&self, endpoint: &str) -> u64 {
        self.direct.get("/lab/counts").json()[endpoint].as_u64().expect("an endpoint that is counted")
    }

    /// What it answers to everybody at a path.
    pub fn get(&self, path: &str) -> Answer {
        self.direct.get(path)
    }

    pub fn log(&self) -> String {
        self.place.read("provider.log")
    }

    fn lab(&self, what: &str, how: Value) -> Value {
        let answer = self.direct.post_json(&format!("/lab/{what}"), &how);
        assert_eq!(answer.status, 200, "{answer:?}\n{}", self.log());
        answer.json()
    }
}
