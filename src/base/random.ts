/** Where randomness comes from; tests pass a seeded one. */
export interface Random {
  /** `count` unpredictable bytes. */
  bytes(count: number): Uint8Array;
}

/** Bytes fetched at once: one call to the generator costs more than a small id needs. */
const POOL_BYTES = 4096;

/** The system's cryptographic generator. Bytes are handed out once and wiped from the pool. */
export const systemRandom: Random = createPooledRandom((target) => globalThis.crypto.getRandomValues(target));

/** A generator over `fill` that asks it for many bytes at a time. */
export function createPooledRandom(fill: (target: Uint8Array<ArrayBuffer>) => void): Random {
  const pool = new Uint8Array(POOL_BYTES);
  let used = POOL_BYTES;
  return {
    bytes(count) {
      if (count > POOL_BYTES / 8) {
        const bytes = new Uint8Array(count);
        fill(bytes);
        return bytes;
      }
      if (used + count > POOL_BYTES) {
        fill(pool);
        used = 0;
      }
      const bytes = pool.slice(used, used + count);
      pool.fill(0, used, used + count);
      used += count;
      return bytes;
    },
  };
}
