/**
 * What hooks are told after a request: never waited for, tried again with growing pauses, and listed
 * when given up. Everything is bounded: jobs, bytes, calls at a time, attempts.
 */
import type { AppError } from '../../base/errors.ts';
import type { Clock, UnixMs } from '../../base/clock.ts';
import { newId } from '../../base/ids.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { SmallAnswer } from '../../net/index.ts';
import type { HookEntry } from '../../policy/document.ts';
import type { HookCaller } from './caller.ts';
import { hookError, type HookFault } from './errors.ts';
import type { Timers } from './ports.ts';
import type { DeadLetters } from './dead-letters.ts';
import type { DeadLetter, HookEvent } from './shapes.ts';

export interface DeliveryLimits {
  /** Jobs that wait, run or pause. Default 1,000. */
  readonly jobsMax: number;
  /** Their bodies together. Default 32 MiB. */
  readonly bytesMax: number;
  /** Calls at a time to one hook. Default 4. */
  readonly perHook: number;
  /** Default 5. */
  readonly attemptsMax: number;
  /** First pause; doubles up to a minute. Default 1,000. */
  readonly firstPauseMs: number;
}

export const DEFAULT_DELIVERY_LIMITS: DeliveryLimits = {
  jobsMax: 1_000,
  bytesMax: 32 * 1024 * 1024,
  perHook: 4,
  attemptsMax: 5,
  firstPauseMs: 1_000,
};
const LONGEST_PAUSE_MS = 60_000;
/** One line about lost deliveries at most so often. */
const LOG_EVERY_MS = 60_000;

export interface Delivery {
  readonly entry: HookEntry;
  readonly event: HookEvent;
  readonly payload: Buffer;
  readonly requestId: string;
  readonly principal: string;
  readonly loginName: string;
  /** Given up, what it holds may be kept for another attempt. */
  readonly isKept: boolean;
  /** The hook has it. */
  readonly onDelivered?: () => void;
}

interface Job extends Delivery {
  readonly queuedAt: UnixMs;
  attempts: number;
  /** Ends the pause before the next attempt. */
  cancelPause: (() => void) | null;
}

export interface DeliveriesOptions {
  readonly caller: HookCaller;
  readonly clock: Clock;
  readonly random: Random;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly limits: DeliveryLimits;
  readonly onDeadLetter: (letter: DeadLetter) => void;
  readonly letters: DeadLetters;
  /** As the document in force has it; null for one that is gone or switched off. */
  readonly entryOf: (hook: string) => HookEntry | null;
}

/** Why a letter is not tried again: none has this id, its content was not kept, its hook is gone. */
export type RetryRefusal = 'unknown' | 'not_kept' | 'hook_gone';

export class Deliveries {
  readonly #options: DeliveriesOptions;
  readonly #jobs = new Set<Job>();
  #ready: Job[] = [];
  readonly #running = new Map<string, number>();
  readonly #ending = new AbortController();
  #bytes = 0;
  #deadCount = 0;
  #loggedAt: UnixMs | null = null;
  #isClosed = false;
  #onIdle: (() => void) | null = null;

  constructor(options: DeliveriesOptions) {
    this.#options = options;
  }

  /** Takes a delivery, or lists it as given up where there is no room. Never waits, never throws. */
  push(delivery: Delivery): void {
    const { limits, clock } = this.#options;
    const job: Job = { ...delivery, queuedAt: clock.now(), attempts: 0, cancelPause: null };
    if (this.#isClosed) return this.#bury(job, stopping());
    if (this.#jobs.size >= limits.jobsMax || this.#bytes + delivery.payload.length > limits.bytesMax) {
      const error = hookError(
        'hook_queue_full',
        `more than ${limits.jobsMax} deliveries or ${limits.bytesMax} bytes wait`,
      );
      return this.#bury(job, error);
    }
    this.#jobs.add(job);
    this.#bytes += delivery.payload.length;
    this.#ready.push(job);
    this.#pump();
  }

  /** Lists a delivery that could not even be put together. */
  refuse(delivery: Omit<Delivery, 'payload'>, error: AppError<HookFault>): void {
    const { clock } = this.#options;
    this.#bury(
      { ...delivery, payload: Buffer.alloc(0), queuedAt: clock.now(), attempts: 0, cancelPause: null },
      error,
    );
  }

  /** Tries a letter again from the beginning; null where that is under way. */
  retry(id: string): RetryRefusal | null {
    const { letters, entryOf } = this.#options;
    const kept = letters.find(id);
    if (kept === null) return 'unknown';
    const { letter, payload, principal } = kept;
    if (payload === null) return 'not_kept';
    const entry = entryOf(letter.hook);
    if (entry === null) return 'hook_gone';
    letters.drop(id);
    const { event, requestId, loginName } = letter;
    this.push({ entry, event, requestId, loginName, principal, isKept: true, payload: Buffer.from(payload) });
    return null;
  }

  /** What an earlier process had no time for is tried again. */
  resume(): void {
    for (const { id, fault, canRetry } of this.#options.letters.list().toReversed())
      if (fault === 'hook_stopping' && canRetry) this.retry(id);
  }

  get counts(): { readonly deadLetterCount: number; readonly queued: number; readonly queuedBytes: number } {
    return { deadLetterCount: this.#deadCount, queued: this.#jobs.size, queuedBytes: this.#bytes };
  }

  /** Takes nothing more, tries everything that is left once, and gives up what is not done after `graceMs`. */
  async close(graceMs: number): Promise<void> {
    this.#isClosed = true;
    for (const job of this.#jobs) this.#resume(job);
    if (this.#jobs.size === 0) return;
    const idle = new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
    const cancel = this.#options.timers.after(graceMs, () => {
      for (const job of this.#ready.splice(0)) this.#giveUp(job, stopping());
      this.#ending.abort();
    });
    await idle;
    cancel();
  }

  #pump(): void {
    const { perHook } = this.#options.limits;
    const waiting: Job[] = [];
    for (const job of this.#ready.splice(0)) {
      const running = this.#running.get(job.entry.id) ?? 0;
      if (running >= perHook) {
        waiting.push(job);
        continue;
      }
      this.#running.set(job.entry.id, running + 1);
      void this.#attempt(job);
    }
    this.#ready = [...waiting, ...this.#ready];
  }

  async #attempt(job: Job): Promise<void> {
    job.attempts += 1;
    const { entry, event, payload, requestId, principal, attempts: attempt } = job;
    const facts = {
      event,
      requestId,
      principal,
      attempt,
      signal: this.#ending.signal,
      kind: 'deliver',
    } as const;
    const called = await this.#options.caller.call(entry, payload, facts, readDelivered);
    const running = (this.#running.get(entry.id) ?? 1) - 1;
    if (running === 0) this.#running.delete(entry.id);
    else this.#running.set(entry.id, running);
    if (called.ok) {
      job.onDelivered?.();
      this.#forget(job);
    } else if (this.#mayRetry(job, called.error)) this.#pause(job);
    else this.#giveUp(job, this.#ending.signal.aborted ? stopping() : called.error);
    this.#pump();
  }

  #mayRetry(job: Job, error: AppError<HookFault>): boolean {
    return !this.#isClosed && job.attempts < this.#options.limits.attemptsMax && isPassing(error);
  }

  /** Half of the pause is drawn, so that what failed together does not come back together. */
  #pause(job: Job): void {
    const { limits, random, timers } = this.#options;
    const longest = Math.min(limits.firstPauseMs * 2 ** (job.attempts - 1), LONGEST_PAUSE_MS);
    const [byte = 0] = random.bytes(1);
    job.cancelPause = timers.after(longest * (0.5 + byte / 512), () => this.#resume(job));
  }

  #resume(job: Job): void {
    if (job.cancelPause === null) return;
    job.cancelPause();
    job.cancelPause = null;
    this.#ready.push(job);
    this.#pump();
  }

  #giveUp(job: Job, error: AppError<HookFault>): void {
    this.#bury(job, error);
    this.#forget(job);
  }

  #forget(job: Job): void {
    if (!this.#jobs.delete(job)) return;
    this.#bytes -= job.payload.length;
    if (this.#jobs.size === 0) this.#onIdle?.();
  }

  #bury(job: Job, error: AppError<HookFault>): void {
    const { entry, event, requestId, loginName, queuedAt, attempts } = job;
    const { clock, random, letters, logger, onDeadLetter } = this.#options;
    const now = clock.now();
    const letter = letters.add(
      {
        id: newId('dlv', clock, random),
        hook: entry.id,
        event,
        requestId,
        loginName,
        queuedAt,
        at: now,
        attempts,
        fault: error.code,
        message: error.message,
      },
      { principal: job.principal, payload: job.isKept ? job.payload : null },
    );
    this.#deadCount += 1;
    onDeadLetter(letter);
    if (this.#loggedAt !== null && now - this.#loggedAt < LOG_EVERY_MS) return;
    this.#loggedAt = now;
    logger.warn('a delivery to a hook was given up', {
      hook: entry.id,
      event,
      fault: error.code,
      so_far: this.#deadCount,
    });
  }
}

/** The answer's body is not read, as in Aperture; only its status says whether the hook has it. */
function readDelivered({ status }: SmallAnswer): { readonly action: 'delivered' } | AppError<HookFault> {
  if (status >= 200 && status <= 299) return { action: 'delivered' };
  const mayPass = status >= 500 || status === 408 || status === 425 || status === 429;
  return mayPass
    ? hookError('hook_status', `the hook answered ${status}`)
    : hookError('hook_refused', `the hook answered ${status}, which no further attempt mends`);
}

function stopping(): AppError<HookFault> {
  return hookError('hook_stopping', 'the process stops');
}

/** Whether trying again may help. */
function isPassing({ code }: AppError<HookFault>): boolean {
  return (
    code === 'hook_unreachable' || code === 'hook_timeout' || code === 'hook_status' || code === 'hook_busy'
  );
}
