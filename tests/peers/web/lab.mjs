// What a test may do to the provider, in JSON:
//
//   GET  /lab/counts                             how often each endpoint was asked so far
//   POST /lab/mood    {delay, status, html}      until the next mood, everything waits so many ms, and is answered
//                                                with this status and page instead of by the provider; {} is well
//   POST /lab/rotate  {keep}                     sign with new keys; publish the old ones, or not
//   POST /lab/revoke  {user}                     end all access tokens of somebody, whoever has them
//   POST /lab/forge   {header, claims, signer}   a JWT that the provider would not give; a claim that is null is left out

import { setTimeout as sleep } from 'node:timers/promises';
import { text } from 'node:stream/consumers';

import { find } from './people.mjs';
import { revoke } from './shelf.mjs';

const endpoints = {
  '/.well-known/openid-configuration': 'discovery',
  '/jwks': 'jwks',
  '/me': 'userinfo',
  '/token': 'token',
  '/token/introspection': 'introspection',
  '/token/revocation': 'revocation',
};

export class Lab {
  #counts = Object.fromEntries(Object.values(endpoints).map((name) => [name, 0]));
  #mood = {};
  #issuer;
  #keys;
  #reopen;

  constructor(issuer, keys, reopen) {
    this.#issuer = issuer;
    this.#keys = keys;
    this.#reopen = reopen;
  }

  async handle(request, response, answer) {
    const { pathname } = new URL(request.url, this.#issuer);
    if (pathname.startsWith('/lab/')) {
      const asked = await text(request);
      const told = this[pathname.slice('/lab/'.length)](asked ? JSON.parse(asked) : {});
      response.setHeader('content-type', 'application/json').end(JSON.stringify(told ?? {}));
      return;
    }
    if (pathname in endpoints) this.#counts[endpoints[pathname]] += 1;
    const { delay, status, html } = this.#mood;
    if (delay) await sleep(delay);
    if (html === undefined) return answer();
    response.writeHead(status, { 'content-type': 'text/html' }).end(html);
  }

  counts() {
    return this.#counts;
  }

  mood(mood) {
    this.#mood = mood;
  }

  rotate({ keep }) {
    this.#keys.rotate(keep);
    this.#reopen();
  }

  revoke({ user }) {
    revoke(find(user).sub);
  }

  forge({ header, claims, signer }) {
    const now = Math.floor(Date.now() / 1000);
    const usual = {
      iss: this.#issuer,
      sub: 'id-1',
      aud: 'gatepost',
      iat: now,
      exp: now + 3600,
      jti: `forged-${now}-${Math.random()}`,
      client_id: 'tests',
      scope: 'email',
      email: 'alice@example.test',
      email_verified: true,
    };
    const wanted = Object.entries({ ...usual, ...claims }).filter(([, value]) => value !== null);
    return { token: this.#keys.forge(header, Object.fromEntries(wanted), signer) };
  }
}
