// The OpenID provider of the tests: the certified npm package `oidc-provider`, over TLS, with people, clients and
// keys of its own.
//
//   node provider.mjs SETTINGS.json
//
// The settings: `issuer`; `address` and `port` to listen on, which may stand behind a proxy; `certificate`, `key`,
// `client_key` (gatepost's) and `keys` (what it signs with, made where there are none) are paths; `redirects` are the
// URLs where webmail is; `crowd` is how many people there are besides those of people.mjs, none by default.
//
// What a test may do to it besides is below /lab/, see lab.mjs. What it knows is kept in memory and ends with it,
// but for its keys.

import fs from 'node:fs';
import https from 'node:https';
import { errors, Provider } from 'oidc-provider';

import { claimsOf, clients, crowd, find, people } from './people.mjs';
import { Keys } from './keys.mjs';
import { Lab } from './lab.mjs';
import { interaction } from './pages.mjs';
import { Shelf } from './shelf.mjs';

const settings = JSON.parse(fs.readFileSync(process.argv[2]));
const keys = new Keys(settings.keys);
crowd(settings.crowd ?? 0);

// An access token is for a resource, whose name says what the token is to be: `urn:FORMAT:AUDIENCE`, where the format
// is `opaque` or the algorithm of a JWT. Tokens for no resource have no audience.
function resource(_ctx, name) {
  const [, format, audience] = name.split(':');
  const opaque = format === 'opaque';
  return {
    audience,
    scope: 'email mail',
    accessTokenFormat: opaque ? 'opaque' : 'jwt',
    ...(opaque ? {} : { jwt: { sign: { alg: format } } }),
  };
}

// RFC 6749 4.3, which the package has not. With `lifetime` and `resource` besides, it is how tests get any token by
// one call. Nothing comes after it: `next` would answer 404.
async function password(ctx) {
  const { client, params, provider } = ctx.oidc;
  const person = find(params.username);
  if (!person || person.password !== params.password) {
    throw new errors.InvalidGrant('nobody has this name and password');
  }
  const accountId = person.sub;
  const grant = new provider.Grant({ accountId, clientId: client.clientId });
  grant.addOIDCScope('openid email');
  if (params.resource) grant.addResourceScope(params.resource, 'email mail');
  const token = new provider.AccessToken({
    accountId,
    client,
    grantId: await grant.save(),
    gty: 'password',
    scope: params.scope,
    expiresIn: Number(params.lifetime ?? 3600),
  });
  if (params.resource) {
    token.resourceServer = new provider.ResourceServer(params.resource, resource(ctx, params.resource));
  }
  ctx.oidc.entity('AccessToken', token);
  ctx.body = {
    access_token: await token.save(),
    expires_in: token.expiration,
    token_type: token.tokenType,
    scope: token.scope,
  };
}

function open() {
  const provider = new Provider(settings.issuer, {
    adapter: Shelf,
    clients: clients(settings.redirects, fs.readFileSync(settings.client_key)),
    jwks: keys.signing(),
    cookies: { keys: ['nobody is to be kept out'] },
    scopes: ['openid', 'offline_access', 'email'],
    claims: { openid: ['sub'], email: ['email', 'email_verified'] },
    findAccount: (_ctx, sub) => people[sub] && { accountId: sub, claims: () => claimsOf(sub) },
    extraTokenClaims: (_ctx, token) => claimsOf(token.accountId),
    interactions: { url: (_ctx, { uid }) => `/interaction/${uid}` },
    // Roundcube knows neither this nor to name the resource once more when it redeems its code.
    pkce: { required: () => false },
    features: {
      devInteractions: { enabled: false },
      backchannelLogout: { enabled: true },
      introspection: { enabled: true, allowedPolicy: (_ctx, client) => client.clientId.startsWith('gatepost') },
      revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => undefined,
        useGrantedResource: () => true,
        getResourceServerInfo: resource,
      },
    },
    ttl: { AccessToken: 3600, Grant: 86400, IdToken: 3600, Interaction: 600, RefreshToken: 86400, Session: 86400 },
  });
  provider.registerGrantType('password', password, ['username', 'password', 'scope', 'lifetime', 'resource']);
  provider.use((ctx, next) => (ctx.path.startsWith('/interaction/') ? interaction(provider, ctx) : next()));
  for (const event of ['server_error', 'grant.error', 'authorization.error', 'introspection.error', 'revocation.error']) {
    provider.on(event, (_ctx, error) => console.error(event, error.message, error.error_description ?? error.stack));
  }
  return provider.callback();
}

// The package reads its keys once, so new keys are a new provider, over the same shelf.
let answer = open();
const lab = new Lab(settings.issuer, keys, () => { answer = open(); });

https
  .createServer({ cert: fs.readFileSync(settings.certificate), key: fs.readFileSync(settings.key) })
  .on('request', (request, response) => lab.handle(request, response, () => answer(request, response)))
  .listen(settings.port, settings.address);
