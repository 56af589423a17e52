/**
 * The attempts of one request: over which targets, what became of each, and whether there is
 * another. Joins `pick-target.ts`, `health.ts` and `retry.ts`; sends and waits for nothing itself.
 *
 *     attempts.begin(keyId)          the request is sent to `attempts.target`
 *     attempts.end(result) -> plan   its head or its failure is known, nothing was sent to the caller
 *     attempts.conclude(isWhole)     the answer that was let through has ended, or the caller left
 */
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { isOfKey, judge, type AttemptResult, type Judgement } from './attempt-result.ts';
import type { Health, HealthNews, HealthSubject } from './health.ts';
import { subjectOf, type PickedTargets, type Target } from './pick-target.ts';
import { retryPlan, type RetryPlan } from './retry.ts';
import { fractionOf } from './sticky.ts';

/** One attempt as the record keeps it. */
export interface AttemptRecord {
  readonly provider: string;
  readonly model: string;
  readonly keyId: string | null;
  /** `ok`, `refused` (the caller's fault), `left` (by the caller), or whose fault it was. */
  readonly outcome: 'ok' | 'refused' | 'left' | NonNullable<Judgement['fault']> | 'not_sent';
  /** Of the provider's answer; null without one. */
  readonly status: number | null;
  /** Until its head or its failure, in whole milliseconds. */
  readonly durationMs: number;
}

export interface AttemptsOptions<T extends Target> {
  /** At least one target. */
  readonly picked: PickedTargets<T>;
  readonly health: Health;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly random: Random;
  /** Further attempts that policy allows, 0 to 5. */
  readonly retries: number;
  /** Monotonic; from `retryDeadline`. */
  readonly deadlineMark: number;
  /** Asked only once something failed, like what follows. */
  isRepeatable(): boolean;
  /** False under a strict budget whose reservation covers one attempt. */
  mayCostTwice(target: T): boolean;
  /** Whether the provider of a target has another usable key than the one that was just refused. */
  hasOtherKey(target: T, keyId: string): boolean;
}

interface Running {
  readonly subject: HealthSubject;
  readonly sentMark: number;
}

export class Attempts<T extends Target> {
  readonly #options: AttemptsOptions<T>;
  #index = 0;
  #running: Running | null = null;
  /** `end` was called for what runs. */
  #hasResult = false;
  readonly #records: AttemptRecord[] = [];

  constructor(options: AttemptsOptions<T>) {
    this.#options = options;
  }

  /** Where the next attempt goes. */
  get target(): T {
    const target = this.#options.picked.targets[this.#index];
    if (target === undefined) throw new Error('assertion failed: attempts need a target');
    return target;
  }

  /** In order; at most `retries` + 1. */
  get records(): readonly AttemptRecord[] {
    return this.#records;
  }

  /** The attempt is sent now. `keyId` is null where none of Postern's is used. */
  begin(keyId: string | null, hasOwnCredential = false): void {
    const { provider, model } = this.target;
    const sentMark = this.#options.clock.monotonicMs();
    this.#hasResult = false;
    this.#running = { subject: { provider: provider.id, model, keyId, hasOwnCredential }, sentMark };
    this.#options.health.begin(this.#running.subject, sentMark);
  }

  /**
   * Notes how the attempt ended and says what comes next; with `retry` the target is already the
   * next one. `isTooLate`: the caller has a part of an answer, or has gone.
   */
  end(result: AttemptResult, isTooLate: boolean): RetryPlan {
    const running = this.#take();
    const judged = judge(result);
    const nowMark = this.#options.clock.monotonicMs();
    this.#options.health.note(running.subject, running.sentMark, newsOf(result, judged));
    this.#add(running, nowMark, outcomeOf(result, judged), result.kind === 'head' ? result.status : null);
    if (!judged.isWorthRetrying) {
      this.#running = running;
      this.#hasResult = true;
      return ANSWERED;
    }
    const plan = this.#plan(result, { running, nowMark, isTooLate });
    if (plan.kind === 'retry' && plan.on === 'next')
      this.#index = this.#nextUsable(running.subject) ?? this.#index;
    return plan;
  }

  /** However it ended, after `end` or without: `finish` or `abandon`. Harmless where nothing runs. */
  conclude(isWhole: boolean | null): void {
    if (this.#hasResult) this.finish(isWhole);
    else this.abandon();
  }

  /** The caller left, or was cut, before the attempt had a result. */
  abandon(): void {
    if (this.#running === null) return;
    const running = this.#take();
    this.#options.health.note(running.subject, running.sentMark, NEUTRAL);
    this.#add(running, this.#options.clock.monotonicMs(), 'left', null);
  }

  /** After `end` let a good answer through: whether it came whole, or broke off by the provider's fault. Null: the caller left. */
  finish(isWhole: boolean | null): void {
    if (this.#running === null) return;
    const { subject, sentMark } = this.#take();
    const last = this.#records.at(-1);
    if (last?.outcome !== 'ok') return;
    this.#options.health.note(subject, sentMark, isWhole === null ? NEUTRAL : isWhole ? OK : BROKE_OFF);
  }

  #plan(
    result: AttemptResult,
    { running, nowMark, isTooLate }: { running: Running; nowMark: number; isTooLate: boolean },
  ): RetryPlan {
    const { picked, health, retries, deadlineMark, random } = this.#options;
    const { subject } = running;
    const { fault } = judge(result);
    return retryPlan({
      result,
      attempts: this.#records.length,
      // Where everything is in trouble, one attempt is all that is made.
      retries: picked.usable === 0 ? 0 : retries,
      nowMark,
      deadlineMark,
      isTooLate,
      isRepeatable: this.#options.isRepeatable(),
      mayCostTwice: this.#options.mayCostTwice(this.target),
      hasOtherKey: isOfKey(fault) && this.#hasOtherKey(subject),
      hasOtherTarget: this.#nextUsable(subject) !== null,
      isSameUsable: health.isUsable(subject),
      jitter: fractionOf(random.bytes(7)),
    });
  }

  #hasOtherKey({ keyId }: HealthSubject): boolean {
    return keyId !== null && this.#options.hasOtherKey(this.target, keyId);
  }

  /**
   * The next target that is not in trouble now: health may have changed since they were picked. A
   * credential of the caller's own was given to one provider and is not shown to another.
   */
  #nextUsable({ provider, hasOwnCredential }: HealthSubject): number | null {
    const { picked, health } = this.#options;
    for (let index = this.#index + 1; index < picked.targets.length; index += 1) {
      const target = picked.targets[index];
      if (target === undefined || (hasOwnCredential === true && target.provider.id !== provider)) continue;
      if (health.isUsable(subjectOf(target))) return index;
    }
    return null;
  }

  #take(): Running {
    const running = this.#running;
    if (running === null) throw new Error('assertion failed: no attempt has begun');
    this.#running = null;
    return running;
  }

  #add(
    { subject, sentMark }: Running,
    nowMark: number,
    outcome: AttemptRecord['outcome'],
    status: number | null,
  ): void {
    const { provider, model, keyId } = subject;
    const durationMs = Math.max(0, Math.round(nowMark - sentMark));
    this.#records.push({ provider, model, keyId, outcome, status, durationMs });
  }
}

const ANSWERED: RetryPlan = { kind: 'stop', why: 'answered' };
const NEUTRAL: HealthNews = { kind: 'neutral' };
const BEGUN: HealthNews = { kind: 'begun' };
const OK: HealthNews = { kind: 'ok' };
const REFUSED: HealthNews = { kind: 'refused' };
const BROKE_OFF: HealthNews = { kind: 'fault', fault: 'failing', retryAfterMs: null };

function newsOf(result: AttemptResult, { fault }: Judgement): HealthNews {
  if (fault !== null)
    return { kind: 'fault', fault, retryAfterMs: result.kind === 'head' ? result.retryAfterMs : null };
  if (result.kind !== 'head') return NEUTRAL;
  return result.status < 400 ? BEGUN : REFUSED;
}

function outcomeOf(result: AttemptResult, { fault, isWorthRetrying }: Judgement): AttemptRecord['outcome'] {
  if (fault !== null) return fault;
  if (result.kind === 'head') return result.status < 400 ? 'ok' : 'refused';
  return isWorthRetrying ? 'not_sent' : 'left';
}
