/**
 * An answer under rules on its way to the caller: edited as it streams, or whole. The relay feeds it
 * and writes what it gives; it says when it must wait for a decision and when it must not go on.
 */
import type { AnswerGuard } from '../../guardrails/index.ts';
import type { Format } from '../../llm/index.ts';
import { Refused } from '../reasons.ts';
import {
  createAnswerEditor,
  editingMode,
  editWholeAnswer,
  type AnswerEditor,
  type AnswerEdits,
  type RefusedCall,
} from '../../llm/answer/index.ts';

/** What the relay asks of it. */
export interface Inspection {
  /** Nothing of the answer, its head included, may go before `finish`. */
  readonly isWhole: boolean;
  push(chunk: Uint8Array): Buffer;
  /** No more comes. After it, and once `held` is null, `finish` gives the rest. */
  end(): void;
  finish(): Buffer;
  /** Settles when what holds the answer has been decided; null while nothing does. */
  readonly held: Promise<void> | null;
  /** A sign of life in the answer's format; empty where it has none. */
  keepAlive(): Buffer;
  /** Why it must not go on; null while all is well. */
  readonly stop: Refused | null;
  readonly refused: readonly RefusedCall[];
}

export interface InspectionTerms {
  readonly format: Format;
  /** Upstream id, for Bedrock's invoke, whose bodies are of the model's family. */
  readonly model: string;
  readonly streamed: boolean;
  /** Made anew for each answer: a filter of text has a state. */
  readonly edits: () => AnswerEdits;
  /** Guardrails on its texts; null where none holds. */
  readonly guard: AnswerGuard | null;
  /** Bytes of an answer that is read whole before it goes on. */
  readonly wholeMaxBytes: number;
}

const EMPTY = Buffer.alloc(0);

/** For an answer with status 2xx; null where its format needs none. Compressed answers are a fault. */
export function inspectAnswer(
  terms: InspectionTerms,
  contentType: string | null,
  isPlain: boolean,
): Inspection | null {
  const kind = { contentType, streamed: terms.streamed, bedrockModel: terms.model };
  const mode = editingMode(terms.format, kind);
  if (mode === 'unneeded') return null;
  if (!isPlain) return new FaultyAnswer('the answer is compressed');
  const editor = mode === 'stream' ? createAnswerEditor(terms.format, terms.edits(), kind) : null;
  if (editor !== null) return new StreamedAnswer(editor, terms.guard);
  if (mode === 'whole') return new WholeAnswer(terms);
  return new FaultyAnswer(`an answer of type ${contentType ?? 'unknown'} cannot be read`);
}

/** The guardrail's own words first: what it stopped is then no fault of the provider. */
function stopOf(fault: string | null, guard: AnswerGuard | null): Refused | null {
  const blocked = guard?.blocked ?? null;
  if (blocked !== null)
    return new Refused('content_blocked', blocked.message, { rule: `guardrails.${blocked.guardrail}` });
  return fault === null
    ? null
    : new Refused(
        'answer_not_governable',
        `the answer cannot be checked by the rules that hold for you: ${fault}`,
      );
}

class StreamedAnswer implements Inspection {
  readonly isWhole = false;
  readonly #editor: AnswerEditor;
  readonly #guard: AnswerGuard | null;

  constructor(editor: AnswerEditor, guard: AnswerGuard | null) {
    this.#editor = editor;
    this.#guard = guard;
  }

  get held(): Promise<void> | null {
    return this.#editor.held;
  }

  get stop(): Refused | null {
    return stopOf(this.#editor.fault, this.#guard);
  }

  get refused(): readonly RefusedCall[] {
    return this.#editor.refused;
  }

  push(chunk: Uint8Array): Buffer {
    return this.#editor.push(chunk);
  }

  // The editor learns of the end by `finish`.
  end(): void {}

  finish(): Buffer {
    return this.#editor.finish();
  }

  keepAlive(): Buffer {
    return this.#editor.keepAlive();
  }
}

class WholeAnswer implements Inspection {
  readonly isWhole = true;
  readonly #terms: InspectionTerms;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #body: Buffer = EMPTY;
  #fault: string | null = null;
  held: Promise<void> | null = null;
  refused: readonly RefusedCall[] = [];

  constructor(terms: InspectionTerms) {
    this.#terms = terms;
  }

  get stop(): Refused | null {
    return stopOf(this.#fault, this.#terms.guard);
  }

  push(chunk: Uint8Array): Buffer {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#terms.wholeMaxBytes) {
      this.#chunks = [];
      this.#fault = `the answer has more than ${this.#terms.wholeMaxBytes} bytes`;
    } else if (chunk.length > 0) this.#chunks.push(Buffer.from(chunk));
    return EMPTY;
  }

  end(): void {
    if (this.#fault !== null) return;
    const { format, model, edits } = this.#terms;
    const edited = editWholeAnswer(format, Buffer.concat(this.#chunks), edits(), model);
    this.#chunks = [];
    if (!(edited instanceof Promise)) return this.#take(edited);
    this.held = edited.then((later) => {
      this.held = null;
      this.#take(later);
    });
  }

  finish(): Buffer {
    return this.#body;
  }

  keepAlive(): Buffer {
    return EMPTY;
  }

  #take(edited: {
    readonly body: Buffer;
    readonly refused: readonly RefusedCall[];
    readonly fault: string | null;
  }): void {
    this.#body = edited.body;
    this.refused = edited.refused;
    this.#fault = edited.fault;
  }
}

/** An answer that nobody can check does not pass. */
class FaultyAnswer implements Inspection {
  readonly isWhole = true;
  readonly held = null;
  readonly refused: readonly RefusedCall[] = [];
  readonly stop: Refused | null;

  constructor(fault: string) {
    this.stop = stopOf(fault, null);
  }

  push(): Buffer {
    return EMPTY;
  }

  end(): void {}

  finish(): Buffer {
    return EMPTY;
  }

  keepAlive(): Buffer {
    return EMPTY;
  }
}
