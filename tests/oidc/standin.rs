//! Dovecot's own auth service with its oauth2 passdb: what it makes of the same provider, doors and browser.

use crate::{
    ALICE, Door, Front, Outcome,
    support::{Bearer, Dovecot, Place, Postfix, Provider, Tree, Wire, provider::Wanted},
};

impl<'a> Front<'a> {
    /// Dovecot judges by itself, and for Postfix. It knows whoever the provider knows.
    pub(crate) fn judging(place: &'a Place, provider: &Provider<'_>) -> Self {
        place.dir("postfix/spool/gatepost", 0o755, 0, 0);
        let dovecot = Dovecot::start_judging(place, &judge(place, provider), "");
        let postfix = Postfix::start(place, Some(dovecot.lmtp_address()));
        Self { dovecot, postfix, gatepost: None }
    }

    /// The same for who comes by TLS, after [`crate::certify`].
    pub(crate) fn judging_over_tls(place: &'a Place, provider: &Provider<'_>) -> Self {
        place.dir("postfix/spool/gatepost", 0o755, 0, 0);
        let dovecot = Dovecot::start_judging(place, &judge(place, provider), &Dovecot::over_tls(place));
        let postfix = Postfix::start_over_tls(place, Some(dovecot.lmtp_address()));
        Self { dovecot, postfix, gatepost: None }
    }
}

#[test]
fn dovecot_itself_asks_about_each_login_and_takes_a_token_for_any_audience() {
    judging_with_each_debian(|front, provider, _| {
        let token = provider.opaque();
        front.expect("opaque", &Door::ALL, ALICE, &token, &Outcome::Enters);
        assert_eq!(provider.asked("introspection"), 2 * Door::ALL.len() as u64);
        let other = provider.issue(Wanted { audience: Some("elsewhere"), ..Wanted::default() });
        assert_eq!(front.imap(&other), Outcome::Enters, "{}", front.log());

        provider.revoke(&token);
        for door in Door::ALL {
            for bearer in Bearer::ALL {
                let seen = front.enter(door, bearer, ALICE, &token);
                let Outcome::Refused(Some(said)) = &seen else {
                    panic!("{door:?} {seen:?}\n{}", front.log())
                };
                assert!(said["status"].is_string(), "{said}");
            }
        }
    });
}

/// 2.4 says whose fault it is to who reads JSON, and to everybody else that the token is wrong; from 2.3, Postfix hears
/// no more than that.
#[test]
fn an_outage_of_the_provider_is_a_wrong_token_to_some_where_dovecot_asks_itself() {
    judging_with_each_debian(|front, provider, tree| {
        let token = provider.opaque();
        provider.wire().set(Wire::Refused);
        for door in Door::ALL {
            let seen = front.enter(door, Bearer::XOAuth2, ALICE, &token);
            let is_expected = match (tree.name(), door) {
                ("bookworm", Door::Smtp) => seen == Outcome::Refused(None),
                ("bookworm", _) => seen == Outcome::Temporary,
                _ => matches!(&seen, Outcome::Refused(Some(said)) if said["status"] == "500"),
            };
            assert!(is_expected, "{door:?} {seen:?}\n{}", front.log());
        }
    });
}

fn judging_with_each_debian(test: impl Fn(&Front<'_>, &Provider<'_>, &Tree)) {
    for tree in Tree::all() {
        let (web, place) = (Place::new(&Tree::web()), Place::new(&tree));
        let provider = Provider::start(&web);
        test(&Front::judging(&place, &provider), &provider, &tree);
    }
}

fn judge(place: &Place, provider: &Provider<'_>) -> String {
    let (home, socket) = (place.inside("mail"), place.inside("postfix/spool/gatepost/auth"));
    // It is inside the tree, where the provider's place is not.
    let authority = place.inside("authority.pem");
    std::fs::copy(provider.authority(), place.outside("authority.pem")).unwrap();
    let port = provider.wire().address().port();
    let url = format!("https://gatepost:gatepost-secret@localhost:{port}/token/introspection");
    let (passdb, userdb) = match place.tree().name() {
        "bookworm" => {
            let asked = format!(
                "introspection_url = {url}
introspection_mode = post
username_attribute = email
active_attribute = active
active_value = true
tls_ca_cert_file = {authority}
"
            );
            place.write("dovecot/oauth2.conf.ext", &asked);
            let arguments = place.inside("dovecot/oauth2.conf.ext");
            (
                format!(
                    "passdb {{\n  driver = oauth2\n  mechanisms = oauthbearer xoauth2\n  args = {arguments}\n}}"
                ),
                format!(
                    "userdb {{\n  driver = static\n  args = uid=5000 gid=5000 home={home}/%n allow_all_users=yes\n}}"
                ),
            )
        }
        _ => (
            format!(
                "ssl_client_ca_file = {authority}
oauth2_introspection_url = {url}
oauth2_introspection_mode = post
oauth2_username_attribute = email
oauth2_active_attribute = active
oauth2_active_value = true
passdb oauth2 {{
  mechanisms_filter = oauthbearer xoauth2
}}"
            ),
            format!(
                "userdb static {{
  allow_all_users = yes
  fields {{
    uid = 5000
    gid = 5000
    home = {home}/%{{user | username}}
  }}
}}"
            ),
        ),
    };
    format!(
        "auth_mechanisms = plain login oauthbearer xoauth2
auth_verbose = yes
auth_failure_delay = 0 secs
{passdb}
{userdb}
service auth {{
  unix_listener {socket} {{
    mode = 0666
  }}
}}
# Otherwise each failure makes everybody behind the same address wait.
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"
    )
}
