/**
 * `Idempotency-Key` on POST (draft-ietf-httpapi-idempotency-key-header), beyond Tailscale's API: a request that is
 * sent again because its answer was lost gets the same answer, and nothing is made twice. Kept in memory only, for
 * an hour; a refusal is not kept, for what was refused may be asked again.
 */
import type { Clock, UnixMs } from '../../base/clock.ts';
import { sha256Hex } from '../../crypto/index.ts';
import { badRequest, V2Failure } from './failure.ts';
import type { V2Answer } from './routes.ts';

const KEPT_MS = 3_600_000;
/** The oldest go first. */
const ANSWERS_MAX = 1000;
const KEY_MAX_CHARS = 255;

interface Kept {
  readonly body: string;
  readonly until: UnixMs;
  readonly answer: Promise<V2Answer>;
}

export interface RepeatableRequest {
  /** Who asks, and what of: only they get the answer again. */
  readonly whose: readonly string[];
  /** `Idempotency-Key`. */
  readonly key: string;
  readonly body: Buffer;
}

export class RepeatedAnswers {
  readonly #clock: Clock;
  readonly #kept = new Map<string, Kept>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The answer of the first request of this key; throws 422 if that was another request. */
  answer({ whose, key, body }: RepeatableRequest, make: () => Promise<V2Answer>): Promise<V2Answer> {
    if (key === '' || key.length > KEY_MAX_CHARS)
      throw badRequest(`Idempotency-Key: has 1 to ${KEY_MAX_CHARS} characters`);
    const name = JSON.stringify([...whose, key]);
    const digest = sha256Hex(body);
    const now = this.#clock.now();
    const before = this.#kept.get(name);
    if (before !== undefined && before.until > now) {
      if (before.body === digest) return before.answer;
      throw new V2Failure(422, 'Idempotency-Key: it was used for another request; use a new one');
    }
    this.#kept.delete(name);
    for (const [oldest, { until }] of this.#kept) {
      if (until > now && this.#kept.size < ANSWERS_MAX) break;
      this.#kept.delete(oldest);
    }
    const kept = { body: digest, until: now + KEPT_MS, answer: make() };
    this.#kept.set(name, kept);
    kept.answer.catch(() => {
      if (this.#kept.get(name) === kept) this.#kept.delete(name);
    });
    return kept.answer;
  }
}
