"""What tests/bench/cache measures: the same directory behind gatepost and behind Dovecot, with everybody's cache on."""

from servers import Dovecot, Gatepost

# Times to keep are so long, for everybody, that nothing runs out in a benchmark.

DOVECOT = """\
base_dir = {place}/run
state_dir = {place}/state
log_path = {place}/dovecot.log
protocols =
ssl = no
auth_mechanisms = plain
auth_failure_delay = 0
auth_cache_size = 1G
auth_cache_ttl = 12 hours
auth_cache_negative_ttl = 12 hours
default_vsz_limit = 4G
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""

DOVECOT_2_3 = DOVECOT + """\
passdb {{
  driver = DRIVER
  args = {place}/passdb.conf
}}
userdb {{
  driver = static
  args = uid=5000 gid=5000 home=/srv/mail/%u
}}
"""

DOVECOT_2_3_PASSDB = {
    "sql": """\
driver = mysql
connect = host=127.0.0.1 port=PORT dbname=mail user=gatepost password=service-secret
password_query = SELECT username AS user, password FROM mailbox WHERE username = '%u'
""",
    "ldap": """\
hosts = 127.0.0.1:PORT
dn = cn=service,dc=example,dc=org
dnpass = service-secret
auth_bind = yes
base = ou=people,dc=example,dc=org
scope = onelevel
pass_filter = (mail=%u)
pass_attrs = mail=user
""",
}

DOVECOT_2_4 = """\
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
auth_allow_weak_schemes = yes
""" + DOVECOT + """\
userdb static {{
  fields {{
    uid = 5000
    gid = 5000
    home = /srv/mail/%{{user}}
  }}
}}
"""

DOVECOT_2_4_PASSDB = {
    "sql": """\
sql_driver = mysql
mysql 127.0.0.1 {{
  port = PORT
  dbname = mail
  user = gatepost
  password = service-secret
}}
passdb sql {{
  query = SELECT username AS user, password FROM mailbox WHERE username = '%{{user}}'
}}
""",
    "ldap": """\
ldap_uris = ldap://127.0.0.1:PORT
ldap_auth_dn = cn=service,dc=example,dc=org
ldap_auth_dn_password = service-secret
ldap_base = ou=people,dc=example,dc=org
ldap_scope = onelevel
passdb ldap {{
  ldap_bind = yes
  ldap_filter = (mail=%{{user}})
  fields {{
    user = %{{ldap:mail}}
  }}
}}
""",
}

GATEPOST = """\
[server]
state_dir = "{place}/state"
runtime_dir = "{place}/run"
[sasl]
failure_delay = "0s"
[log]
filter = "FILTER"
[cache]
CACHE
[[listener]]
protocol = "dovecot-client"
path = "{place}/run/auth-client"
[[directory]]
name = "people"
"""

GATEPOST_DIRECTORY = {
    "sql": """\
type = "mysql"
url = "mysql://gatepost@127.0.0.1:PORT/mail"
password = "service-secret"
user_query = "SELECT username AS user, password FROM mailbox WHERE username = :user"
""",
    "ldap": """\
type = "ldap"
urls = ["ldap://127.0.0.1:PORT"]
bind_dn = "cn=service,dc=example,dc=org"
bind_password = "service-secret"
base_dn = "ou=people,dc=example,dc=org"
scope = "one"
user_filter = "(mail={user})"
password = "bind"
[directory.fields]
user = "{mail}"
""",
    "sqlite": """\
type = "sqlite"
file = "FILE"
user_query = "SELECT username AS user, password FROM mailbox WHERE username = :user"
""",
    "sqlite, fields": """\
type = "sqlite"
file = "FILE"
user_query = "SELECT username AS user, password, 5000 AS uid, 5000 AS gid, home FROM mailbox WHERE username = :user"
""",
}


def dovecot(version, kind, port):
    suite, config, passdb = {
        "2.3": ("bookworm", DOVECOT_2_3.replace("DRIVER", kind), DOVECOT_2_3_PASSDB),
        "2.4": ("trixie", DOVECOT_2_4 + DOVECOT_2_4_PASSDB[kind], None),
    }[version]
    files = {"passdb.conf": passdb[kind].replace("PORT", str(port))} if passdb else {}
    return Dovecot(f"Dovecot {version}", suite, config.replace("PORT", str(port)), files=files)


def gatepost(binary, kind, port=None, file=None, filter="info", name="gatepost", **cache):
    """With `ttl = "0s"` its cache is off."""
    pairs = {"ttl": "12h", "negative_ttl": "1h", "max_memory": "1GiB", **cache}
    config = GATEPOST.replace("FILTER", filter).replace("CACHE", "\n".join(f'{k} = "{v}"' for k, v in pairs.items()))
    config += GATEPOST_DIRECTORY[kind].replace("PORT", str(port)).replace("FILE", str(file))
    return Gatepost(name, binary, config)
