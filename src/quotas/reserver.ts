/**
 * Takes from every bucket of a request in one step, or from none: at once where this process holds
 * enough, else after asking the store, once or a few times, within a deadline. Only when the store
 * has no more is a `bounded` request made smaller, or refused.
 */
import type { Clock } from '../base/clock.ts';
import type { QuotaEntry } from '../policy/document.ts';
import { Bucket } from './bucket.ts';
import type { BucketUse } from './bucket-use.ts';
import { costOf, type Estimate, type UnknownInput } from './estimate.ts';
import type { Leases } from './leases.ts';
import type { Timers } from './ports.ts';
import type { Refusal, RefusalCode } from './refusal.ts';
import { HeldReservation, SLICE_TOKENS, type Reservation, type ReservationHost } from './reservation.ts';
import { retryAfterSec } from './retry-after.ts';
import { Take } from './take.ts';

export interface ReserverOptions {
  readonly clock: Clock;
  readonly leases: Leases;
  readonly timers: Timers;
  readonly host: ReservationHost;
  readonly unknownInput: (quota: QuotaEntry) => UnknownInput;
  readonly noteExhausted: (bucket: Bucket) => void;
  /** A request waits for the store no longer than this. */
  readonly waitMaxMs: number;
  /** Buckets in memory. */
  readonly bucketsMax: number;
  /** Output limit that is written into a request when neither it nor the model has a known one. */
  readonly outputTokensUnknown: number;
}

/** Default of the least useful answer. */
const OUTPUT_MIN_TOKENS = 64;
/** Others may take what came before the one who asked gets to it. */
const ATTEMPTS_MAX = 3;

/** A take that cannot be paid at once, and what it needs in all: at least, and at best. */
interface Shortage {
  readonly take: Take;
  readonly least: number;
  readonly whole: number;
}

type Stage = 'first' | 'again' | 'last';

/** The output tokens that a request is planned with. */
interface Plan {
  /** Infinity where nothing bounds them but the budget. */
  readonly want: number;
  /** Fewer are refused. */
  readonly min: number;
  readonly canClamp: boolean;
  readonly metered: boolean;
}

export class Reserver {
  readonly #options: ReserverOptions;

  constructor(options: ReserverOptions) {
    this.#options = options;
  }

  reserve(
    uses: readonly BucketUse[],
    estimate: Estimate,
  ): Reservation | Refusal | Promise<Reservation | Refusal> {
    const takes = this.#prepare(uses, estimate);
    if (!Array.isArray(takes)) return takes;
    const plan = this.#plan(takes, estimate);
    if ('granted' in plan) return plan;
    const first = this.#attempt(takes, estimate, plan, 'first');
    if (!Array.isArray(first)) return first;
    if (!first.some((shortage) => this.#canAsk(shortage.take))) return this.#last(takes, estimate, plan);
    return this.#askAndRetry(takes, estimate, plan, first);
  }

  #prepare(uses: readonly BucketUse[], estimate: Estimate): Take[] | Refusal {
    const takes: Take[] = [];
    for (const use of uses) {
      const answer = costOf(use, estimate, this.#options.unknownInput);
      if (!answer.ok) return refusal(use, answer.code, answer.message);
      const chain: Bucket[] = [];
      for (const member of use.overdraft.length === 0 ? [use] : [use, ...use.overdraft]) {
        const bucket = this.#bucketOf(member);
        if (bucket === null)
          return refusal(use, 'unavailable', `more than ${this.#options.bucketsMax} budgets are in use`);
        if (!chain.includes(bucket)) chain.push(bucket);
      }
      takes.push(new Take(use, chain, answer.cost));
    }
    return takes;
  }

  #bucketOf(use: BucketUse): Bucket | null {
    const { leases, bucketsMax } = this.#options;
    const known = leases.find(use.key);
    if (known !== undefined) {
      if (known.quota !== use.quota) known.rebase(use.quota);
      return known;
    }
    if (leases.size >= bucketsMax) return null;
    const bucket = new Bucket(use);
    leases.add(bucket);
    return bucket;
  }

  #plan(takes: readonly Take[], estimate: Estimate): Plan | Refusal {
    const metered = estimate.metered === true;
    const canClamp = estimate.clampable !== false;
    const limit = estimate.outputTokensMax;
    let want = limit ?? (metered ? Infinity : this.#options.outputTokensUnknown);
    for (const take of takes) {
      if (limit !== null || take.cost.perToken === 0) continue;
      const isBounded = take.use.quota.reserve === 'bounded';
      if (!canClamp && !(metered && isBounded))
        return refusal(
          take.use,
          'output_unlimited',
          `budget "${take.use.bucket}" needs a limit on the output: state one in the request`,
        );
      if (!isBounded) want = Math.min(want, this.#options.outputTokensUnknown);
    }
    return { want, min: Math.min(want, estimate.outputTokensMin ?? OUTPUT_MIN_TOKENS), canClamp, metered };
  }

  /** A reservation, or what is missing; at `last` a smaller one, or a refusal. */
  #attempt(
    takes: readonly Take[],
    estimate: Estimate,
    plan: Plan,
    stage: 'first' | 'again',
  ): Reservation | Shortage[];
  #attempt(takes: readonly Take[], estimate: Estimate, plan: Plan, stage: 'last'): Reservation | Refusal;
  #attempt(
    takes: readonly Take[],
    estimate: Estimate,
    plan: Plan,
    stage: Stage,
  ): Reservation | Refusal | Shortage[] {
    const wall = this.#options.clock.now();
    const final = stage === 'last';
    const allowed = affordable(takes, plan, wall, final);
    const shortages: Shortage[] = [];
    for (const take of takes) {
      const shortage =
        shortageOf(take, plan, allowed, wall) ??
        (stage === 'first' && this.#mayBeStale(take, plan) ? wholeOf(take, plan, allowed) : null);
      if (shortage === null) continue;
      if (final) return this.#refuse(takes, take, plan);
      shortages.push(shortage);
    }
    if (shortages.length > 0) return shortages;
    if (!this.#takeAll(takes, plan, allowed, wall))
      return final ? this.#refuse(takes, takes[0], plan) : takes.map((take) => wholeOf(take, plan, allowed));
    for (const { chain } of takes) {
      const bucket = chain[0];
      if (bucket?.isLow === true && this.#options.leases.mayAsk(bucket))
        void this.#options.leases.ask(bucket, 0, bucket.available + 1);
    }
    const tokens = plan.metered ? Math.min(SLICE_TOKENS, allowed) : allowed;
    return new HeldReservation(this.#options.host, takes, {
      outputTokensAllowed: limitToWrite(estimate, allowed, this.#options.outputTokensUnknown),
      tokens,
      limit: allowed,
      metered: plan.metered && takes.some(isGrowing),
    });
  }

  /** A stream would get a lower limit because of what the store had some time ago: worth a question. */
  #mayBeStale(take: Take, plan: Plan): boolean {
    if (!plan.metered || !plan.canClamp || !isGrowing(take)) return false;
    const wanted = Math.min(plan.want, this.#options.outputTokensUnknown);
    return take.tokensFor(take.spendable()) < wanted && this.#canAsk(take);
  }

  #takeAll(takes: readonly Take[], plan: Plan, allowed: number, wall: number): boolean {
    const { tick } = this.#options.leases;
    for (const [i, take] of takes.entries()) {
      if (take.isUnreserved) {
        for (const bucket of take.chain) bucket.usedTick = tick;
      } else if (!take.reserve(tokensAtFirst(take, plan, allowed), wall, tick)) {
        // Two of the takes share a bucket that has enough for one.
        for (const taken of takes.slice(0, i)) taken.release();
        return false;
      }
    }
    return true;
  }

  #canAsk({ chain }: Take): boolean {
    const wall = this.#options.clock.now();
    return chain.some((bucket) => wall >= bucket.askAt || this.#options.leases.mayAsk(bucket));
  }

  async #askAndRetry(
    takes: readonly Take[],
    estimate: Estimate,
    plan: Plan,
    missing: readonly Shortage[],
  ): Promise<Reservation | Refusal> {
    const { timers, waitMaxMs } = this.#options;
    const { promise: late, resolve } = Promise.withResolvers<boolean>();
    const cancel = timers.after(waitMaxMs, () => resolve(false));
    try {
      let shortages = missing;
      for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
        const asked = shortages.flatMap((shortage) => this.#ask(shortage));
        const done = await Promise.race([all(asked), late]);
        if (!done) return this.#unavailable(takes, estimate, plan, shortages);
        const answer = this.#attempt(takes, estimate, plan, 'again');
        if (!Array.isArray(answer)) return answer;
        shortages = answer;
        if (!shortages.some((shortage) => this.#canAsk(shortage.take))) break;
      }
      return this.#last(takes, estimate, plan);
    } finally {
      cancel();
    }
  }

  /** A chain is asked whole: what one of it lacks, the next may have. */
  #ask({ take, least, whole }: Shortage): Promise<boolean>[] {
    const { leases, clock } = this.#options;
    const [only] = take.chain;
    if (take.chain.length === 1 && only !== undefined) return [leases.ask(only, least, whole)];
    const missing = Math.max(1, whole - take.held(clock.now()));
    return take.chain.map((bucket) => leases.ask(bucket, 0, bucket.available + missing));
  }

  #last(takes: readonly Take[], estimate: Estimate, plan: Plan): Reservation | Refusal {
    return this.#attempt(takes, estimate, plan, 'last');
  }

  /** The store did not answer: what is held may do, and a refusal says why. */
  #unavailable(
    takes: readonly Take[],
    estimate: Estimate,
    plan: Plan,
    shortages: readonly Shortage[],
  ): Reservation | Refusal {
    const answer = this.#attempt(takes, estimate, plan, 'last');
    const use = shortages[0]?.take.use;
    if (answer.granted || answer.code !== 'exhausted' || use === undefined) return answer;
    return {
      ...refusal(use, 'unavailable', `budget "${use.bucket}" could not be read in time; try again`),
      retryAfterSec: 1,
    };
  }

  #refuse(takes: readonly Take[], tightest: Take | undefined, plan: Plan): Refusal {
    const take = tightest ?? takes[0];
    if (take === undefined) return NOTHING_LEFT;
    const { use } = take;
    const needed = take.isUnreserved ? 1 : take.amountFor(leastTokens(take, plan));
    const remaining = Math.max(0, take.spendable());
    const fits = needed <= take.chain.reduce((sum, bucket) => sum + bucket.quota.capacity, 0);
    for (const bucket of take.chain) this.#options.noteExhausted(bucket);
    return {
      granted: false,
      code: fits ? 'exhausted' : 'too_large',
      bucket: use.bucket,
      quota: use.quota.name,
      unit: use.quota.unit,
      needed,
      remaining,
      retryAfterSec: fits ? retryAfterSec(take.chain, needed, this.#options.clock.now()) : null,
      message: fits
        ? `budget "${use.bucket}" is spent`
        : `the request may cost more than budget "${use.bucket}" ever holds; ask for a shorter answer`,
    };
  }
}

function isGrowing(take: Take): boolean {
  return take.cost.perToken > 0 && take.use.quota.reserve === 'bounded';
}

/** A take whose answer may be made shorter than the request asks. */
function canShorten(take: Take, plan: Plan): boolean {
  return isGrowing(take) && (plan.canClamp || plan.metered);
}

/** Output tokens below which a take is refused. */
function leastTokens(take: Take, plan: Plan): number {
  return canShorten(take, plan) ? plan.min : Number.isFinite(plan.want) ? plan.want : plan.min;
}

/** Output tokens that the takes can pay: what was asked for unless the budget is near its end. */
function affordable(takes: readonly Take[], plan: Plan, wall: number, final: boolean): number {
  let allowed = plan.want;
  for (const take of takes) {
    if (!canShorten(take, plan)) continue;
    if (plan.metered ? plan.canClamp : final) allowed = Math.min(allowed, payable(take, plan, wall));
  }
  return allowed;
}

/** Output tokens that a take can pay. What is in the store counts for a stream, which fetches it as it grows. */
function payable(take: Take, plan: Plan, wall: number): number {
  return take.tokensFor(plan.metered && plan.canClamp ? take.spendable() : take.held(wall));
}

/** Output tokens that are reserved before the first byte. */
function tokensAtFirst(take: Take, plan: Plan, allowed: number): number {
  if (take.cost.perToken === 0) return 0;
  if (plan.metered && isGrowing(take)) return Math.min(SLICE_TOKENS, allowed);
  // A limit that is written into the request bounds every budget.
  return plan.canClamp ? allowed : plan.want;
}

function shortageOf(take: Take, plan: Plan, allowed: number, wall: number): Shortage | null {
  if (take.isUnreserved) {
    const isKnown = take.chain.every((bucket) => wall < bucket.askAt);
    return isKnown && take.spendable() > 0 ? null : { take, least: 1, whole: 1 };
  }
  const shortage = wholeOf(take, plan, allowed);
  const isUseless = canShorten(take, plan) && payable(take, plan, wall) < plan.min;
  return take.held(wall) >= shortage.whole && !isUseless ? null : shortage;
}

function wholeOf(take: Take, plan: Plan, allowed: number): Shortage {
  const tokens = tokensAtFirst(take, plan, Math.max(allowed, plan.min));
  return {
    take,
    least: take.amountFor(Math.min(tokens, leastTokens(take, plan))),
    whole: take.amountFor(tokens),
  };
}

/** The limit that the request must carry; null where it may stay as it is. */
function limitToWrite(estimate: Estimate, allowed: number, unknown: number): number | null {
  if (allowed === estimate.outputTokensMax || estimate.clampable === false) return null;
  // A stream without a limit is cut when its budget is spent; a huge limit would only be refused upstream.
  return estimate.outputTokensMax === null && estimate.metered === true && allowed > unknown ? null : allowed;
}

async function all(asked: readonly Promise<boolean>[]): Promise<boolean> {
  return (await Promise.all(asked)).every(Boolean);
}

function refusal(use: BucketUse, code: RefusalCode, message: string): Refusal {
  return {
    granted: false,
    code,
    bucket: use.bucket,
    quota: use.quota.name,
    unit: use.quota.unit,
    needed: 0,
    remaining: 0,
    retryAfterSec: null,
    message,
  };
}

const NOTHING_LEFT: Refusal = {
  granted: false,
  code: 'exhausted',
  bucket: '',
  quota: '',
  unit: 'requests',
  needed: 0,
  remaining: 0,
  retryAfterSec: null,
  message: 'a budget is spent',
};
