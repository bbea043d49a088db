// Who logs in at the provider, and which programs ask it.

import crypto from 'node:crypto';

// By `sub`, which is no name that a mail server knows.
export const people = {
  'id-1': { sub: 'id-1', login: 'alice', password: 'wonder', verified: true },
  'id-2': { sub: 'id-2', login: 'bob', password: 'builder', verified: true },
  'id-3': { sub: 'id-3', login: 'carol', password: 'carol', verified: true },
  // Nobody has looked whether this address is theirs.
  'id-4': { sub: 'id-4', login: 'mallory', password: 'mallory', verified: false },
  // In no directory of a mail server.
  'id-5': { sub: 'id-5', login: 'newcomer', password: 'newcomer', verified: true },
};

// So many more: user0, user1 ..., whose password is their name.
export function crowd(count) {
  for (let number = 0; number < count; number += 1) {
    const [sub, login] = [`crowd-${number}`, `user${number}`];
    people[sub] = { sub, login, password: login, verified: true };
  }
}

const emailOf = (person) => `${person.login}@example.test`;

// By their login or their address.
export const find = (name) =>
  Object.values(people).find((person) => [person.login, emailOf(person)].includes(name));

export function claimsOf(sub) {
  const person = people[sub];
  return person && { sub, email: emailOf(person), email_verified: person.verified };
}

const without = { redirect_uris: [], response_types: [], grant_types: [] };
const basic = { token_endpoint_auth_method: 'client_secret_basic' };
const post = { token_endpoint_auth_method: 'client_secret_post' };

// `key` is the one that gatepost may sign its statements with, in PEM.
export const clients = (redirects, key) => [
  {
    client_id: 'webmail',
    client_secret: 'webmail-secret',
    redirect_uris: redirects,
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'client_secret_post',
  },
  // Gets the tokens of the tests.
  { ...without, client_id: 'tests', client_secret: 'tests-secret', grant_types: ['password'], ...post },
  // May introspect, and try passwords; once for each way of saying who it is.
  { ...without, client_id: 'gatepost', client_secret: 'gatepost-secret', grant_types: ['password'], ...basic },
  { ...without, client_id: 'gatepost-post', client_secret: 'gatepost-secret', ...post },
  // RFC 6749 2.3.1: both are form-encoded before they are put into the header.
  { ...without, client_id: 'gatepost+odd', client_secret: 'a:b/c+d%e&f', ...basic },
  {
    ...without,
    client_id: 'gatepost-signed',
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'ES256',
    jwks: { keys: [crypto.createPublicKey(key).export({ format: 'jwk' })] },
  },
];
