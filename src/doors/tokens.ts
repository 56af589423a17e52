/**
 * Postern's own tokens: minted, verified, listed, revoked. A token is shown once; what is kept is
 * its keyed hash, so neither the store nor a copy of it can present one. Verifying is a hash and a
 * look-up in memory: no store on the way of a request.
 */
import type { Clock, UnixMs } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import { encodeBase32, newId } from '../base/ids.ts';
import type { Logger } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import { Secret } from '../base/secret.ts';
import { keyedHash } from '../crypto/index.ts';
import type { Caller, DoorName, TokenScope } from '../identity/caller.ts';
import { PRINCIPAL_MAX_CHARS, isPlainIdentityText, tailscaleNodePrincipal } from '../identity/principal.ts';
import type { TokenRow } from '../store/shapes.ts';
import { NO_CAPABILITIES, type Revocation } from './door.ts';
import type { TokenStore } from './ports.ts';
import { TOKEN_PREFIX } from './presented.ts';

export type TokenErrorCode = 'token_request_invalid' | 'token_limit';

export type TokenVerdict =
  | { readonly ok: true; readonly caller: Caller }
  | { readonly ok: false; readonly reason: 'token_unknown' | 'token_expired' | 'token_revoked' };

export interface TokenVerifier {
  /** `via` is the ambient door that the token replaces. The same token and door give the same object. */
  verify(text: string, via: DoorName | null): TokenVerdict;
}

export interface MintOptions {
  /** From `newId('tok', …)`, where it has to be known before; default a new one. */
  readonly id?: string;
  /** Principal that the token acts for. */
  readonly owner: string;
  /** Login (or sorted tags) of the owner; grants by login match it. */
  readonly ownerLabel: string;
  /** For people: 1 to 100 printable characters. */
  readonly name: string;
  /** At least one. That they do not exceed the minter's is checked by the API. */
  readonly scopes: readonly TokenScope[];
  /** Globs over `provider/model`, or null for all that the owner may use. */
  readonly models: readonly string[] | null;
  /** Life in milliseconds, 1 s to 10 years; null for no end. */
  readonly ttlMs: number | null;
  /** Principal of who minted it. */
  readonly createdBy: string;
}

export interface Tokens extends TokenVerifier {
  /** @throws AppError<TokenErrorCode>, and whatever the store rejects with */
  mint(options: MintOptions): Promise<{ readonly token: Secret; readonly row: TokenRow }>;
  /** Newest first, without hashes' use to anybody; `owner` narrows. */
  list(owner?: string): readonly TokenRow[];
  get(id: string): TokenRow | null;
  /** False if there is none or it was revoked before. Effective at once in this process. */
  revoke(id: string): Promise<boolean>;
  /** Called at each revocation; returns the function that ends the subscription. */
  onRevoked(listener: (revocation: Revocation) => void): () => void;
  /** Reads the store again: another process may have minted or revoked. */
  reload(): Promise<void>;
  /** Writes the times of last use. Called by a timer; also at the end. */
  flushUses(): Promise<void>;
  close(): Promise<void>;
}

export interface TokensOptions {
  readonly store: TokenStore;
  /** 32 bytes, for this purpose only. */
  readonly hashKey: Uint8Array;
  readonly tailnet: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Secret part: 32 random bytes. */
const SECRET_BYTES = 32;
/** `pst_` and 52 characters of base 32. */
const TOKEN_CHARS = TOKEN_PREFIX.length + Math.ceil((SECRET_BYTES * 8) / 5);
/** Times of last use are written this often; a crash loses at most that. */
const FLUSH_MS = 30_000;
/** Tokens that may exist at once in a tailnet, revoked ones not counted. */
const TOKENS_MAX = 100_000;
const TTL_MIN_MS = 1000;
const TTL_MAX_MS = 10 * 366 * 86_400_000;

interface Entry {
  row: TokenRow;
  /** By ambient door, because `via` is part of the caller. */
  readonly callers: Map<DoorName | null, TokenVerdict>;
}

const UNKNOWN: TokenVerdict = { ok: false, reason: 'token_unknown' };
const EXPIRED: TokenVerdict = { ok: false, reason: 'token_expired' };
const REVOKED: TokenVerdict = { ok: false, reason: 'token_revoked' };

/** Loads the tokens of the tailnet. Rejects if the store does. */
export async function createTokens(options: TokensOptions): Promise<Tokens> {
  const book = new TokenBook(options);
  await book.reload();
  return book;
}

class TokenBook implements Tokens {
  readonly #options: TokensOptions;
  #byHash = new Map<string, Entry>();
  #byId = new Map<string, Entry>();
  readonly #used = new Map<string, UnixMs>();
  readonly #listeners = new Set<(revocation: Revocation) => void>();
  #flushTimer: NodeJS.Timeout | null = null;

  constructor(options: TokensOptions) {
    this.#options = options;
  }

  verify(text: string, via: DoorName | null): TokenVerdict {
    if (text.length !== TOKEN_CHARS || !text.startsWith(TOKEN_PREFIX)) return UNKNOWN;
    const entry = this.#byHash.get(this.#hash(text));
    if (entry === undefined) return UNKNOWN;
    if (entry.row.revokedAt !== null) return REVOKED;
    const now = this.#options.clock.now();
    if (entry.row.expiresAt !== null && entry.row.expiresAt <= now) return EXPIRED;
    this.#noteUse(entry.row.id, now);
    let verdict = entry.callers.get(via);
    if (verdict === undefined) {
      verdict = { ok: true, caller: callerOf(entry.row, via) };
      entry.callers.set(via, verdict);
    }
    return verdict;
  }

  async mint(request: MintOptions): Promise<{ token: Secret; row: TokenRow }> {
    checkMint(request);
    const { store, tailnet, clock, random } = this.#options;
    if (this.#liveCount() >= TOKENS_MAX) {
      throw new AppError<TokenErrorCode>(
        'token_limit',
        `this tailnet has ${TOKENS_MAX} tokens, the most it may; revoke some`,
      );
    }
    const text = `${TOKEN_PREFIX}${encodeBase32(random.bytes(SECRET_BYTES))}`;
    const now = clock.now();
    const row: TokenRow = {
      id: request.id ?? newId('tok', clock, random),
      tailnet,
      owner: request.owner,
      ownerLabel: request.ownerLabel,
      name: request.name,
      hash: this.#hash(text),
      scopes: [...new Set(request.scopes)],
      models: request.models === null ? null : [...request.models],
      createdAt: now,
      createdBy: request.createdBy,
      expiresAt: request.ttlMs === null ? null : now + request.ttlMs,
      revokedAt: null,
      lastUsedAt: null,
    };
    await store.putToken(row);
    this.#keep(row);
    return { token: new Secret(text), row };
  }

  list(owner?: string): readonly TokenRow[] {
    const rows = [...this.#byId.values()].map((entry) => entry.row);
    return rows
      .filter((row) => owner === undefined || row.owner === owner)
      .sort((a, b) => b.createdAt - a.createdAt);
  }

  get(id: string): TokenRow | null {
    return this.#byId.get(id)?.row ?? null;
  }

  async revoke(id: string): Promise<boolean> {
    const entry = this.#byId.get(id);
    if (entry === undefined || entry.row.revokedAt !== null) return false;
    const at = this.#options.clock.now();
    /* Here first: were the store slow or down, the token must be dead all the same. */
    this.#markRevoked(entry, at);
    await this.#options.store.revokeToken(this.#options.tailnet, id, at);
    return true;
  }

  onRevoked(listener: (revocation: Revocation) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async reload(): Promise<void> {
    const rows = await this.#options.store.listTokens(this.#options.tailnet);
    for (const row of rows) {
      const known = this.#byId.get(row.id);
      if (known === undefined) this.#keep(row);
      else if (row.revokedAt !== null && known.row.revokedAt === null)
        this.#markRevoked(known, row.revokedAt);
    }
  }

  async flushUses(): Promise<void> {
    if (this.#flushTimer !== null) clearTimeout(this.#flushTimer);
    this.#flushTimer = null;
    if (this.#used.size === 0) return;
    const used = [...this.#used].map(([id, at]) => ({ id, at }));
    this.#used.clear();
    try {
      await this.#options.store.touchTokens(used);
    } catch (error) {
      /* Back into the map, unless a later use is there already; the next flush tries again. */
      for (const { id, at } of used) if (!this.#used.has(id)) this.#used.set(id, at);
      this.#options.logger.warn('times of last use of tokens were not written', {
        error: String(error),
        tokens: used.length,
      });
    }
  }

  async close(): Promise<void> {
    await this.flushUses();
    if (this.#flushTimer !== null) clearTimeout(this.#flushTimer);
  }

  #hash(text: string): string {
    return Buffer.from(keyedHash(this.#options.hashKey, Buffer.from(text))).toString('base64url');
  }

  #keep(row: TokenRow): void {
    const entry: Entry = { row, callers: new Map() };
    this.#byId.set(row.id, entry);
    this.#byHash.set(row.hash, entry);
  }

  #liveCount(): number {
    let count = 0;
    for (const { row } of this.#byId.values()) if (row.revokedAt === null) count += 1;
    return count;
  }

  #noteUse(id: string, at: UnixMs): void {
    this.#used.set(id, at);
    const entry = this.#byId.get(id);
    if (entry !== undefined && (entry.row.lastUsedAt === null || at - entry.row.lastUsedAt >= 1000)) {
      entry.row = { ...entry.row, lastUsedAt: at };
    }
    if (this.#flushTimer !== null) return;
    this.#flushTimer = setTimeout(() => void this.flushUses(), FLUSH_MS);
    this.#flushTimer.unref();
  }

  #markRevoked(entry: Entry, at: UnixMs): void {
    entry.row = { ...entry.row, revokedAt: at };
    entry.callers.clear();
    const { id } = entry.row;
    const revocation: Revocation = {
      door: 'token',
      why: `token ${id} was revoked`,
      matches: (caller) => caller.token?.id === id,
    };
    for (const listener of this.#listeners) listener(revocation);
  }
}

function callerOf(row: TokenRow, via: DoorName | null): Caller {
  // By the principal: a person whose login happens to read `tag:x` is no device.
  const isDevice = row.owner.startsWith(tailscaleNodePrincipal(''));
  const tags = isDevice && row.ownerLabel.startsWith('tag:') ? row.ownerLabel.split(',') : [];
  return {
    principal: row.owner,
    tailnet: row.tailnet,
    door: 'token',
    via,
    device:
      tags.length === 0
        ? null
        : { stableId: row.owner, name: row.ownerLabel, addresses: [], tags, shared: false },
    user: tags.length === 0 ? { id: row.owner, login: row.ownerLabel, displayName: null } : null,
    groups: [],
    capabilities: NO_CAPABILITIES,
    token: { id: row.id, scopes: row.scopes, models: row.models, expiresAt: row.expiresAt },
  };
}

function checkMint(request: MintOptions): void {
  const fault = mintFault(request);
  if (fault !== null) throw new AppError<TokenErrorCode>('token_request_invalid', fault);
}

function mintFault(request: MintOptions): string | null {
  if (!isPlainIdentityText(request.name, 100)) return 'a token needs a name of 1 to 100 printable characters';
  if (!isPlainIdentityText(request.owner, PRINCIPAL_MAX_CHARS)) return 'a token needs an owner';
  if (!isPlainIdentityText(request.ownerLabel, PRINCIPAL_MAX_CHARS))
    return 'a token needs the label of its owner';
  if (request.scopes.length === 0) return 'a token needs at least one scope';
  if (request.models !== null && (request.models.length === 0 || request.models.length > 200)) {
    return 'the models of a token are null for all, or 1 to 200 globs';
  }
  const ttl = request.ttlMs;
  if (ttl !== null && (!Number.isInteger(ttl) || ttl < TTL_MIN_MS || ttl > TTL_MAX_MS)) {
    return `the life of a token is null, or a whole number of milliseconds from ${TTL_MIN_MS} to ${TTL_MAX_MS}`;
  }
  return null;
}
