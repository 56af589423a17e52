/**
 * Answers kept for exactly the same question, in memory only: a restart forgets them all. Kept as the
 * provider sent them, before any rule of ours touched them, so that a hit passes meter, guardrails
 * and limits like an answer that just came.
 *
 * Requests for the same that run at once are each sent to the provider: one caller's stream would
 * otherwise wait for another's reader, and end with another's budget or connection.
 */
import { assert } from '../../base/errors.ts';
import type { Clock, UnixMs } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { cacheKey, type CacheQuestion } from './cache-key.ts';
import { Fill, type CacheFill, type CacheLimits } from './fill.ts';

/** 64 MiB, 1 MiB, 16 MiB: a text answer has a few kilobytes, and the process rests at 120 MB (DESIGN section 11). */
export const DEFAULT_CACHE_LIMITS: CacheLimits = {
  maxBytes: 64 * 1024 * 1024,
  entryMaxBytes: 1024 * 1024,
  fillMaxBytes: 16 * 1024 * 1024,
};

/** Name, entry and map; so that many empty answers are bounded too. */
const ENTRY_OVERHEAD_BYTES = 512;

/** The place of one answer. Only `slot` makes one. */
export interface CacheSlot {
  readonly name: string;
  readonly ttlMs: number;
  readonly tailnet: string;
  readonly principal: string;
}

export interface CachedAnswer {
  readonly contentType: string | null;
  readonly body: Buffer;
  readonly storedAt: UnixMs;
  /** Since it was stored; whole seconds. */
  readonly ageSec: number;
}

export interface CacheStats {
  readonly entries: number;
  readonly bytes: number;
  /** Of answers that are arriving. */
  readonly fillingBytes: number;
  readonly hits: number;
  readonly misses: number;
  readonly stored: number;
  /** Dropped to make room. */
  readonly evicted: number;
}

export interface ResponseCacheOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly limits?: CacheLimits;
}

export interface ResponseCache {
  /** One hash over the whole request. */
  slot(question: CacheQuestion): CacheSlot;
  /** An answer that is younger than its maker's and this asker's `ttl`, or null. */
  find(slot: CacheSlot): CachedAnswer | null;
  /** To be ended with `complete` or `abandon`, or its room stays taken. */
  fill(slot: CacheSlot): CacheFill;
  /** Drops what a principal's requests put there; all of a tailnet without one. Returns how many. */
  forget(tailnet: string, principal?: string): number;
  /** Drops what is over; for a timer, since what nobody asks for would stay until room is needed. */
  sweep(): number;
  stats(): CacheStats;
}

interface Entry {
  readonly slot: CacheSlot;
  readonly contentType: string | null;
  readonly body: Buffer;
  readonly storedAt: UnixMs;
  readonly storedMark: number;
}

const KEY_BYTES = 32;

export function createResponseCache(options: ResponseCacheOptions): ResponseCache {
  const limits = options.limits ?? DEFAULT_CACHE_LIMITS;
  assert(limits.entryMaxBytes + ENTRY_OVERHEAD_BYTES <= limits.maxBytes, 'one answer fits into the cache');
  return new MemoryCache(options, limits);
}

class MemoryCache implements ResponseCache {
  readonly #clock: Clock;
  readonly #limits: CacheLimits;
  readonly #key: Uint8Array;
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry>();
  readonly #filling = { bytes: 0 };
  #bytes = 0;
  #hits = 0;
  #misses = 0;
  #stored = 0;
  #evicted = 0;

  constructor({ clock, random }: ResponseCacheOptions, limits: CacheLimits) {
    this.#clock = clock;
    this.#limits = limits;
    this.#key = random.bytes(KEY_BYTES);
  }

  slot(question: CacheQuestion): CacheSlot {
    const { policy, tailnet, principal } = question;
    return { name: cacheKey(this.#key, question), ttlMs: policy.ttlMs, tailnet, principal };
  }

  find(slot: CacheSlot): CachedAnswer | null {
    const entry = this.#entries.get(slot.name);
    const ageMs = entry === undefined ? 0 : this.#ageMs(entry);
    if (entry !== undefined && ageMs >= entry.slot.ttlMs) this.#drop(entry);
    if (entry === undefined || ageMs >= Math.min(slot.ttlMs, entry.slot.ttlMs)) {
      this.#misses += 1;
      return null;
    }
    this.#hits += 1;
    this.#entries.delete(slot.name);
    this.#entries.set(slot.name, entry);
    const { contentType, body, storedAt } = entry;
    return { contentType, body, storedAt, ageSec: Math.floor(ageMs / 1000) };
  }

  fill(slot: CacheSlot): CacheFill {
    return new Fill(this.#limits, this.#filling, (body, contentType) => this.#put(slot, body, contentType));
  }

  forget(tailnet: string, principal?: string): number {
    return this.#dropAll(
      ({ slot }) => slot.tailnet === tailnet && (principal === undefined || slot.principal === principal),
    );
  }

  sweep(): number {
    return this.#dropAll((entry) => this.#ageMs(entry) >= entry.slot.ttlMs);
  }

  stats(): CacheStats {
    return {
      entries: this.#entries.size,
      bytes: this.#bytes,
      fillingBytes: this.#filling.bytes,
      hits: this.#hits,
      misses: this.#misses,
      stored: this.#stored,
      evicted: this.#evicted,
    };
  }

  /** By the clock that goes further: one stops while the machine sleeps, the other may be set back. */
  #ageMs({ storedAt, storedMark }: Entry): number {
    return Math.max(this.#clock.monotonicMs() - storedMark, this.#clock.now() - storedAt);
  }

  #put(slot: CacheSlot, body: Buffer, contentType: string | null): void {
    const before = this.#entries.get(slot.name);
    if (before !== undefined) this.#drop(before);
    const entry: Entry = {
      slot,
      contentType,
      body,
      storedAt: this.#clock.now(),
      storedMark: this.#clock.monotonicMs(),
    };
    this.#entries.set(slot.name, entry);
    this.#bytes += sizeOf(entry);
    this.#stored += 1;
    for (const oldest of this.#entries.values()) {
      if (this.#bytes <= this.#limits.maxBytes) return;
      this.#drop(oldest);
      this.#evicted += 1;
    }
  }

  #dropAll(isGone: (entry: Entry) => boolean): number {
    let dropped = 0;
    for (const entry of this.#entries.values()) {
      if (!isGone(entry)) continue;
      this.#drop(entry);
      dropped += 1;
    }
    return dropped;
  }

  #drop(entry: Entry): void {
    if (this.#entries.delete(entry.slot.name)) this.#bytes -= sizeOf(entry);
  }
}

function sizeOf({ body, contentType }: Entry): number {
  return body.length + (contentType?.length ?? 0) + ENTRY_OVERHEAD_BYTES;
}
