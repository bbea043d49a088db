-- What Postfix asks mailcow's tables for: one row for each case, beside those of tests/sql/schemas/mailcow.sql.
-- An administrator's domains: one with a relay host and a catch-all, and three that are relayed.
INSERT INTO domain (domain, relayhost, backupmx, relay_all_recipients, relay_unknown_only, active) VALUES
  ('second.test', '1', 0, 0, 0, 1),
  ('backup.test', '0', 1, 0, 0, 1),
  ('inner.test', '0', 1, 1, 1, 1),
  ('former-backup.test', '0', 1, 1, 0, 0);
INSERT INTO alias_domain (alias_domain, target_domain) VALUES ('deux.test', 'second.test');

INSERT INTO relayhosts (id, hostname, username, password, active) VALUES
  (1, '[relay.test]:587', 'relay', 'relay-secret', 1),
  (2, '[open-relay.test]', '', '', 1),
  (3, '[third-relay.test]:587', 'third', 'third-secret', 1),
  (4, '[former-relay.test]', 'former', 'former-secret', 0);

-- Everybody's password is moohoo.
INSERT INTO mailbox (username, password, name, local_part, domain, attributes)
SELECT username, (SELECT password FROM mailbox WHERE username = 'alice@example.test'), name,
       SUBSTRING_INDEX(username, '@', 1), SUBSTRING_INDEX(username, '@', -1),
       JSON_SET((SELECT attributes FROM mailbox WHERE username = 'alice@example.test'),
                '$.relayhost', relayhost, '$.tls_enforce_in', tls_in, '$.tls_enforce_out', tls_out)
  FROM (SELECT 'bob@example.test' AS username, 'Bob' AS name, '0' AS relayhost, '0' AS tls_in, '0' AS tls_out
        UNION SELECT 'boss@example.test', 'Sends as everybody of a domain', '0', '0', '0'
        UNION SELECT 'root@example.test', 'Sends as everybody', '0', '0', '0'
        UNION SELECT 'secure@example.test', 'TLS both ways', '0', '1', '1'
        UNION SELECT 'third@example.test', 'A relay host, and TLS', '3', '0', '1'
        UNION SELECT 'former@example.test', 'A relay host that is switched off', '4', '0', '0'
        UNION SELECT 'dora@second.test', 'Has the catch-all', '0', '0', '0'
        UNION SELECT 'open@second.test', 'A relay host without password', '2', '0', '0'
        UNION SELECT 'known@inner.test', 'A mailbox of a relayed domain', '0', '0', '0') people;
INSERT INTO alias (address, goto, domain)
SELECT username, username, domain FROM mailbox WHERE username NOT IN (SELECT address FROM alias) AND kind = '';

INSERT INTO alias (address, goto, domain, sender_allowed, active) VALUES
  ('sales@example.test', 'alice@example.test,bob@example.test', 'example.test', 1, 1),
  ('quiet@example.test', 'alice@example.test', 'example.test', 1, 2),
  ('off@example.test', 'alice@example.test', 'example.test', 1, 0),
  ('noreply@example.test', 'alice@example.test', 'example.test', 0, 1),
  ('press@example.test', 'sales@example.test', 'example.test', 1, 1),
  ('orders@alias.test', 'bob@example.test', 'alias.test', 1, 1),
  ('orders@former.test', 'bob@example.test', 'former.test', 1, 1),
  ('mute@second.test', 'bob@example.test', 'second.test', 0, 1),
  ('@second.test', 'dora@second.test', 'second.test', 1, 1),
  ('listed@backup.test', 'listed@elsewhere.test', 'backup.test', 1, 1),
  ('unlisted@backup.test', 'unlisted@elsewhere.test', 'backup.test', 1, 0),
  ('old@closed.test', 'alice@example.test', 'closed.test', 1, 1);
INSERT INTO spamalias (address, goto, description, validity, permanent) VALUES
  ('now@example.test', 'alice@example.test', '', UNIX_TIMESTAMP() + 3600, 0),
  ('over@example.test', 'alice@example.test', '', UNIX_TIMESTAMP() - 3600, 0),
  ('ever@example.test', 'alice@example.test', '', UNIX_TIMESTAMP() - 3600, 1);
INSERT INTO sender_acl (logged_in_as, send_as, external) VALUES
  ('bob@example.test', 'secure@example.test', 0),
  ('alice@example.test', 'secure@example.test', 0),
  ('boss@example.test', '@example.test', 0),
  ('root@example.test', '*', 0),
  ('bob@example.test', 'partner@elsewhere.test', 1),
  ('bob@example.test', '@all.elsewhere.test', 1);

INSERT INTO transports (destination, nexthop, username, password, is_mx_based, active) VALUES
  ('far.test', '[gateway.test]:587', 'gateway', 'gateway-secret', 0, 1),
  ('.far.test', '[below.test]', '', '', 0, 1),
  ('vip@far.test', '[vip.test]', '', '', 0, 1),
  ('*', '[switched-off.test]', '', '', 0, 0),
  ('\\.mx\\.test$', '[by-mx.test]', '', '', 1, 1),
  ('^127\\.0\\.0\\.', '[by-address.test]', '', '', 1, 1),
  ('^mail\\.', '[switched-off.test]', '', '', 1, 0);
INSERT INTO tls_policy_override (dest, policy, parameters, active) VALUES
  ('far.test', 'encrypt', '', 1),
  ('.far.test', 'secure', 'match=far.test', 1),
  ('[gateway.test]:587', 'verify', NULL, 1),
  ('former.test', 'none', '', 0);
INSERT INTO recipient_maps (old_dest, new_dest, active) VALUES
  ('wrong@elsewhere.test', 'right@elsewhere.test', 1),
  ('@moved.test', 'all@elsewhere.test', 1),
  ('former@elsewhere.test', 'x@elsewhere.test', 0);
INSERT INTO bcc_maps (local_dest, bcc_dest, domain, type, active) VALUES
  ('alice@example.test', 'archive@example.test', 'example.test', 'sender', 1),
  ('@second.test', 'archive@second.test', 'second.test', 'rcpt', 1),
  ('bob@example.test', 'former@example.test', 'example.test', 'rcpt', 0);
