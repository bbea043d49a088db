-- The tables of PostfixAdmin 3.3 that gatepost reads, with mailboxes such as an administrator has them.
CREATE TABLE domain (
  domain VARCHAR(255) NOT NULL,
  description VARCHAR(255) CHARACTER SET utf8 NOT NULL,
  aliases INT(10) NOT NULL DEFAULT '0',
  mailboxes INT(10) NOT NULL DEFAULT '0',
  maxquota BIGINT(20) NOT NULL DEFAULT '0',
  quota BIGINT(20) NOT NULL DEFAULT '0',
  transport VARCHAR(255) NOT NULL,
  backupmx TINYINT(1) NOT NULL DEFAULT '0',
  created DATETIME NOT NULL DEFAULT '2000-01-01 00:00:00',
  modified DATETIME NOT NULL DEFAULT '2000-01-01 00:00:00',
  active TINYINT(1) NOT NULL DEFAULT '1',
  password_expiry INT(11) DEFAULT 0,
  PRIMARY KEY (domain)
) DEFAULT CHARSET=latin1 COMMENT='Postfix Admin - Virtual Domains';

CREATE TABLE mailbox (
  username VARCHAR(255) NOT NULL,
  password VARCHAR(255) NOT NULL,
  name VARCHAR(255) CHARACTER SET utf8 NOT NULL,
  maildir VARCHAR(255) NOT NULL,
  quota BIGINT(20) NOT NULL DEFAULT '0',
  local_part VARCHAR(255) NOT NULL,
  domain VARCHAR(255) NOT NULL,
  created DATETIME NOT NULL DEFAULT '2000-01-01 00:00:00',
  modified DATETIME NOT NULL DEFAULT '2000-01-01 00:00:00',
  active TINYINT(1) NOT NULL DEFAULT '1',
  phone VARCHAR(30) CHARACTER SET utf8 NOT NULL DEFAULT '',
  email_other VARCHAR(255) CHARACTER SET utf8 NOT NULL DEFAULT '',
  token VARCHAR(255) CHARACTER SET utf8 NOT NULL DEFAULT '',
  token_validity DATETIME NOT NULL DEFAULT '2000-01-01 00:00:00',
  password_expiry DATETIME NOT NULL DEFAULT '2000-01-01 00:00:00',
  PRIMARY KEY (username),
  KEY domain (domain)
) DEFAULT CHARSET=latin1 COMMENT='Postfix Admin - Virtual Mailboxes';

CREATE TABLE alias_domain (
  alias_domain VARCHAR(255) NOT NULL DEFAULT '',
  target_domain VARCHAR(255) NOT NULL DEFAULT '',
  created DATETIME NOT NULL DEFAULT '2000-01-01 00:00:00',
  modified DATETIME NOT NULL DEFAULT '2000-01-01 00:00:00',
  active TINYINT(1) NOT NULL DEFAULT '1',
  PRIMARY KEY (alias_domain),
  KEY active (active),
  KEY target_domain (target_domain)
) DEFAULT CHARSET=latin1 COMMENT='Postfix Admin - Domain Aliases';

CREATE TABLE alias (
  address VARCHAR(255) NOT NULL,
  goto TEXT NOT NULL,
  domain VARCHAR(255) NOT NULL,
  created DATETIME NOT NULL DEFAULT '2000-01-01 00:00:00',
  modified DATETIME NOT NULL DEFAULT '2000-01-01 00:00:00',
  active TINYINT(1) NOT NULL DEFAULT '1',
  PRIMARY KEY (address),
  KEY domain (domain)
) DEFAULT CHARSET=latin1 COMMENT='Postfix Admin - Virtual Aliases';

INSERT INTO domain (domain, description, transport, active) VALUES
  ('ALL', '', '', 1), ('example.test', 'Main', 'virtual', 1), ('closed.test', 'Switched off', 'virtual', 0);
INSERT INTO alias_domain (alias_domain, target_domain, active) VALUES
  ('alias.test', 'example.test', 1), ('former.test', 'example.test', 0);

INSERT INTO mailbox (username, password, name, maildir, quota, local_part, domain, active) VALUES
  ('alice@example.test', '$6$rounds=1000$69u8WrF1xOI.6d1s$sJ5zDY6UuxJkdbunTHgDr1LhbOFPJhFLW.GdD32H5Nr87YNKvyj5rWIJAqFqG7RwR.5q7IunjjPaj8Otu71A7/',
    'Alice', 'example.test/alice/', 1048576, 'alice', 'example.test', 1),
  ('bob@example.test', '{BLF-CRYPT}$2y$05$ybJvpbJbYb4z53gPwO/14.P50zI2IboeA40HT0oviVymR7HZ7bwga',
    'Bob', 'example.test/bob/', 0, 'bob', 'example.test', 1),
  ('old@example.test', '$1$fhnTAKUp$hy/kwGbGKR34t0ld/7YPN0', 'Old', 'example.test/old/', 0, 'old', 'example.test', 1),
  ('gone@example.test', '$1$fhnTAKUp$hy/kwGbGKR34t0ld/7YPN0', 'Gone', 'example.test/gone/', 0, 'gone', 'example.test', 0),
  ('closed@closed.test', '$1$fhnTAKUp$hy/kwGbGKR34t0ld/7YPN0', 'Closed', 'closed.test/closed/', 0, 'closed', 'closed.test', 1);

-- What PostfixAdmin makes for each mailbox.
INSERT INTO alias (address, goto, domain, active) SELECT username, username, domain, active FROM mailbox;
