/** OAuth clients of the API: programs that make their own short-lived access tokens. One belongs to one tailnet. */
import type { Clock } from '../../base/clock.ts';
import { encodeBase32, newId } from '../../base/ids.ts';
import type { Random } from '../../base/random.ts';
import { Secret } from '../../base/secret.ts';
import { coordinationError } from './errors.ts';
import type { Ledger } from './ledger.ts';
import type { ApiClientRecord } from './records.ts';

/** Not `pst_`: a client's secret is no token, and no door takes it for one. */
const PREFIX = 'pstc_';
/** 200 bits. */
const SECRET_BYTES = 25;
/** Of one tailnet. */
const CLIENTS_MAX = 1000;

export interface ApiClientsOptions {
  readonly ledger: Ledger;
  /** Keyed hash under which a secret is kept, hex. */
  readonly hashOf: (text: string) => string;
  readonly clock: Clock;
  readonly random: Random;
}

export type NewApiClient = Pick<ApiClientRecord, 'description' | 'scopes' | 'tags' | 'createdBy'>;

export class ApiClients {
  readonly #options: ApiClientsOptions;
  readonly #byId = new Map<string, ApiClientRecord>();
  readonly #byHash = new Map<string, string>();

  constructor(options: ApiClientsOptions, records: readonly ApiClientRecord[]) {
    this.#options = options;
    for (const record of records) this.#index(record);
  }

  list(tailnet: string): readonly ApiClientRecord[] {
    return [...this.#byId.values()].filter((client) => client.tailnet === tailnet);
  }

  /** Null for one of another tailnet, too. */
  get(tailnet: string, id: string): ApiClientRecord | null {
    const client = this.#byId.get(id);
    return client?.tailnet === tailnet ? client : null;
  }

  /** Whose secret this is; null for none, and for one that was revoked. */
  find(secret: string): ApiClientRecord | null {
    if (!secret.startsWith(PREFIX)) return null;
    const client = this.#byId.get(this.#byHash.get(this.#options.hashOf(secret)) ?? '');
    return client?.revokedAt === null ? client : null;
  }

  /** The secret is told here and kept nowhere. Durable when it resolves. */
  async create(
    tailnet: string,
    asked: NewApiClient,
  ): Promise<{ readonly client: ApiClientRecord; readonly secret: Secret }> {
    const { clock, random, ledger } = this.#options;
    if (this.list(tailnet).length >= CLIENTS_MAX)
      throw coordinationError('coordination_limit', `a tailnet has at most ${CLIENTS_MAX} OAuth clients`);
    const secret = this.#newSecret();
    const client: ApiClientRecord = {
      ...asked,
      id: newId('oc', clock, random),
      tailnet,
      hash: this.#options.hashOf(secret.reveal()),
      createdAt: clock.now(),
      revokedAt: null,
    };
    this.#put(client);
    await ledger.durable();
    return { client, secret };
  }

  /** Access tokens that it has may no more than it from now on. */
  async change(
    client: ApiClientRecord,
    asked: Pick<ApiClientRecord, 'description' | 'scopes' | 'tags'>,
  ): Promise<ApiClientRecord> {
    const changed = { ...client, ...asked };
    this.#put(changed);
    await this.#options.ledger.durable();
    return changed;
  }

  /** The secret of before is good no longer. */
  async rotate(client: ApiClientRecord): Promise<Secret> {
    const secret = this.#newSecret();
    this.#byHash.delete(client.hash);
    this.#put({ ...client, hash: this.#options.hashOf(secret.reveal()) });
    await this.#options.ledger.durable();
    return secret;
  }

  async revoke(client: ApiClientRecord): Promise<void> {
    this.#put({ ...client, revokedAt: this.#options.clock.now() });
    await this.#options.ledger.durable();
  }

  /** With the tailnet, whose removal the caller makes durable. */
  forget(tailnet: string): void {
    for (const { id, hash } of this.list(tailnet)) {
      this.#byId.delete(id);
      this.#byHash.delete(hash);
      this.#options.ledger.delete('api_client', tailnet, id);
    }
  }

  #newSecret(): Secret {
    return new Secret(`${PREFIX}${encodeBase32(this.#options.random.bytes(SECRET_BYTES))}`);
  }

  #put(client: ApiClientRecord): void {
    this.#index(client);
    this.#options.ledger.put('api_client', client.tailnet, client.id, client);
  }

  #index(client: ApiClientRecord): void {
    this.#byId.set(client.id, client);
    this.#byHash.set(client.hash, client.id);
  }
}
