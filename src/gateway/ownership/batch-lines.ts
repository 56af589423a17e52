/** What the lines of a batch's input may use, gathered while the file is read: what budgets reserve for the batch. */
import { readOutputLimit, type BodyFacts, type Format } from '../../llm/index.ts';
import { inputTokensCeiling } from '../../quotas/index.ts';
import { readInput } from '../governing/input-facts.ts';

/** The lines of one model. */
export interface ModelLines {
  readonly requests: number;
  /** Tokens of the input of all lines at most, and of the one with the most. */
  readonly inputTokensMax: number;
  readonly lineInputTokensMax: number;
  /** Output tokens that the lines limit themselves to. */
  readonly outputTokens: number;
  /** Answers of lines that state no limit: each may be as long as the model allows. */
  readonly unlimitedAnswers: number;
}

export interface BatchLines {
  readonly requests: number;
  readonly models: ReadonlyMap<string, ModelLines>;
  /** What all lines ask for by their `url`; null where that differs, or is no route. */
  readonly format: Format | null;
  /** A line brings input that is not in it (a file, a page, a picture by address), or costs more than the list price. */
  readonly isInputUnknown: boolean;
}

/** One line. */
export interface BatchLine {
  readonly model: string;
  /** Of the line's `url`; null where that is no route. */
  readonly format: Format | null;
  readonly body: Buffer;
  readonly facts: BodyFacts;
  readonly refersToObjects: boolean;
}

const NO_LINES: ModelLines = {
  requests: 0,
  inputTokensMax: 0,
  lineInputTokensMax: 0,
  outputTokens: 0,
  unlimitedAnswers: 0,
};

/** 1 MiB: longer lines are not looked through on the thread that serves; what they bring counts as unknown. */
const LOOKED_MAX_BYTES = 1_048_576;
const TOO_LONG = { images: 0, tools: 0, isUnknown: true };

/** Adds up lines; memory is bounded by the number of models, which the reader of the file limits. */
export class BatchLineSums {
  readonly #models = new Map<string, ModelLines>();
  #requests = 0;
  #format: Format | null = null;
  #isInputUnknown = false;

  add({ model, format, body, facts, refersToObjects }: BatchLine): void {
    const input = body.length > LOOKED_MAX_BYTES ? TOO_LONG : readInput({ body, facts, refersToObjects });
    const limit = format === null ? null : readOutputLimit(format, body, facts);
    const answers = limit?.answers ?? 1;
    const written = limit?.producesTokens === false ? 0 : (limit?.written ?? null);
    const inputTokensMax = inputTokensCeiling({ bodyBytes: body.length, ...input });
    const known = this.#models.get(model) ?? NO_LINES;
    this.#models.set(model, {
      requests: known.requests + 1,
      inputTokensMax: known.inputTokensMax + inputTokensMax,
      lineInputTokensMax: Math.max(known.lineInputTokensMax, inputTokensMax),
      outputTokens: known.outputTokens + (written ?? 0) * answers,
      unlimitedAnswers: known.unlimitedAnswers + (written === null ? answers : 0),
    });
    this.#format = this.#requests === 0 || this.#format === format ? format : null;
    this.#requests += 1;
    if (input.isUnknown) this.#isInputUnknown = true;
  }

  sums(): BatchLines {
    return {
      requests: this.#requests,
      models: new Map(this.#models),
      format: this.#format,
      isInputUnknown: this.#isInputUnknown,
    };
  }
}
