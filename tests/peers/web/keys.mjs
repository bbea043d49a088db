// The keys that the provider signs with: one of each kind, in generations.

import crypto from 'node:crypto';
import fs from 'node:fs';

const kinds = {
  rsa: ['rsa', { modulusLength: 2048 }],
  ec: ['ec', { namedCurve: 'P-256' }],
  ed: ['ed25519', {}],
  ec384: ['ec', { namedCurve: 'P-384' }],
};

// A new private key as JWK. By way of PEM, as Node.js 20 hangs for ever now and then when it exports a key as JWK that
// it has just generated.
function made(type, options) {
  const { privateKey } = crypto.generateKeyPairSync(type, {
    ...options,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return crypto.createPrivateKey(privateKey).export({ format: 'jwk' });
}

export class Keys {
  #file;
  // The newest first: whoever signs takes the first that fits.
  #generations;

  // What is in the file is used again, as by a provider that was restarted.
  constructor(file) {
    this.#file = file;
    this.#generations = fs.existsSync(file) ? JSON.parse(fs.readFileSync(file)) : [];
    if (!this.#generations.length) this.rotate(false);
  }

  // Signs with new keys from now on. The old ones are still published where they are kept.
  rotate(keep) {
    const number = (this.#generations[0]?.number ?? 0) + 1;
    const keys = Object.entries(kinds).map(([name, [type, options]]) => {
      return { ...made(type, options), kid: `${name}-${number}`, use: 'sig' };
    });
    this.#generations = [{ number, keys }, ...(keep ? this.#generations : [])];
    fs.writeFileSync(this.#file, JSON.stringify(this.#generations), { mode: 0o600 });
  }

  signing() {
    return { keys: this.#generations.flatMap((generation) => generation.keys) };
  }

  // The newest one for RSA.
  get #rsa() {
    return this.#generations[0].keys[0];
  }

  // A JWT with this header and these claims, whatever they are, as this signer signs it.
  forge(header, claims, signer) {
    const jwk = this.#rsa;
    const text = [{ alg: 'RS256', typ: 'at+jwt', kid: jwk.kid, ...header }, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    const key = crypto.createPrivateKey({ key: jwk, format: 'jwk' });
    const signers = {
      provider: () => crypto.sign('sha256', text, key),
      // Somebody with a key of their own, under the name of ours.
      stranger: () => crypto.sign('sha256', text, crypto.generateKeyPairSync(...kinds.rsa).privateKey),
      // The public key as a secret that both sides know: what everybody has makes a valid HS256.
      public: () => {
        const secret = crypto.createPublicKey(key).export({ type: 'spki', format: 'pem' });
        return crypto.createHmac('sha256', secret).update(text).digest();
      },
      nobody: () => Buffer.alloc(0),
    };
    return `${text}.${signers[signer]().toString('base64url')}`;
  }
}
