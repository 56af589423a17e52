/**
 * The vault of one tailnet. Secrets are sealed in the store and open in memory only; each is bound
 * to the origin that it was entered for and is given out for no other (DESIGN section 6).
 *
 * Keys found in the environment are never written. Only if one is retired or revoked is a row kept,
 * with a sealed hash of its value, so that the decision outlives a restart but not a new value.
 */
import { describeError } from '../base/errors.ts';
import { newId } from '../base/ids.ts';
import { Secret } from '../base/secret.ts';
import { constantTimeEqual, hmacSha256, open, seal } from '../crypto/index.ts';
import type { KeyState, ProviderKeyRow } from '../store/shapes.ts';
import { checkKey } from './check-key.ts';
import { vaultError } from './errors.ts';
import { newKeyHealth, noteOutcome, type KeyHealth, type KeyOutcome } from './key-health.ts';
import type { FoundKey, KeyView, NewKey, ProviderKey, Vault, VaultOptions } from './shapes.ts';

/** Keys of one tailnet, revoked ones included; far beyond any real use. */
const KEYS_MAX = 2_000;

interface HeldKey {
  readonly row: ProviderKeyRow;
  /** Null for revoked keys, and for those that did not open. */
  readonly given: ProviderKey | null;
  readonly source: KeyView['source'];
  readonly health: KeyHealth;
}

/** Opens the keys of a tailnet. A key that does not open is listed as `unreadable`, and logged. */
export async function openVault(options: VaultOptions): Promise<Vault> {
  const vault = new SealedVault(options);
  await vault.load();
  return vault;
}

class SealedVault implements Vault {
  readonly #options: VaultOptions;
  readonly #keys = new Map<string, HeldKey>();
  /** `provider origin` to its active keys, in the order of their turns. */
  readonly #active = new Map<string, { keys: HeldKey[]; turn: number }>();
  /** Rows of environment keys that were retired or revoked, by id. */
  readonly #marks = new Map<string, ProviderKeyRow>();
  readonly #listeners = new Set<(keyId: string) => void>();
  #lastChange: Promise<unknown> = Promise.resolve();

  constructor(options: VaultOptions) {
    this.#options = options;
  }

  async load(): Promise<void> {
    for (const row of await this.#options.store.listProviderKeys(this.#options.tailnet)) {
      if (row.id.startsWith('env:')) this.#marks.set(row.id, row);
      else this.#hold(this.#unseal(row));
    }
  }

  select(provider: string, origin: string): ProviderKey | null {
    const group = this.#active.get(groupName(provider, origin));
    if (group === undefined) return null;
    const now = this.#options.clock.now();
    const held = takeTurn(group, now);
    if (held === null) return null;
    held.health.uses += 1;
    held.health.lastUsedAt = now;
    return held.given;
  }

  peek(provider: string, origin: string): string | null {
    const group = this.#active.get(groupName(provider, origin));
    if (group === undefined) return null;
    return nextInTurn(group, this.#options.clock.now())?.held.row.id ?? null;
  }

  hasOtherKey(provider: string, origin: string, keyId: string): boolean {
    const keys = this.#active.get(groupName(provider, origin))?.keys ?? [];
    const now = this.#options.clock.now();
    return inUse(keys).some(
      ({ row, health }) => row.id !== keyId && (health.cooldownUntil === null || health.cooldownUntil <= now),
    );
  }

  selectById(id: string, origin: string): ProviderKey | null {
    const held = this.#keys.get(id);
    if (held === undefined || held.row.origin !== origin) return null;
    if (held.row.state !== 'active' && held.row.state !== 'retired') return null;
    held.health.uses += 1;
    held.health.lastUsedAt = this.#options.clock.now();
    return held.given;
  }

  addFound(provider: string, found: FoundKey): KeyView {
    checkKey({ ...found, provider, name: found.source });
    const id = `env:${found.source}`;
    const now = this.#options.clock.now();
    const mark = this.#marks.get(id);
    const row: ProviderKeyRow = {
      id,
      tailnet: this.#options.tailnet,
      provider,
      name: found.source,
      state: mark !== undefined && this.#isMarkOf(mark, found.secret) ? mark.state : 'active',
      origin: found.origin,
      header: found.header,
      sealed: new Uint8Array(0),
      hint: found.secret.hint(),
      createdAt: now,
      createdBy: 'operator',
      stateChangedAt: mark?.stateChangedAt ?? now,
    };
    const given = row.state === 'revoked' ? null : { id, header: found.header, secret: found.secret };
    return this.#hold({ row, given, source: 'environment', health: newKeyHealth() });
  }

  forgetFound(source: string): void {
    const id = `env:${source}`;
    const held = this.#keys.get(id);
    if (held === undefined || held.source !== 'environment') return;
    this.#leaveTurns(held);
    this.#keys.delete(id);
  }

  add(key: NewKey): Promise<KeyView> {
    return this.#change(async () => {
      checkKey(key);
      if (this.#keys.size >= KEYS_MAX)
        throw vaultError('vault_too_many_keys', `the vault holds at most ${KEYS_MAX} keys`);
      const { tailnet, clock, random, store } = this.#options;
      const id = key.id ?? newId('key', clock, random);
      const now = clock.now();
      const row: ProviderKeyRow = {
        id,
        tailnet,
        provider: key.provider,
        name: key.name,
        state: key.state ?? 'active',
        origin: key.origin,
        header: key.header,
        sealed: this.#seal(
          { id, provider: key.provider, origin: key.origin, header: key.header },
          key.secret,
        ),
        hint: key.secret.hint(),
        createdAt: now,
        createdBy: key.createdBy,
        stateChangedAt: now,
      };
      await store.putProviderKey(row);
      const given = { id, header: key.header, secret: key.secret };
      return this.#hold({ row, given, source: 'store', health: newKeyHealth() });
    });
  }

  promote(id: string, options: { readonly alongside?: boolean } = {}): Promise<KeyView> {
    return this.#change(async () => {
      const held = this.#find(id);
      if (held.given === null)
        throw vaultError('vault_key_unreadable', `key ${id} was sealed with another master key; add it anew`);
      const group = this.#active.get(groupName(held.row.provider, held.row.origin));
      const former = options.alongside === true ? [] : (group?.keys ?? []).filter((key) => key.row.id !== id);
      // The new key first: a failure in between leaves two active keys, never none.
      const view = await this.#setState(held, 'active');
      for (const key of former) await this.#setState(key, 'retired');
      return view;
    });
  }

  retire(id: string): Promise<KeyView> {
    return this.#change(() => this.#setState(this.#find(id), 'retired'));
  }

  revoke(id: string): Promise<KeyView> {
    return this.#change(async () => {
      const view = await this.#setState(this.#find(id), 'revoked');
      for (const listener of this.#listeners) {
        try {
          listener(id);
        } catch (error) {
          this.#options.logger.error('a listener of key revocations failed', {
            key: id,
            error: describeError(error),
          });
        }
      }
      return view;
    });
  }

  list(): readonly KeyView[] {
    return [...this.#keys.values()].map(toView);
  }

  noteResult(keyId: string, outcome: KeyOutcome, at: number): void {
    const held = this.#keys.get(keyId);
    if (held !== undefined) noteOutcome(held.health, outcome, at);
  }

  onRevoked(listener: (keyId: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Changes run one after another, so that two promotions cannot both win. */
  #change<Result>(change: () => Promise<Result>): Promise<Result> {
    const result = this.#lastChange.then(change);
    this.#lastChange = result.catch(() => undefined);
    return result;
  }

  #find(id: string): HeldKey {
    const held = this.#keys.get(id);
    if (held === undefined) throw vaultError('vault_key_unknown', `there is no key ${JSON.stringify(id)}`);
    if (held.row.state === 'revoked')
      throw vaultError('vault_key_revoked', `key ${id} is revoked; add it anew`);
    return held;
  }

  /** Writes the new state, then uses it. A revoked key's secret is wiped from the store and from here. */
  async #setState(held: HeldKey, state: KeyState): Promise<KeyView> {
    const revoked = state === 'revoked';
    const row = { ...held.row, state, stateChangedAt: this.#options.clock.now() };
    if (held.source === 'environment') {
      const mark = { ...row, sealed: this.#sealMark(held) };
      await this.#options.store.putProviderKey(mark);
      this.#marks.set(row.id, mark);
    } else {
      await this.#options.store.putProviderKey(revoked ? { ...row, sealed: new Uint8Array(0) } : row);
    }
    return this.#hold({ ...held, row, given: revoked ? null : held.given });
  }

  #hold(held: HeldKey): KeyView {
    const former = this.#keys.get(held.row.id);
    if (former !== undefined) this.#leaveTurns(former);
    this.#keys.set(held.row.id, held);
    if (held.row.state === 'active' && held.given !== null) {
      const name = groupName(held.row.provider, held.row.origin);
      const group = this.#active.get(name) ?? { keys: [], turn: 0 };
      group.keys.push(held);
      this.#active.set(name, group);
    }
    return toView(held);
  }

  #leaveTurns(held: HeldKey): void {
    const name = groupName(held.row.provider, held.row.origin);
    const group = this.#active.get(name);
    if (group === undefined) return;
    group.keys = group.keys.filter((key) => key.row.id !== held.row.id);
    if (group.keys.length === 0) this.#active.delete(name);
  }

  #seal(bound: Pick<ProviderKeyRow, 'id' | 'provider' | 'origin' | 'header'>, secret: Secret): Uint8Array {
    return seal(this.#options.key, Buffer.from(secret.reveal(), 'utf8'), this.#context(bound));
  }

  #unseal(row: ProviderKeyRow): HeldKey {
    const health = newKeyHealth();
    if (row.state === 'revoked') return { row, given: null, source: 'store', health };
    try {
      const value = Buffer.from(open(this.#options.key, row.sealed, this.#context(row))).toString('utf8');
      return {
        row,
        given: { id: row.id, header: row.header, secret: new Secret(value) },
        source: 'store',
        health,
      };
    } catch (error) {
      this.#options.logger.error('a provider key does not open', {
        key: row.id,
        provider: row.provider,
        error: describeError(error),
      });
      return { row, given: null, source: 'unreadable', health };
    }
  }

  /** What a sealed secret is bound to: altering the origin of a stored row makes it unreadable. */
  #context(bound: Pick<ProviderKeyRow, 'id' | 'provider' | 'origin' | 'header'>): string {
    return JSON.stringify([
      'provider-key',
      this.#options.tailnet,
      bound.id,
      bound.provider,
      bound.origin,
      bound.header,
    ]);
  }

  #sealMark(held: HeldKey): Uint8Array {
    if (held.given === null) return held.row.sealed;
    return seal(this.#options.key, this.#markHash(held.given.secret), this.#markContext(held.row.id));
  }

  #isMarkOf(mark: ProviderKeyRow, secret: Secret): boolean {
    try {
      return constantTimeEqual(
        open(this.#options.key, mark.sealed, this.#markContext(mark.id)),
        this.#markHash(secret),
      );
    } catch {
      // Sealed with another master key: nobody can tell whether it is the same value, so it stays refused.
      return true;
    }
  }

  #markHash(secret: Secret): Uint8Array {
    return hmacSha256(this.#options.key, `environment-key ${secret.reveal()}`);
  }

  #markContext(id: string): string {
    return JSON.stringify(['environment-key', this.#options.tailnet, id]);
  }
}

interface Turns {
  readonly keys: readonly HeldKey[];
  turn: number;
}

function takeTurn(group: Turns, now: number): HeldKey | null {
  const next = nextInTurn(group, now);
  group.turn = (next?.at ?? 0) + 1;
  return next?.held ?? null;
}

/** The next key that may be used: stored before found, healthy before paused, then the one whose pause ends first. */
function nextInTurn(
  { keys, turn }: Turns,
  now: number,
): { readonly held: HeldKey; readonly at: number } | null {
  const stored = hasStored(keys);
  let best: HeldKey | null = null;
  let bestUntil = Infinity;
  let bestAt = 0;
  for (let i = 0; i < keys.length; i += 1) {
    const at = (turn + i) % keys.length;
    const key = keys[at];
    if (key === undefined || (stored && key.source !== 'store')) continue;
    const until = key.health.cooldownUntil ?? 0;
    const rank = until <= now ? 0 : until;
    if (rank >= bestUntil) continue;
    best = key;
    bestUntil = rank;
    bestAt = at;
    if (rank === 0) break;
  }
  return best === null ? null : { held: best, at: bestAt };
}

function hasStored(keys: readonly HeldKey[]): boolean {
  return keys.some((key) => key.source === 'store');
}

/** Found keys are used only where none was stored. */
function inUse(keys: readonly HeldKey[]): readonly HeldKey[] {
  return hasStored(keys) ? keys.filter((key) => key.source === 'store') : keys;
}

function groupName(provider: string, origin: string): string {
  return `${provider}\n${origin}`;
}

function toView({ row, source, health }: HeldKey): KeyView {
  return {
    id: row.id,
    provider: row.provider,
    name: row.name,
    origin: row.origin,
    header: row.header,
    source,
    hint: row.hint,
    state: row.state,
    createdAt: row.createdAt,
    createdBy: row.createdBy,
    stateChangedAt: row.stateChangedAt,
    lastUsedAt: health.lastUsedAt,
    uses: health.uses,
    failures: health.failures,
    lastError: health.lastError,
    cooldownUntil: health.cooldownUntil,
  };
}
