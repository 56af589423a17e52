/** The attempts of one request of the LLM surface, over the targets that may serve it. */
import type { Random } from '../../base/random.ts';
import type { Clock } from '../../base/clock.ts';
import type { PolicySnapshot } from '../../policy/index.ts';
import type { GatewayParts } from '../ports.ts';
import type { LlmRequest } from '../steps/read-request.ts';
import { Attempts, type AttemptsOptions } from './attempts.ts';
import type { GrantedTarget } from './granted-targets.ts';
import type { Health } from './health.ts';
import type { PickedTargets } from './pick-target.ts';
import { isRepeatable } from './repeatable.ts';
import { retryDeadline } from './retry.ts';

export interface RequestAttemptsInput {
  readonly policy: PolicySnapshot;
  readonly request: LlmRequest;
  readonly picked: PickedTargets<GrantedTarget>;
  /** The key is that of an object: no other will do. */
  readonly isPinned: boolean;
  /** Seconds that the caller says it waits; its own word. Null if it does not say. */
  readonly callerTimeoutSec: number | null;
}

export type RequestAttempts = Attempts<GrantedTarget>;

export function createAttempts(parts: GatewayParts, input: RequestAttemptsInput): RequestAttempts {
  return new Attempts(new Terms(parts, input));
}

/** `x-stainless-timeout`, whole seconds, of the SDKs; null where it says nothing. */
export function callerTimeoutSec(value: string | readonly string[] | undefined): number | null {
  return typeof value === 'string' && /^\d{1,6}$/.test(value) ? Number(value) : null;
}

/** One object, where functions would be made for each request. */
class Terms implements AttemptsOptions<GrantedTarget> {
  readonly picked: PickedTargets<GrantedTarget>;
  readonly health: Health;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly random: Random;
  readonly deadlineMark: number;
  readonly #parts: GatewayParts;
  readonly #input: RequestAttemptsInput;

  constructor(parts: GatewayParts, input: RequestAttemptsInput) {
    this.picked = input.picked;
    this.health = parts.health;
    this.clock = parts.clock;
    this.random = parts.random;
    this.deadlineMark = retryDeadline(parts.clock.monotonicMs(), input.callerTimeoutSec);
    this.#parts = parts;
    this.#input = input;
  }

  get retries(): number {
    return this.#input.policy.document.routing.retries;
  }

  isRepeatable(): boolean {
    return isRepeatable(this.#input.request);
  }

  mayCostTwice({ grant }: GrantedTarget): boolean {
    return (grant.governance?.buckets ?? []).every(({ name }) => !this.#isStrict(name));
  }

  hasOtherKey({ provider }: GrantedTarget, keyId: string): boolean {
    if (this.#input.isPinned) return false;
    return this.#parts.vault.hasOtherKey(provider.id, provider.baseUrl.origin, keyId);
  }

  /** Whether a budget, or one above it, promises that no more is spent than it holds. */
  #isStrict(name: string): boolean {
    const { quotas } = this.#input.policy.document;
    const seen = new Set<string>();
    for (let at: string | null = name; at !== null && !seen.has(at); at = quotas.get(at)?.parent ?? null) {
      seen.add(at);
      const quota = quotas.get(at);
      if (quota === undefined) return false;
      if ((quota.unit === 'usd' || quota.unit === 'tokens') && quota.reserve !== 'none') return true;
    }
    return false;
  }
}
