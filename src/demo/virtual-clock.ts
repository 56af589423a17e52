/**
 * The demo's clock while it fills its week: it goes on as fast as work really takes while anybody
 * works, and jumps to the next appointment when all sleep. A discrete-event simulation of real requests
 * over real sockets. Afterwards it is the system's clock, without a step back.
 */
import { systemClock, type Clock, type UnixMs } from '../base/clock.ts';

export interface VirtualClock extends Clock {
  /** Runs `task` when `at` comes; what it throws ends `run` with that error. */
  at(at: UnixMs, task: () => Promise<void>): void;
  /** Resolves `durationMs` later by this clock. Only within a task. */
  sleep(durationMs: number): Promise<void>;
  /** Lets time pass until nothing is planned any more; rejects with the first error of a task. */
  run(): Promise<void>;
  /** From now on this is the system's clock, and `sleep` waits as long as it says. */
  goLive(): void;
}

interface Appointment {
  readonly at: UnixMs;
  readonly order: number;
  readonly wake: () => void;
}

/** Whole turns of the event loop without work before time moves on: what an answer leaves behind is written by then. */
const QUIET_TURNS = 2;

export interface VirtualClockOptions {
  readonly startAt: UnixMs;
  /** Appointments so near to each other are kept at once: less exact, and faster. Default 0. */
  readonly togetherMs?: number;
  /** Default the system's clock. */
  readonly system?: Clock;
}

export function createVirtualClock(options: VirtualClockOptions): VirtualClock {
  return new EventClock(options);
}

/** Appointments kept at once: enough to fill a core, few enough to keep order. */
const TOGETHER_MAX = 16;

class EventClock implements VirtualClock {
  readonly #system: Clock;
  readonly #startAt: UnixMs;
  readonly #togetherMs: number;
  readonly #appointments: Appointment[] = [];
  #now: UnixMs;
  #since: number;
  #busy = 0;
  #order = 0;
  #live: { readonly wallOffset: number; readonly monotonicOffset: number } | null = null;
  #running: PromiseWithResolvers<void> | null = null;
  #isLooking = false;

  constructor({ startAt, togetherMs = 0, system = systemClock }: VirtualClockOptions) {
    this.#togetherMs = togetherMs;
    this.#startAt = startAt;
    this.#now = startAt;
    this.#system = system;
    this.#since = system.monotonicMs();
  }

  now(): UnixMs {
    return this.#live === null ? Math.floor(this.#precisely()) : this.#system.now() + this.#live.wallOffset;
  }

  monotonicMs(): number {
    return this.#live === null
      ? this.#precisely() - this.#startAt
      : this.#system.monotonicMs() + this.#live.monotonicOffset;
  }

  at(at: UnixMs, task: () => Promise<void>): void {
    this.#plan(at, () => {
      this.#busy += 1;
      task().then(
        () => this.#rest(),
        (error: unknown) => {
          this.#running?.reject(error);
          this.#rest();
        },
      );
    });
  }

  sleep(durationMs: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.#live !== null) {
        setTimeout(resolve, durationMs).unref();
        return;
      }
      this.#plan(this.#precisely() + Math.max(0, durationMs), () => {
        this.#busy += 1;
        resolve();
      });
      this.#rest();
    });
  }

  run(): Promise<void> {
    this.#running ??= Promise.withResolvers<void>();
    this.#look();
    return this.#running.promise;
  }

  goLive(): void {
    // Real time went on while the week was filled; a clock that would step back waits instead.
    const now = this.#precisely();
    const wallOffset = Math.max(0, Math.ceil(now) - this.#system.now());
    this.#live = { wallOffset, monotonicOffset: now - this.#startAt - this.#system.monotonicMs() };
    for (const { wake } of this.#appointments.splice(0)) wake();
  }

  /** The moment of the last jump, and what the work since took. */
  #precisely(): number {
    return this.#now + this.#system.monotonicMs() - this.#since;
  }

  #rest(): void {
    this.#busy -= 1;
    if (this.#busy === 0) this.#look();
  }

  /** Waits for quiet, then moves on to the next appointment. */
  #look(): void {
    if (this.#isLooking || this.#running === null || this.#live !== null) return;
    this.#isLooking = true;
    let turns = 0;
    const turn = (): void => {
      if (this.#busy > 0) {
        this.#isLooking = false;
      } else if (turns < QUIET_TURNS) {
        turns += 1;
        setImmediate(turn);
      } else {
        this.#isLooking = false;
        this.#next();
      }
    };
    turn();
  }

  #next(): void {
    const next = this.#take();
    if (next === null) return this.#running?.resolve();
    this.#now = Math.max(this.#precisely(), next.at);
    this.#since = this.#system.monotonicMs();
    next.wake();
    for (let together = 1; together < TOGETHER_MAX; together += 1) {
      const [also] = this.#appointments;
      if (also === undefined || also.at > next.at + this.#togetherMs) return;
      this.#take();
      also.wake();
    }
  }

  #plan(at: UnixMs, wake: () => void): void {
    this.#order += 1;
    const added = { at, order: this.#order, wake };
    const heap = this.#appointments;
    heap.push(added);
    for (let i = heap.length - 1; i > 0;) {
      const parent = (i - 1) >> 1;
      if (!swapIfLater(heap, parent, i)) break;
      i = parent;
    }
  }

  #take(): Appointment | null {
    const heap = this.#appointments;
    const [first] = heap;
    const last = heap.pop();
    if (first === undefined || last === undefined) return null;
    if (heap.length === 0) return first;
    heap[0] = last;
    for (let i = 0; ;) {
      const [left, right] = [2 * i + 1, 2 * i + 2];
      const child = isLater(heap[left], heap[right]) ? right : left;
      if (!swapIfLater(heap, i, child)) break;
      i = child;
    }
    return first;
  }
}

/** Orders a binary heap by time, then by who came first. */
function isLater(one: Appointment | undefined, other: Appointment | undefined): boolean {
  if (one === undefined || other === undefined) return one === undefined && other !== undefined;
  return one.at === other.at ? one.order > other.order : one.at > other.at;
}

function swapIfLater(heap: Appointment[], parent: number, child: number): boolean {
  const [above, below] = [heap[parent], heap[child]];
  if (above === undefined || below === undefined || !isLater(above, below)) return false;
  heap[parent] = below;
  heap[child] = above;
  return true;
}
