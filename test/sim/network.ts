/**
 * A seeded network for pure cores on a virtual clock: links that lose, repeat, reorder and delay. The
 * same seed gives the same run; a test that fails prints it.
 */

/** Numbers in [0, 1) that follow from the seed alone (mulberry32). */
export function seededNumbers(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Bytes that follow from the seed alone. */
export function seededRandom(seed: number): { bytes(count: number): Uint8Array } {
  const next = seededNumbers(seed);
  return { bytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(next() * 256)) };
}

export interface LinkConditions {
  /** 0 to 1 each. */
  readonly loss?: number;
  readonly duplication?: number;
  /** Share of packets that are delayed by up to `jitterMs` more. */
  readonly reordering?: number;
  readonly delayMs?: number;
  readonly jitterMs?: number;
  /** Bits per millisecond; unlimited if absent. A queue longer than `queueMs` drops. */
  readonly kilobitsPerSecond?: number;
  readonly queueMs?: number;
}

/** What lives on the virtual clock. */
export interface SimulatedCore {
  tick(now: number): void;
  nextWake(): number;
}

interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: (now: number) => void;
}

export class SimulatedNetwork {
  readonly seed: number;
  readonly random: () => number;
  readonly #cores: SimulatedCore[] = [];
  readonly #events: Event[] = [];
  #order = 0;
  #now = 0;

  constructor(seed: number) {
    this.seed = seed;
    this.random = seededNumbers(seed);
  }

  get now(): number {
    return this.#now;
  }

  add(core: SimulatedCore): void {
    this.#cores.push(core);
  }

  /** A one-way link; conditions may be changed by passing a function. */
  link(
    conditions: LinkConditions | (() => LinkConditions),
    deliver: (packet: Buffer, now: number) => void,
  ): (packet: Buffer) => void {
    let freeAt = 0;
    return (packet) => {
      const c = typeof conditions === 'function' ? conditions() : conditions;
      if (this.random() < (c.loss ?? 0)) return;
      let departs = this.#now;
      if (c.kilobitsPerSecond !== undefined) {
        if (freeAt - this.#now > (c.queueMs ?? 100)) return;
        freeAt = Math.max(freeAt, this.#now) + (packet.length * 8) / c.kilobitsPerSecond;
        departs = freeAt;
      }
      const copies = this.random() < (c.duplication ?? 0) ? 2 : 1;
      for (let copy = 0; copy < copies; copy += 1) {
        const isLate = this.random() < (c.reordering ?? 0);
        const late = isLate ? this.random() * (c.jitterMs ?? 10) : 0;
        const bytes = Buffer.from(packet);
        this.at(departs + (c.delayMs ?? 0) + late, (now) => deliver(bytes, now));
      }
    };
  }

  /** Runs something at a time, not before now. */
  at(time: number, run: (now: number) => void): void {
    const event = { at: Math.max(time, this.#now), order: this.#order, run };
    this.#order += 1;
    const events = this.#events;
    let index = events.length;
    events.push(event);
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = events[above] as Event;
      if (!isEarlier(event, parent)) break;
      events[index] = parent;
      index = above;
    }
    events[index] = event;
  }

  /** Advances until `isDone`, or `untilMs`; false if time ran out or nothing can happen any more. */
  run(isDone: () => boolean, untilMs: number): boolean {
    while (!isDone()) {
      const nextEvent = this.#events[0]?.at ?? Number.POSITIVE_INFINITY;
      let next = nextEvent;
      for (const core of this.#cores) next = Math.min(next, core.nextWake());
      if (next > untilMs) {
        this.#now = Number.isFinite(untilMs) ? untilMs : this.#now;
        return false;
      }
      this.#now = Math.max(this.#now, next);
      if (nextEvent <= this.#now) this.#take()?.run(this.#now);
      else for (const core of this.#cores) if (core.nextWake() <= this.#now) core.tick(this.#now);
    }
    return true;
  }

  #take(): Event | undefined {
    const events = this.#events;
    const first = events[0];
    const last = events.pop();
    if (first === undefined || last === undefined || events.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      const left = events[child];
      const right = events[child + 1];
      if (left === undefined) break;
      if (right !== undefined && isEarlier(right, left)) child += 1;
      const least = events[child] as Event;
      if (!isEarlier(least, last)) break;
      events[index] = least;
      index = child;
    }
    events[index] = last;
    return first;
  }
}

function isEarlier(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
