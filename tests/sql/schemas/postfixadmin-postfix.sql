-- What Postfix asks PostfixAdmin's tables for: one row for each case, beside those of postfixadmin.sql.
INSERT INTO domain (domain, description, transport, backupmx, active) VALUES
  ('second.test', 'With a catch-all', 'virtual', 0, 1),
  ('backup.test', 'Backup MX', '', 1, 1),
  ('inner.test', 'Relayed', 'smtp:[inner.test]', 0, 1),
  ('listed.test', 'Relayed, with addresses', 'relay:[listed.test]', 0, 1),
  ('lists.test', 'Another program here', 'mailman:', 0, 1),
  ('former-backup.test', 'Switched off', '', 1, 0);
INSERT INTO alias_domain (alias_domain, target_domain) VALUES ('deux.test', 'second.test');

-- Her password is that of bob.
INSERT INTO mailbox (username, password, name, maildir, local_part, domain)
SELECT 'dora@second.test', password, 'Dora', 'second.test/dora/', 'dora', 'second.test' FROM mailbox WHERE username = 'bob@example.test';
INSERT INTO alias (address, goto, domain) VALUES ('dora@second.test', 'dora@second.test', 'second.test');

-- Bob forwards his mail to Alice, and keeps it.
UPDATE alias SET goto = 'bob@example.test,alice@example.test' WHERE address = 'bob@example.test';
INSERT INTO alias (address, goto, domain, active) VALUES
  ('sales@example.test', 'alice@example.test,bob@example.test', 'example.test', 1),
  ('shop@example.test', 'sales@example.test', 'example.test', 1),
  ('off@example.test', 'alice@example.test', 'example.test', 0),
  ('away@example.test', 'away@elsewhere.test', 'example.test', 1),
  ('@second.test', 'dora@second.test', 'second.test', 1),
  ('list@lists.test', 'list@lists.test', 'lists.test', 1),
  ('known@listed.test', 'known@listed.test', 'listed.test', 1);
