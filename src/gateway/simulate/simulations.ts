/**
 * Simulations under way and done. Each runs beside the gateway's own work, a few milliseconds at a
 * time; whoever started one asks for it until it is done, and one that nobody asks for ends.
 */
import { AppError } from '../../base/errors.ts';
import type { Clock, UnixMs } from '../../base/clock.ts';
import { newId } from '../../base/ids.ts';
import type { Random } from '../../base/random.ts';
import type { PolicySnapshot, Problem } from '../../policy/index.ts';
import type { CompiledDraft } from './draft.ts';
import type { FormatAbilities, RecordedRows, ReplayPrices, TokenLookup } from './ports.ts';
import type { SimulationReport } from './report.ts';
import { simulate } from './simulate.ts';

/** At the same time, over all actors. */
const RUNNING_MAX = 2;
/** Kept, done ones included. */
const KEPT_MAX = 16;
/** A done one can be asked for so long. */
const KEPT_MS = 10 * 60_000;
/** One that nobody asked about for so long ends. */
const ABANDONED_MS = 60_000;
/** 400 days: as long as rows are of use. */
const RANGE_MAX_MS = 400 * 86_400_000;
export const REQUESTS_TOLD_MAX = 1_000;

/**
 * `simulation_limit`: too many at once. `simulation_range`: the time is none. `simulation_draft`: the draft
 * cannot be read; see `problems`. `simulation_stopped`: cancelled, or nobody asked for it.
 */
export type SimulationErrorCode =
  | 'simulation_limit'
  | 'simulation_range'
  | 'simulation_draft'
  | 'simulation_stopped';

export class SimulationError extends AppError<SimulationErrorCode> {
  /** Of the draft, for `simulation_draft`. */
  readonly problems: readonly Problem[];

  constructor(code: SimulationErrorCode, message: string, problems: readonly Problem[] = []) {
    super(code, message);
    this.name = 'SimulationError';
    this.problems = problems;
  }
}

export interface SimulationRequest {
  /** Principal of who asks: nobody else sees it. */
  readonly owner: string;
  /** HuJSON. */
  readonly draft: string;
  /** Inclusive. */
  readonly from: UnixMs;
  /** Exclusive. */
  readonly to: UnixMs;
  /** Changed requests to tell one by one, 0 to 1,000. */
  readonly requestsMax: number;
}

export interface SimulationView {
  readonly id: string;
  readonly state: 'running' | 'done' | 'failed';
  /** Rows read so far. */
  readonly rows: number;
  /** Part of the time that is done, 0 to 1. */
  readonly progress: number;
  /** Once it is done. */
  readonly report: SimulationReport | null;
  /** Warnings and notes of the draft; a save refuses warnings. */
  readonly problems: readonly Problem[];
  /** The draft's own tests that fail; a save refuses them. */
  readonly testFailures: CompiledDraft['testFailures'];
  /** Why it failed, safe to show. */
  readonly error: string | null;
}

export interface SimulationsOptions {
  readonly tailnet: string;
  readonly store: RecordedRows;
  readonly policy: { current(): PolicySnapshot };
  /** Compiles a draft as the document in force is. */
  readonly compile: (text: string) => Promise<CompiledDraft>;
  readonly prices: ReplayPrices;
  readonly abilities: FormatAbilities;
  readonly tokenOf: TokenLookup;
  readonly clock: Clock;
  readonly random: Random;
  /** Default: the next turn of the event loop. */
  readonly pause?: () => Promise<void>;
}

export interface Simulations {
  /** Begins one. Rejects with `SimulationError`, and as the store does. */
  start(request: SimulationRequest): Promise<SimulationView>;
  /** Waits up to `waitMs` for its end; null if there is none of this owner's. */
  view(id: string, owner: string, waitMs: number): Promise<SimulationView | null>;
  /** Ends and forgets it; false if there is none of this owner's. */
  cancel(id: string, owner: string): boolean;
  /** Ends all. */
  close(): void;
}

export function createSimulations(options: SimulationsOptions): Simulations {
  return new Desk(options);
}

interface Job {
  readonly id: string;
  readonly owner: string;
  readonly stop: AbortController;
  readonly draft: CompiledDraft;
  readonly range: { readonly from: UnixMs; readonly to: UnixMs };
  readonly ended: Promise<void>;
  readonly end: () => void;
  state: SimulationView['state'];
  rows: number;
  at: UnixMs | null;
  report: SimulationReport | null;
  error: string | null;
  /** Monotonic. */
  askedMs: number;
}

class Desk implements Simulations {
  readonly #options: SimulationsOptions;
  readonly #jobs = new Map<string, Job>();
  #starting = 0;

  constructor(options: SimulationsOptions) {
    this.#options = options;
  }

  async start(request: SimulationRequest): Promise<SimulationView> {
    const { from, to } = request;
    if (!(to > from) || to - from > RANGE_MAX_MS)
      throw new SimulationError(
        'simulation_range',
        'a simulation covers more than no time and at most 400 days: give an earlier "since"',
      );
    this.#forgetOld();
    const running = [...this.#jobs.values()].filter(({ state }) => state === 'running').length;
    if (running + this.#starting >= RUNNING_MAX)
      throw new SimulationError(
        'simulation_limit',
        `at most ${RUNNING_MAX} simulations run at the same time: wait for one, or cancel it`,
      );
    this.#starting += 1;
    try {
      const draft = await this.#options.compile(request.draft);
      const errors = draft.problems.filter(({ severity }) => severity === 'error');
      if (errors.length > 0)
        throw new SimulationError(
          'simulation_draft',
          'the draft cannot be used: see its problems',
          draft.problems,
        );
      const job = this.#newJob(request, draft);
      this.#jobs.set(job.id, job);
      void this.#run(job, request);
      return viewOf(job);
    } finally {
      this.#starting -= 1;
    }
  }

  async view(id: string, owner: string, waitMs: number): Promise<SimulationView | null> {
    const job = this.#own(id, owner);
    if (job === null) return null;
    job.askedMs = this.#options.clock.monotonicMs();
    if (job.state === 'running' && waitMs > 0) {
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, waitMs);
      await Promise.race([job.ended, late.promise]);
      clearTimeout(timer);
      job.askedMs = this.#options.clock.monotonicMs();
    }
    return viewOf(job);
  }

  cancel(id: string, owner: string): boolean {
    const job = this.#own(id, owner);
    if (job === null) return false;
    job.stop.abort(new SimulationError('simulation_stopped', 'it was cancelled'));
    this.#jobs.delete(id);
    return true;
  }

  close(): void {
    for (const job of this.#jobs.values())
      job.stop.abort(new SimulationError('simulation_stopped', 'the server is stopping'));
    this.#jobs.clear();
  }

  #own(id: string, owner: string): Job | null {
    const job = this.#jobs.get(id);
    return job === undefined || job.owner !== owner ? null : job;
  }

  #newJob({ owner, from, to }: SimulationRequest, draft: CompiledDraft): Job {
    const { clock, random } = this.#options;
    const { promise, resolve } = Promise.withResolvers<void>();
    return {
      id: newId('sim', clock, random),
      owner,
      stop: new AbortController(),
      draft,
      range: { from, to },
      ended: promise,
      end: resolve,
      state: 'running',
      rows: 0,
      at: null,
      report: null,
      error: null,
      askedMs: clock.monotonicMs(),
    };
  }

  async #run(job: Job, request: SimulationRequest): Promise<void> {
    const { tailnet, store, prices, abilities, tokenOf, clock, policy } = this.#options;
    try {
      job.report = await simulate({
        tailnet,
        store,
        prices,
        abilities,
        tokenOf,
        clock,
        before: policy.current(),
        draft: job.draft.snapshot,
        from: request.from,
        to: request.to,
        requestsMax: Math.min(REQUESTS_TOLD_MAX, Math.max(0, request.requestsMax)),
        signal: job.stop.signal,
        pause: this.#options.pause ?? nextTurn,
        onProgress: ({ rows, at }) => {
          job.rows = rows;
          job.at = at;
          if (clock.monotonicMs() - job.askedMs > ABANDONED_MS)
            job.stop.abort(new SimulationError('simulation_stopped', 'nobody asked for it any more'));
        },
      });
      job.rows = job.report.rows;
      job.state = 'done';
    } catch (error) {
      job.state = 'failed';
      // Only this module's and the store's words are known to be safe.
      job.error = error instanceof AppError ? error.message : 'it failed inside';
    }
    job.end();
  }

  #forgetOld(): void {
    const now = this.#options.clock.monotonicMs();
    const done = [...this.#jobs.values()].filter(({ state }) => state !== 'running');
    const tooMany = this.#jobs.size - KEPT_MAX + 1;
    for (const [i, job] of done.entries())
      if (i < tooMany || now - job.askedMs > KEPT_MS) this.#jobs.delete(job.id);
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

function viewOf(job: Job): SimulationView {
  const { id, state, rows, report, error, draft, range } = job;
  const done = job.at === null ? 0 : (job.at - range.from) / (range.to - range.from);
  return {
    id,
    state,
    rows,
    progress: state === 'done' ? 1 : Math.min(1, Math.max(0, done)),
    report,
    problems: draft.problems,
    testFailures: draft.testFailures,
    error,
  };
}
