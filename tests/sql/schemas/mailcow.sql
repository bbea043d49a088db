-- The tables of mailcow that gatepost reads, as its init_db.inc.php makes them (db_version 19022026_1220), with the
-- server's collation of its my.cnf, and mailboxes such as an administrator has them.
ALTER DATABASE mail CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE domain (
  domain VARCHAR(255) NOT NULL,
  description VARCHAR(255),
  aliases INT(10) NOT NULL DEFAULT '0',
  mailboxes INT(10) NOT NULL DEFAULT '0',
  defquota BIGINT(20) NOT NULL DEFAULT '3072',
  maxquota BIGINT(20) NOT NULL DEFAULT '102400',
  quota BIGINT(20) NOT NULL DEFAULT '102400',
  relayhost VARCHAR(255) NOT NULL DEFAULT '0',
  backupmx TINYINT(1) NOT NULL DEFAULT '0',
  gal TINYINT(1) NOT NULL DEFAULT '1',
  relay_all_recipients TINYINT(1) NOT NULL DEFAULT '0',
  relay_unknown_only TINYINT(1) NOT NULL DEFAULT '0',
  created DATETIME(0) NOT NULL DEFAULT NOW(0),
  modified DATETIME ON UPDATE CURRENT_TIMESTAMP,
  active TINYINT(1) NOT NULL DEFAULT '1',
  PRIMARY KEY (domain)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

CREATE TABLE mailbox (
  username VARCHAR(255) NOT NULL,
  password VARCHAR(255) NOT NULL,
  name VARCHAR(255),
  description VARCHAR(255),
  mailbox_path_prefix VARCHAR(150) DEFAULT '/var/vmail/',
  quota BIGINT(20) NOT NULL DEFAULT '102400',
  local_part VARCHAR(255) NOT NULL,
  domain VARCHAR(255) NOT NULL,
  attributes JSON,
  custom_attributes JSON NOT NULL DEFAULT ('{}'),
  kind VARCHAR(100) NOT NULL DEFAULT '',
  multiple_bookings INT NOT NULL DEFAULT -1,
  authsource ENUM('mailcow', 'keycloak', 'generic-oidc', 'ldap') DEFAULT 'mailcow',
  created DATETIME(0) NOT NULL DEFAULT NOW(0),
  modified DATETIME ON UPDATE CURRENT_TIMESTAMP,
  active TINYINT(1) NOT NULL DEFAULT '1',
  PRIMARY KEY (username),
  KEY domain (domain),
  KEY kind (kind)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

CREATE TABLE alias_domain (
  alias_domain VARCHAR(255) NOT NULL,
  target_domain VARCHAR(255) NOT NULL,
  created DATETIME(0) NOT NULL DEFAULT NOW(0),
  modified DATETIME ON UPDATE CURRENT_TIMESTAMP,
  active TINYINT(1) NOT NULL DEFAULT '1',
  PRIMARY KEY (alias_domain),
  KEY active (active),
  KEY target_domain (target_domain)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

CREATE TABLE app_passwd (
  id INT NOT NULL AUTO_INCREMENT,
  name VARCHAR(255) NOT NULL,
  mailbox VARCHAR(255) NOT NULL,
  domain VARCHAR(255) NOT NULL,
  password VARCHAR(255) NOT NULL,
  created DATETIME(0) NOT NULL DEFAULT NOW(0),
  modified DATETIME ON UPDATE CURRENT_TIMESTAMP,
  imap_access TINYINT(1) NOT NULL DEFAULT '1',
  smtp_access TINYINT(1) NOT NULL DEFAULT '1',
  dav_access TINYINT(1) NOT NULL DEFAULT '1',
  eas_access TINYINT(1) NOT NULL DEFAULT '1',
  pop3_access TINYINT(1) NOT NULL DEFAULT '1',
  sieve_access TINYINT(1) NOT NULL DEFAULT '1',
  active TINYINT(1) NOT NULL DEFAULT '1',
  PRIMARY KEY (id),
  KEY mailbox (mailbox),
  KEY password (password),
  KEY domain (domain),
  CONSTRAINT fk_username_app_passwd FOREIGN KEY (mailbox) REFERENCES mailbox (username) ON DELETE CASCADE ON UPDATE NO ACTION
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

CREATE TABLE tfa (
  id INT NOT NULL AUTO_INCREMENT,
  key_id VARCHAR(255) NOT NULL,
  username VARCHAR(255) NOT NULL,
  authmech ENUM('yubi_otp', 'u2f', 'hotp', 'totp', 'webauthn'),
  secret VARCHAR(255) DEFAULT NULL,
  keyHandle VARCHAR(1023) DEFAULT NULL,
  publicKey VARCHAR(4096) DEFAULT NULL,
  counter INT NOT NULL DEFAULT '0',
  certificate TEXT,
  active TINYINT(1) NOT NULL DEFAULT '0',
  PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

CREATE TABLE alias (
  id INT NOT NULL AUTO_INCREMENT,
  address VARCHAR(255) NOT NULL,
  goto TEXT NOT NULL,
  domain VARCHAR(255) NOT NULL,
  created DATETIME(0) NOT NULL DEFAULT NOW(0),
  modified DATETIME ON UPDATE CURRENT_TIMESTAMP,
  private_comment TEXT,
  public_comment TEXT,
  sogo_visible TINYINT(1) NOT NULL DEFAULT '1',
  internal TINYINT(1) NOT NULL DEFAULT '0',
  sender_allowed TINYINT(1) NOT NULL DEFAULT '1',
  active TINYINT(1) NOT NULL DEFAULT '1',
  PRIMARY KEY (id),
  UNIQUE KEY address (address),
  KEY domain (domain)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

CREATE TABLE sender_acl (
  id INT NOT NULL AUTO_INCREMENT,
  logged_in_as VARCHAR(255) NOT NULL,
  send_as VARCHAR(255) NOT NULL,
  external TINYINT(1) NOT NULL DEFAULT '0',
  PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

CREATE TABLE spamalias (
  address VARCHAR(255) NOT NULL,
  goto TEXT NOT NULL,
  description TEXT NOT NULL,
  created DATETIME(0) NOT NULL DEFAULT NOW(0),
  modified DATETIME ON UPDATE CURRENT_TIMESTAMP,
  validity INT(11),
  permanent TINYINT(1) NOT NULL DEFAULT '0',
  PRIMARY KEY (address)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

CREATE TABLE relayhosts (
  id INT NOT NULL AUTO_INCREMENT,
  hostname VARCHAR(255) NOT NULL,
  username VARCHAR(255) NOT NULL,
  password VARCHAR(255) NOT NULL,
  active TINYINT(1) NOT NULL DEFAULT '1',
  PRIMARY KEY (id),
  KEY hostname (hostname)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

CREATE TABLE transports (
  id INT NOT NULL AUTO_INCREMENT,
  destination VARCHAR(255) NOT NULL,
  nexthop VARCHAR(255) NOT NULL,
  username VARCHAR(255) NOT NULL DEFAULT '',
  password VARCHAR(255) NOT NULL DEFAULT '',
  is_mx_based TINYINT(1) NOT NULL DEFAULT '0',
  active TINYINT(1) NOT NULL DEFAULT '1',
  PRIMARY KEY (id),
  KEY destination (destination),
  KEY nexthop (nexthop)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

CREATE TABLE tls_policy_override (
  id INT NOT NULL AUTO_INCREMENT,
  dest VARCHAR(255) NOT NULL,
  policy ENUM('none', 'may', 'encrypt', 'dane', 'dane-only', 'fingerprint', 'verify', 'secure') NOT NULL,
  parameters VARCHAR(255) DEFAULT '',
  created DATETIME(0) NOT NULL DEFAULT NOW(0),
  modified DATETIME ON UPDATE CURRENT_TIMESTAMP,
  active TINYINT(1) NOT NULL DEFAULT '1',
  PRIMARY KEY (id),
  UNIQUE KEY dest (dest)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

CREATE TABLE recipient_maps (
  id INT NOT NULL AUTO_INCREMENT,
  old_dest VARCHAR(255) NOT NULL,
  new_dest VARCHAR(255) NOT NULL,
  created DATETIME(0) NOT NULL DEFAULT NOW(0),
  modified DATETIME ON UPDATE CURRENT_TIMESTAMP,
  active TINYINT(1) NOT NULL DEFAULT '0',
  PRIMARY KEY (id),
  KEY local_dest (old_dest)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

CREATE TABLE bcc_maps (
  id INT NOT NULL AUTO_INCREMENT,
  local_dest VARCHAR(255) NOT NULL,
  bcc_dest VARCHAR(255) NOT NULL,
  domain VARCHAR(255) NOT NULL,
  type ENUM('sender','rcpt'),
  created DATETIME(0) NOT NULL DEFAULT NOW(0),
  modified DATETIME ON UPDATE CURRENT_TIMESTAMP,
  active TINYINT(1) NOT NULL DEFAULT '0',
  PRIMARY KEY (id),
  KEY local_dest (local_dest)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

INSERT INTO domain (domain, description, active) VALUES
  ('example.test', 'Main', 1),
  ('closed.test', 'Switched off', 0);
INSERT INTO alias_domain (alias_domain, target_domain, active) VALUES
  ('alias.test', 'example.test', 1),
  ('former.test', 'example.test', 0);

SET @all = '{"force_pw_update":"0","force_tfa":"0","tls_enforce_in":"0","tls_enforce_out":"0","sogo_access":"1","imap_access":"1","pop3_access":"1","smtp_access":"1","sieve_access":"1","eas_access":"1","dav_access":"1","relayhost":"0","passwd_update":"2026-01-02 03:04:05","mailbox_format":"maildir:","quarantine_notification":"hourly","quarantine_category":"reject"}';
SET @main = '{BLF-CRYPT}$2y$05$ybJvpbJbYb4z53gPwO/14.P50zI2IboeA40HT0oviVymR7HZ7bwga';
SET @phone = '{BLF-CRYPT}$2y$05$EPPtgQvmqjX.UhykhD4UZu0DHZEIUq/xQ1AyVzV374nvmZEmv5fya';
SET @laptop = '{BLF-CRYPT}$2y$05$3FNQvbZXq9zVt1vnnKLvHO3qgHWoAntGcdgci4mIH6pd0bry9bP.m';

-- Everybody's main password is moohoo.
INSERT INTO mailbox (username, password, name, quota, local_part, domain, attributes, kind, authsource, active) VALUES
  ('alice@example.test', @main, 'Alice', 3221225472, 'alice', 'example.test', @all, '', 'mailcow', 1),
  ('boxonly@example.test', @main, 'Gets mail only', 0, 'boxonly', 'example.test', @all, '', 'mailcow', 2),
  ('gone@example.test', @main, 'Switched off', 0, 'gone', 'example.test', @all, '', 'mailcow', 0),
  ('closed@closed.test', @main, 'Of a domain that is switched off', 0, 'closed', 'closed.test', @all, '', 'mailcow', 1),
  ('imaponly@example.test', @main, 'IMAP only', 0, 'imaponly', 'example.test',
    JSON_SET(@all, '$.pop3_access', '0', '$.smtp_access', '0', '$.sieve_access', '0'), '', 'mailcow', 1),
  ('apponly@example.test', @main, 'App passwords only', 0, 'apponly', 'example.test',
    JSON_SET(@all, '$.imap_access', '0', '$.pop3_access', '0', '$.smtp_access', '0', '$.sieve_access', '0'), '', 'mailcow', 1),
  ('old@example.test', @main, 'From before there were switches', 0, 'old', 'example.test', '{}', '', 'mailcow', 1),
  ('factor@example.test', @main, 'With a second factor', 0, 'factor', 'example.test', @all, '', 'mailcow', 1),
  ('far@example.test', @main, 'From LDAP', 0, 'far', 'example.test', @all, '', 'ldap', 1),
  ('room@example.test', @main, 'A room', 0, 'room', 'example.test', @all, 'location', 'mailcow', 1);
INSERT INTO tfa (key_id, username, authmech, active) VALUES
  ('phone', 'factor@example.test', 'totp', 1),
  ('former', 'alice@example.test', 'totp', 0);
INSERT INTO app_passwd (name, mailbox, domain, password, imap_access, pop3_access, smtp_access, sieve_access, active) VALUES
  ('Phone', 'alice@example.test', 'example.test', @phone, 1, 0, 1, 0, 1),
  ('Laptop, lost', 'alice@example.test', 'example.test', @laptop, 1, 1, 1, 1, 0),
  ('Phone', 'apponly@example.test', 'example.test', @phone, 1, 1, 1, 1, 1),
  ('Phone', 'factor@example.test', 'example.test', @phone, 1, 1, 1, 1, 1),
  ('Phone', 'boxonly@example.test', 'example.test', @phone, 1, 1, 1, 1, 1);

-- What mailcow makes for each mailbox, and not for resources.
INSERT INTO alias (address, goto, domain, active) SELECT username, username, domain, active FROM mailbox WHERE kind = '';
