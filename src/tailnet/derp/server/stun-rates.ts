/**
 * How many STUN answers go to one network. A request's source may be forged: what is answered is sent to
 * whoever was named, so a network gets no more of it than its own clients would ask for.
 */
interface Bucket {
  tokens: number;
  at: number;
}

/** Answers per second and network: a netcheck asks three times, and an office has hundreds of clients. */
const PER_SECOND = 50;
const BURST = 200;
/**
 * Networks remembered. When full, the one that asked longest ago is forgotten: whoever forges so many
 * sources to be forgotten sends far more than is sent for it, and keeps nobody from an answer.
 */
const NETWORKS_MAX = 8192;

export class StunRates {
  readonly #buckets = new Map<string, Bucket>();

  /** True if the network may have one more answer. `nowMs` is monotonic. */
  take(network: string, nowMs: number): boolean {
    const bucket = this.#buckets.get(network) ?? { tokens: BURST, at: nowMs };
    /* The one that asked longest ago is first. */
    this.#buckets.delete(network);
    this.#buckets.set(network, bucket);
    if (this.#buckets.size > NETWORKS_MAX) this.#forgetFirst();
    const grown = (Math.max(nowMs - bucket.at, 0) / 1000) * PER_SECOND;
    bucket.tokens = Math.min(BURST, bucket.tokens + grown);
    bucket.at = nowMs;
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

  #forgetFirst(): void {
    for (const network of this.#buckets.keys()) {
      this.#buckets.delete(network);
      return;
    }
  }
}
