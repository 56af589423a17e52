/**
 * Congestion control: slow start (RFC 5681), then CUBIC (RFC 9438) with fast convergence. Windows are
 * bytes. Left out: HyStart++, ECN.
 */

/** RFC 9438 section 5: window growth, and what is left after a loss. */
const C = 0.4;
const BETA = 0.7;
/** RFC 6928: the initial window in segments, and at most so many bytes unless two segments are more. */
const INITIAL_SEGMENTS = 10;
const INITIAL_MAX_BYTES = 14_600;
/** Keeps arithmetic sane; far above any buffer here. */
const WINDOW_MAX_BYTES = 1 << 30;

export class Cubic {
  /** The congestion window. */
  window: number;
  /** Below it slow start, above it CUBIC. */
  threshold = WINDOW_MAX_BYTES;
  #mss: number;
  /** Segments, where the last reduction began. */
  #windowMax = 0;
  #priorWindow = 0;
  #epochStart = -1;
  #epochWindow = 0;
  #k = 0;
  /** What Reno would have, in segments. */
  #renoWindow = 0;
  #undo: { window: number; threshold: number; windowMax: number } | null = null;

  constructor(mss: number) {
    this.#mss = mss;
    this.window = initialWindow(mss);
  }

  /** The segment size is known, or became smaller: the window keeps its number of segments. */
  setMss(mss: number): void {
    this.window = Math.max(mss, Math.floor((this.window / this.#mss) * mss));
    this.#mss = mss;
  }

  /** `acked` bytes arrived while the window was what held the sender back. Times in ms. */
  onAck(acked: number, now: number, roundTripMs: number): void {
    let rest = acked;
    if (this.window < this.threshold) {
      const step = Math.min(rest, this.threshold - this.window);
      this.window += step;
      rest -= step;
      if (rest <= 0) return;
    }
    const mss = this.#mss;
    const segments = this.window / mss;
    if (this.#epochStart < 0) this.#startEpoch(now, segments);
    const seconds = (now - this.#epochStart) / 1000;
    const target = this.#curve(seconds + roundTripMs / 1000);
    const bounded = Math.min(Math.max(target, segments), segments * 1.5);
    let grown = segments + ((bounded - segments) / segments) * (rest / mss);
    const alpha = this.#renoWindow < this.#priorWindow ? (3 * (1 - BETA)) / (1 + BETA) : 1;
    this.#renoWindow += (alpha * rest) / mss / segments;
    if (this.#curve(seconds) < this.#renoWindow) grown = Math.max(grown, this.#renoWindow);
    this.window = Math.min(grown * mss, WINDOW_MAX_BYTES);
  }

  #startEpoch(now: number, segments: number): void {
    this.#epochStart = now;
    this.#epochWindow = segments;
    if (this.#windowMax < segments) this.#windowMax = segments;
    this.#k = Math.cbrt((this.#windowMax - this.#epochWindow) / C);
    this.#renoWindow = segments;
  }

  #curve(seconds: number): number {
    return C * (seconds - this.#k) ** 3 + this.#windowMax;
  }

  /** A loss, seen by acknowledgments; `flight` is what was outstanding. Reduces once per recovery. */
  onLoss(flight: number): void {
    this.#reduce(flight);
    this.window = this.threshold;
  }

  /** The retransmission timer ran out. `isFirst`: not for a segment that it ran out for before. */
  onTimeout(flight: number, isFirst: boolean): void {
    if (isFirst) this.#reduce(flight);
    this.window = this.#mss;
    this.#epochStart = -1;
  }

  #reduce(flight: number): void {
    this.#undo = { window: this.window, threshold: this.threshold, windowMax: this.#windowMax };
    const segments = this.window / this.#mss;
    this.#windowMax = segments < this.#windowMax ? (segments * (1 + BETA)) / 2 : segments;
    this.#priorWindow = segments;
    this.threshold = Math.max(Math.floor(Math.min(flight, this.window) * BETA), 2 * this.#mss);
    this.#epochStart = -1;
  }

  /** The last reduction was for nothing: what was repeated had arrived. */
  undo(): void {
    const before = this.#undo;
    if (before === null) return;
    this.window = Math.max(this.window, before.window);
    this.threshold = Math.max(this.threshold, before.threshold);
    this.#windowMax = before.windowMax;
    this.#epochStart = -1;
    this.#undo = null;
  }

  /** Nothing was sent for longer than a timeout: RFC 5681 section 4.1. */
  restartAfterIdle(): void {
    this.window = Math.min(this.window, initialWindow(this.#mss));
    this.#epochStart = -1;
  }
}

function initialWindow(mss: number): number {
  return Math.min(INITIAL_SEGMENTS * mss, Math.max(2 * mss, INITIAL_MAX_BYTES));
}
