/**
 * Which providers, models and keys are in trouble: circuit breakers in memory, on the monotonic
 * clock. Only what is in trouble is remembered, so that a healthy gateway pays one look at an empty
 * map.
 *
 * Trouble is held against no more than it concerns: a provider that cannot be reached (every model
 * of it), a model that its provider fails to serve, a key that is rejected, a key's limit for one
 * model. Faults of the caller (4xx) concern nobody.
 *
 *     closed ── `breakAfter` failures in a row, or a stated `Retry-After` ──> open
 *     open ── the pause ends ──> half-open: one attempt at a time is let through
 *     half-open ── it fails ──> open, twice as long, up to 5 minutes
 *     half-open ── it succeeds ──> closed
 *
 * An open circuit moves a target behind the others and never refuses by itself (`pick-target.ts`).
 */
import type { Clock, UnixMs } from '../../base/clock.ts';
import type { Fault } from './attempt-result.ts';

/** 5 min: a provider that came back is noticed within that. */
const PAUSE_MAX_MS = 300_000;
/** Failures this far apart are not in a row. */
const ROW_MS = 600_000;
/** A probe that nothing was heard of for so long no longer keeps others away. */
const PROBE_MAX_MS = 30_000;
/** Circuits kept at most in each of the two tables; the oldest goes. Callers choose model names where providers have patterns. */
const CIRCUITS_MAX = 4096;

/** What an attempt is sent to. */
export interface HealthSubject {
  /** Provider id. */
  readonly provider: string;
  /** Upstream id; '' on routes about an object. */
  readonly model: string;
  /** Null where none is used, or not known yet. */
  readonly keyId: string | null;
  /** The caller's own credential is sent: what is said of it concerns nobody else. Default false. */
  readonly hasOwnCredential?: boolean;
}

/**
 * What became of an attempt. `begun`: the head of a good answer came; `ok`: all of it did (alone it
 * stands for both). `refused`: the caller's fault, which tells that the provider can be reached and
 * nothing more. `neutral`: nothing is known, such as when the caller left.
 */
export type HealthNews =
  | { readonly kind: AnswerNews }
  | {
      readonly kind: 'fault';
      readonly fault: Fault;
      /** Stated by the provider; null if it was not. Only a limit rests for it. */
      readonly retryAfterMs: number | null;
    };

type AnswerNews = 'begun' | 'ok' | 'refused' | 'neutral';

export type CircuitPhase = 'closed' | 'open' | 'half_open';

/** One circuit in trouble, for the API and metrics. */
export interface CircuitState {
  readonly provider: string;
  /** Null: whatever the key. */
  readonly keyId: string | null;
  /** Null: whatever the model. */
  readonly model: string | null;
  /** `closed` ones have failures that did not suffice yet. */
  readonly phase: CircuitPhase;
  readonly failuresInRow: number;
  readonly fault: Fault;
  /** End of the pause; null where none runs. */
  readonly until: UnixMs | null;
}

/** The numbers of the policy in force. */
export interface HealthNumbers {
  readonly breakAfter: number;
  readonly breakMs: number;
}

export interface HealthOptions {
  readonly clock: Clock;
  /** Asked when something fails, so that a new policy holds at once. */
  readonly numbers: () => HealthNumbers;
  /** Told when a circuit opens or closes. Must not throw. */
  readonly onChange?: (state: CircuitState) => void;
}

export interface Health {
  /** Whether an attempt would be let through now. */
  isUsable(subject: HealthSubject): boolean;
  /** Milliseconds until it may be usable; 0 if it is. */
  pauseMs(subject: HealthSubject): number;
  /** An attempt is sent; `sentMark` is the monotonic clock's and names the attempt in `note`. */
  begin(subject: HealthSubject, sentMark: number): void;
  note(subject: HealthSubject, sentMark: number, news: HealthNews): void;
  /** All circuits in trouble; at most 8,192. */
  states(): readonly CircuitState[];
}

interface Circuit {
  readonly provider: string;
  readonly keyId: string | null;
  readonly model: string | null;
  fault: Fault;
  failures: number;
  failedMark: number;
  /** Pauses since it was last well. */
  pauses: number;
  openedMark: number;
  /** End of the pause; null while closed. */
  untilMark: number | null;
  /** The attempt that is let through after the pause. */
  probeMark: number | null;
}

export function createHealth(options: HealthOptions): Health {
  return new Circuits(options);
}

class Circuits implements Health {
  readonly #options: HealthOptions;
  /** Of providers and keys: as many as the document and the vault have. */
  readonly #wide = new Map<string, Circuit>();
  readonly #ofModels = new Map<string, Circuit>();

  constructor(options: HealthOptions) {
    this.#options = options;
  }

  isUsable(subject: HealthSubject): boolean {
    if (this.#isWell()) return true;
    const mark = this.#options.clock.monotonicMs();
    return this.#concerning(subject).every((circuit) => isUsable(circuit, mark));
  }

  pauseMs(subject: HealthSubject): number {
    if (this.#isWell()) return 0;
    const mark = this.#options.clock.monotonicMs();
    const pauses = this.#concerning(subject).map((circuit) => pauseOf(circuit, mark));
    return Math.max(0, ...pauses);
  }

  begin(subject: HealthSubject, sentMark: number): void {
    if (this.#isWell()) return;
    for (const circuit of this.#concerning(subject)) {
      if (phaseOf(circuit, sentMark) === 'half_open' && isUsable(circuit, sentMark))
        circuit.probeMark = sentMark;
    }
  }

  note(subject: HealthSubject, sentMark: number, news: HealthNews): void {
    if (news.kind === 'fault') this.#noteFault(subject, sentMark, news);
    else if (!this.#isWell()) this.#noteAnswer(subject, sentMark, news.kind);
  }

  states(): readonly CircuitState[] {
    return [...this.#wide.values(), ...this.#ofModels.values()].map((circuit) => this.#stateOf(circuit));
  }

  #isWell(): boolean {
    return this.#wide.size === 0 && this.#ofModels.size === 0;
  }

  /** The circuits that hold for a subject: of its provider, its key, its model, and its key for that model. */
  #concerning({ provider, model, keyId }: HealthSubject): Circuit[] {
    const found: Circuit[] = [];
    const add = (circuit: Circuit | undefined): void => {
      if (circuit !== undefined) found.push(circuit);
    };
    if (this.#wide.size > 0) {
      add(this.#wide.get(nameOf(provider, null, null)));
      if (keyId !== null) add(this.#wide.get(nameOf(provider, keyId, null)));
    }
    if (this.#ofModels.size > 0 && model !== '') {
      add(this.#ofModels.get(nameOf(provider, null, model)));
      if (keyId !== null) add(this.#ofModels.get(nameOf(provider, keyId, model)));
    }
    return found;
  }

  #noteAnswer(subject: HealthSubject, sentMark: number, kind: AnswerNews): void {
    for (const circuit of this.#concerning(subject)) {
      if (circuit.probeMark === sentMark) circuit.probeMark = null;
      // What was sent before the trouble tells nothing of how things are since.
      if (kind === 'neutral' || sentMark < circuit.openedMark) continue;
      if (kind === 'refused' && circuit.fault !== 'unreachable') continue;
      const wasOpen = circuit.untilMark !== null;
      circuit.untilMark = null;
      circuit.probeMark = null;
      // On trial until an answer is whole: the next failure opens it again, for longer.
      if (kind === 'begun')
        circuit.failures = wasOpen ? this.#options.numbers().breakAfter - 1 : circuit.failures;
      else this.#tableOf(circuit).delete(nameOf(circuit.provider, circuit.keyId, circuit.model));
      if (wasOpen) this.#options.onChange?.(this.#stateOf(circuit));
    }
  }

  #noteFault(
    subject: HealthSubject,
    sentMark: number,
    { fault, retryAfterMs }: Extract<HealthNews, { kind: 'fault' }>,
  ): void {
    for (const circuit of this.#isWell() ? [] : this.#concerning(subject)) {
      if (circuit.probeMark === sentMark) circuit.probeMark = null;
    }
    const circuit = this.#blamed(subject, fault);
    if (circuit === null) return;
    const mark = this.#options.clock.monotonicMs();
    if (fault === 'limited' && retryAfterMs !== null && retryAfterMs > 0) {
      circuit.fault = fault;
      circuit.failures += 1;
      circuit.failedMark = mark;
      return this.#open(circuit, mark, retryAfterMs);
    }
    // Sent before the pause ended: one trouble, however many requests were under way in it.
    if (circuit.untilMark !== null && sentMark < circuit.untilMark) return;
    const { breakAfter, breakMs } = this.#options.numbers();
    circuit.failures = mark - circuit.failedMark > ROW_MS && circuit.pauses === 0 ? 1 : circuit.failures + 1;
    circuit.failedMark = mark;
    circuit.fault = fault;
    if (circuit.failures < breakAfter && circuit.untilMark === null) return;
    const pauseMs = Math.min(PAUSE_MAX_MS, breakMs * 2 ** Math.min(circuit.pauses, 20));
    circuit.pauses += 1;
    this.#open(circuit, mark, pauseMs);
  }

  /** The circuit that a fault is held against; null where it concerns the caller's own credential. */
  #blamed({ provider, model, keyId, hasOwnCredential }: HealthSubject, fault: Fault): Circuit | null {
    const ofModel = model === '' ? null : model;
    switch (fault) {
      case 'unreachable':
        return this.#circuit(provider, null, null, fault);
      case 'failing':
        return this.#circuit(provider, null, ofModel, fault);
      case 'key_rejected':
        return keyId === null ? null : this.#circuit(provider, keyId, null, fault);
      case 'limited':
        return hasOwnCredential === true ? null : this.#circuit(provider, keyId, ofModel, fault);
      default:
        return fault satisfies never;
    }
  }

  #circuit(provider: string, keyId: string | null, model: string | null, fault: Fault): Circuit {
    const table = model === null ? this.#wide : this.#ofModels;
    const name = nameOf(provider, keyId, model);
    const known = table.get(name);
    if (known !== undefined) return known;
    const circuit: Circuit = {
      provider,
      keyId,
      model,
      fault,
      failures: 0,
      failedMark: this.#options.clock.monotonicMs(),
      pauses: 0,
      openedMark: -Infinity,
      untilMark: null,
      probeMark: null,
    };
    if (table.size >= CIRCUITS_MAX) {
      const [oldest] = table.keys();
      if (oldest !== undefined) table.delete(oldest);
    }
    table.set(name, circuit);
    return circuit;
  }

  #tableOf(circuit: Circuit): Map<string, Circuit> {
    return circuit.model === null ? this.#wide : this.#ofModels;
  }

  #open(circuit: Circuit, mark: number, pauseMs: number): void {
    const wasOpen = phaseOf(circuit, mark) === 'open';
    circuit.untilMark = Math.max(circuit.untilMark ?? -Infinity, mark + pauseMs);
    circuit.probeMark = null;
    if (wasOpen) return;
    circuit.openedMark = mark;
    this.#options.onChange?.(this.#stateOf(circuit));
  }

  #stateOf(circuit: Circuit): CircuitState {
    const { clock } = this.#options;
    const mark = clock.monotonicMs();
    const { provider, keyId, model, failures, fault, untilMark } = circuit;
    const phase = phaseOf(circuit, mark);
    const until = phase === 'open' && untilMark !== null ? Math.round(clock.now() + untilMark - mark) : null;
    return { provider, keyId, model, phase, failuresInRow: failures, fault, until };
  }
}

/** Provider and key ids are ours and hold no NUL; the model stands last, whatever it holds. */
function nameOf(provider: string, keyId: string | null, model: string | null): string {
  return `${provider}\0${keyId ?? ''}\0${model ?? ''}`;
}

function phaseOf({ untilMark }: Circuit, mark: number): CircuitPhase {
  if (untilMark === null) return 'closed';
  return mark < untilMark ? 'open' : 'half_open';
}

function isUsable(circuit: Circuit, mark: number): boolean {
  const phase = phaseOf(circuit, mark);
  if (phase !== 'half_open') return phase === 'closed';
  return circuit.probeMark === null || mark - circuit.probeMark >= PROBE_MAX_MS;
}

function pauseOf(circuit: Circuit, mark: number): number {
  if (isUsable(circuit, mark) || circuit.untilMark === null) return 0;
  // Behind a probe: it is about to tell.
  return Math.max(1, circuit.untilMark - mark);
}
