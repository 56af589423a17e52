/**
 * Which values of a caller's own choosing (agent, session, model) count by themselves. Each caller
 * has so many slots for each quota; beyond them, values share one bucket, so that inventing names
 * neither escapes a limit nor fills the memory. A slot unused for long is free again.
 */

export interface LabelSlotsOptions {
  readonly perHolderMax: number;
  readonly idleMs: number;
  readonly holdersMax: number;
}

export class LabelSlots {
  readonly #options: LabelSlotsOptions;
  /** Holder to value to when it was last used, both oldest first. */
  readonly #holders = new Map<string, Map<string, number>>();

  constructor(options: LabelSlotsOptions) {
    this.#options = options;
  }

  /** Whether `value` has, or now gets, a slot of its holder's. `nowMs` is monotonic. */
  admit(holder: string, value: string, nowMs: number): boolean {
    const slots = this.#slotsOf(holder);
    const isKnown = slots.delete(value);
    if (!isKnown && slots.size >= this.#options.perHolderMax) {
      const [oldest] = slots;
      if (oldest === undefined || nowMs - oldest[1] < this.#options.idleMs) return false;
      slots.delete(oldest[0]);
    }
    slots.set(value, nowMs);
    return true;
  }

  #slotsOf(holder: string): Map<string, number> {
    const known = this.#holders.get(holder);
    this.#holders.delete(holder);
    const slots = known ?? new Map<string, number>();
    this.#holders.set(holder, slots);
    if (this.#holders.size > this.#options.holdersMax) {
      const [oldest] = this.#holders.keys();
      if (oldest !== undefined) this.#holders.delete(oldest);
    }
    return slots;
  }
}
