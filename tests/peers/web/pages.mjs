// What a person sees at the provider: a form for name and password, and the question whether webmail may have access.

import { text } from 'node:stream/consumers';

import { find } from './people.mjs';

const page = (title, body) => `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>${title}</title>
<style>body { font: 16px sans-serif; max-width: 26em; margin: 4em auto }</style>
<h1>${title}</h1>
<form method="post">${body}</form>`;

const forms = {
  login: () => page('Sign in', `
<p><input name="login" placeholder="Name"></p>
<p><input name="password" type="password" placeholder="Password"></p>
<p><button>Sign in</button></p>`),
  consent: ({ params }) => page('Grant access', `
<p>${params.client_id} wants to act for you: ${params.scope}</p>
<p><button>Allow</button></p>`),
};

export async function interaction(provider, ctx) {
  const details = await provider.interactionDetails(ctx.req, ctx.res);
  const name = details.prompt.name;
  if (ctx.method === 'GET') {
    ctx.type = 'html';
    ctx.body = forms[name](details);
    return;
  }
  const result = name === 'login' ? await login(ctx) : { consent: { grantId: await consent(provider, details) } };
  if (!result) {
    ctx.status = 403;
    ctx.type = 'html';
    ctx.body = forms.login() + '<p class="refused">Nobody has this name and password.</p>';
    return;
  }
  ctx.respond = false;
  await provider.interactionFinished(ctx.req, ctx.res, result, { mergeWithLastSubmission: name !== 'login' });
}

async function login(ctx) {
  const form = new URLSearchParams(await text(ctx.req));
  const person = find(form.get('login'));
  return person && person.password === form.get('password') ? { login: { accountId: person.sub } } : undefined;
}

// Grants all that was asked for and was not granted before.
async function consent(provider, { grantId, session, params, prompt }) {
  const grant = grantId
    ? await provider.Grant.find(grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  const { missingOIDCScope, missingOIDCClaims, missingResourceScopes } = prompt.details;
  if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(' '));
  if (missingOIDCClaims) grant.addOIDCClaims(missingOIDCClaims);
  for (const [resource, scopes] of Object.entries(missingResourceScopes ?? {})) {
    grant.addResourceScope(resource, scopes.join(' '));
  }
  return grant.save();
}
