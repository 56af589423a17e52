/** Headers of Postern's own on an answer, whatever governs it. */
import type { Meter } from '../llm/index.ts';
import type { Inspection } from './governing/inspection.ts';
import type { AnswerRules } from './relay.ts';

export interface HeadedRulesOptions {
  /** A flat list. */
  readonly headers: readonly string[];
  /** The answer costs nothing, so no budget ends it. */
  readonly isFree: boolean;
}

/** What governs an answer, with more headers. */
export class HeadedRules implements AnswerRules {
  readonly headers: readonly string[];
  readonly #rules: AnswerRules | null;
  readonly #isFree: boolean;

  constructor(rules: AnswerRules | null, { headers, isFree }: HeadedRulesOptions) {
    this.headers = rules === null ? headers : [...rules.headers, ...headers];
    this.#rules = rules;
    this.#isFree = isFree;
  }

  get inspects(): boolean {
    return this.#rules?.inspects ?? false;
  }

  get keepsAnswer(): boolean {
    return this.#rules?.keepsAnswer ?? false;
  }

  get inspectsErrors(): boolean {
    return this.#rules?.inspectsErrors ?? false;
  }

  inspect(contentType: string | null, isPlain: boolean, status: number): Inspection | null {
    return this.#rules?.inspect(contentType, isPlain, status) ?? null;
  }

  mayGoOn(meter: Meter): boolean {
    return this.#isFree || this.#rules === null || this.#rules.mayGoOn(meter);
  }

  gone(): void {
    this.#rules?.gone();
  }
}
