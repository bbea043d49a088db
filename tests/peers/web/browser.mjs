// A person before Chromium, who uses webmail as a test says.
//
//   node browser.mjs HOME
//
// Reads a line of JSON, {"does": NAME, "how": {...}}, for each thing to do, which are the functions of `can`, and writes
// a line when it is done: {"sees": VALUE}, or {"failed": WHY}. In between it writes a dot every few seconds. The
// authorities in the NSS database of HOME are trusted.

import readline from 'node:readline';
import { chromium } from 'playwright-core';

const say = (what) => console.log(JSON.stringify(what));
setInterval(() => console.log('.'), 5000).unref();

// What would look for servers elsewhere is off. /dev/shm is not there.
const flags = `--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
  --disable-component-update --disable-sync --disable-dev-shm-usage`;
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: flags.split(/\s+/),
  env: { ...process.env, HOME: process.argv[2] },
  timeout: 120_000,
});
const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
const page = await context.newPage();
// Two cores may run many servers meanwhile.
page.setDefaultTimeout(60_000);
page.on('dialog', (dialog) => dialog.accept());

const rows = () => page.locator('#messagelist tr.message');
const quiet = () => page.waitForLoadState('networkidle');

async function listed() {
  await rows().first().waitFor();
  await quiet();
  const subjects = await page.locator('#messagelist tr.message td.subject .subject').allInnerTexts();
  return subjects.map((subject) => subject.trim());
}

const can = {
  // Asks webmail for a login by single sign-on, and sees the provider's form.
  async visit({ url }) {
    await page.goto(url);
    await page.click('#rcmloginoauth');
    await page.locator('input[name=login]').waitFor();
    return page.url();
  },

  // Sees what webmail is to be allowed.
  async sign_in({ login, password }) {
    await page.fill('input[name=login]', login);
    await page.fill('input[name=password]', password);
    await page.click('button');
    const consent = page.locator('h1:has-text("Grant access")');
    await consent.or(page.locator('.refused')).waitFor();
    return page.innerText('body');
  },

  // Sees the subjects in the inbox.
  async allow() {
    await page.click('button');
    return listed();
  },

  // Opens the message in this row, and sees its text once it is the one that has `text` in it: the one before stands
  // there until then.
  async read({ row, text }) {
    await page.locator('#messagelist tr.message td.subject').nth(row).click();
    const body = page.frameLocator('#messagecontframe').locator('#messagebody', { hasText: text });
    await body.waitFor();
    await quiet();
    return body.innerText();
  },

  // By the button, which asks for new mail.
  async refresh() {
    const asked = page.waitForResponse((response) => /_action=(refresh|check-recent)/.test(response.url()));
    await page.click('a.refresh, a.checkmail');
    await asked;
    return listed();
  },

  // By the browser, which asks for everything anew. Sees whatever is there then.
  async reload() {
    await page.reload();
    await quiet();
    return page.innerText('body');
  },

  async send({ url, to, subject, text }) {
    await page.goto(`${url}?_task=mail&_action=compose`);
    await page.locator('#compose-subject').waitFor();
    await quiet();
    // Elastic shows a field of its own in place of this one.
    await page.evaluate((to) => { document.querySelector('#_to').value = to; }, to);
    await page.fill('#compose-subject', subject);
    await page.fill('#composebody', text);
    await page.click('a.send, button.send');
    await page.waitForURL((url) => !url.search.includes('compose'));
    return listed();
  },

  // Opens the page of filters. Sees whatever is there then.
  async filters({ url }) {
    await page.goto(`${url}?_task=settings`);
    await page.click('#settings-menu a.filter');
    await page.locator('#filterslist').waitFor({ state: 'attached' });
    await quiet();
    return page.innerText('body');
  },

  // There, has messages with this word in their subject moved to a folder from now on. Sees the names of all filters.
  async filter({ name, word, folder }) {
    await page.click('#layout-content a.create:not(.disabled)');
    const form = page.frameLocator('#filter-box');
    await form.locator('#_name').fill(name);
    // The script of the page has made a list of lines of the field.
    await form.locator('input[name="_rule_target[0][]"]').fill(word);
    await form.locator('select[name="_action_mailbox[0]"]').selectOption(folder);
    await form.locator('button.submit').click();
    await page.locator('#filterslist td', { hasText: name }).waitFor();
    await quiet();
    return page.locator('#filterslist td.name').allInnerTexts();
  },

  async picture({ file }) {
    await page.screenshot({ path: file });
  },
};

say({ sees: await browser.version() });
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { does, how } = JSON.parse(line);
  try {
    say({ sees: (await can[does](how)) ?? null });
  } catch (error) {
    const seen = await page.innerText('body').catch(() => '');
    say({ failed: `${does}: ${error.message}\nat ${page.url()}\n${seen.slice(0, 2000)}` });
  }
}
await browser.close();
