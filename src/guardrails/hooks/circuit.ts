/**
 * The circuit breaker of one hook: after so many failures in a row nobody waits for it for a while
 * (10 s, doubling up to 5 minutes, with jitter), then one call probes.
 *
 * One caller must not be able to switch a hook off for the others (where failing lets requests through)
 * or to have them refused (where it does not) by bodies that the hook chokes on: failures that a body
 * can cause open the circuit only if two callers had them. A hook that cannot be connected to opens
 * it whoever asks.
 */
import type { Clock, UnixMs } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { CircuitState } from './shapes.ts';

const FIRST_PAUSE_MS = 10_000;
const LONGEST_PAUSE_MS = 300_000;

export interface CircuitFailure {
  readonly principal: string;
  /** Whether the caller's body can have been the reason. */
  readonly bodyCanCause: boolean;
}

export interface CircuitOptions {
  readonly clock: Clock;
  readonly random: Random;
}

export class Circuit {
  readonly #options: CircuitOptions;
  #failures = 0;
  #firstPrincipal: string | null = null;
  #isShared = false;
  #pauseMs = FIRST_PAUSE_MS;
  /** Monotonic; null while closed. */
  #retryMark: number | null = null;
  #isProbing = false;

  constructor(options: CircuitOptions) {
    this.#options = options;
  }

  get state(): CircuitState {
    if (this.#retryMark === null) return 'closed';
    return this.#isProbing || this.#options.clock.monotonicMs() >= this.#retryMark ? 'half_open' : 'open';
  }

  get retryAt(): UnixMs | null {
    if (this.#retryMark === null) return null;
    const { clock } = this.#options;
    return clock.now() + Math.max(0, Math.round(this.#retryMark - clock.monotonicMs()));
  }

  /**
   * Whether a call may be made now; the first after a pause is the probe, and others wait for its
   * end. Whoever is let in must say how it went: `succeeded`, `failed` or `abandoned`.
   */
  admit(): boolean {
    if (this.#retryMark === null) return true;
    if (this.#isProbing || this.#options.clock.monotonicMs() < this.#retryMark) return false;
    this.#isProbing = true;
    return true;
  }

  /** True if this closed an open circuit. */
  succeeded(): boolean {
    const wasOpen = this.#retryMark !== null;
    this.#failures = 0;
    this.#firstPrincipal = null;
    this.#isShared = false;
    this.#retryMark = null;
    this.#isProbing = false;
    this.#pauseMs = FIRST_PAUSE_MS;
    return wasOpen;
  }

  /** The caller left before anything was known. */
  abandoned(): void {
    this.#isProbing = false;
  }

  /** True if this opened a closed circuit. */
  failed(failure: CircuitFailure, breakAfter: number): boolean {
    this.#failures += 1;
    if (!failure.bodyCanCause || (this.#firstPrincipal ?? failure.principal) !== failure.principal)
      this.#isShared = true;
    this.#firstPrincipal ??= failure.principal;
    if (this.#retryMark !== null) {
      // Calls that began before it opened say nothing new; the probe does.
      if (this.#isProbing) this.#pause(Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS));
      return false;
    }
    if (this.#failures < breakAfter || !this.#isShared) return false;
    this.#pause(FIRST_PAUSE_MS);
    return true;
  }

  #pause(pauseMs: number): void {
    this.#pauseMs = pauseMs;
    this.#isProbing = false;
    const [byte = 0] = this.#options.random.bytes(1);
    // Between three quarters and the whole of it, so that processes do not probe together.
    this.#retryMark = this.#options.clock.monotonicMs() + pauseMs * (0.75 + byte / 1024);
  }
}
