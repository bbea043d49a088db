// Where the provider keeps what it has given out. The package's own forgets all but the last thousand, and does not
// outlive the provider that is opened anew with other keys.

const things = new Map();
const grants = new Map();

// All access tokens of somebody end.
export function revoke(accountId) {
  for (const [key, thing] of things) {
    if (key.startsWith('AccessToken:') && thing.accountId === accountId) things.delete(key);
  }
}

export class Shelf {
  #model;

  constructor(model) {
    this.#model = model;
  }

  #key(id) {
    return `${this.#model}:${id}`;
  }

  // What has run out is told from what has never been by the package, which looks at `exp`.
  async upsert(id, payload) {
    const key = this.#key(id);
    things.set(key, payload);
    if (payload.grantId) grants.set(payload.grantId, (grants.get(payload.grantId) ?? new Set()).add(key));
  }

  async find(id) {
    return things.get(this.#key(id));
  }

  async findByUid(uid) {
    return [...things.entries()].find(([key, { uid: its }]) => key.startsWith(`${this.#model}:`) && its === uid)?.[1];
  }

  async findByUserCode() {
    return undefined;
  }

  async consume(id) {
    things.get(this.#key(id)).consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    things.delete(this.#key(id));
  }

  async revokeByGrantId(grant) {
    for (const key of grants.get(grant) ?? []) things.delete(key);
    grants.delete(grant);
  }
}
