import type { AnswerEditor, AnswerEdits, RefusedCall } from '../editor.ts';
import { TRUNCATED, type Framing, type StreamEvent } from './framing.ts';
import { OrderedOutput, type EditOutput } from './ordered-output.ts';

/** Reads the events of one stream in one dialect and says what becomes of each. */
export interface StreamReader {
  /** A whole event. What it throws ends the stream as a fault. */
  event(event: StreamEvent): void;
  /** The stream is over, or its closing event comes: tails of text filters are due, once. */
  end(): void;
}

/** What a dialect's reader is made of. */
export interface ReaderParts {
  readonly framing: Framing;
  readonly edits: AnswerEdits;
  readonly output: EditOutput;
}

/** An editor of one stream: a framing, a dialect's reader, and the order between them. */
export function createStreamEditor(
  framing: Framing,
  edits: AnswerEdits,
  makeReader: (parts: ReaderParts) => StreamReader,
): AnswerEditor {
  return new StreamEditor(framing, edits, makeReader);
}

class StreamEditor implements AnswerEditor {
  readonly #framing: Framing;
  readonly #output: OrderedOutput;
  readonly #reader: StreamReader;

  constructor(framing: Framing, edits: AnswerEdits, makeReader: (parts: ReaderParts) => StreamReader) {
    this.#framing = framing;
    this.#output = new OrderedOutput(edits);
    this.#reader = makeReader({ framing, edits, output: this.#output });
  }

  get held(): Promise<void> | null {
    return this.#output.awaited;
  }

  get heldBytes(): number {
    return this.#output.heldBytes;
  }

  get refused(): readonly RefusedCall[] {
    return this.#output.refused;
  }

  get fault(): string | null {
    return this.#output.faulted;
  }

  push(chunk: Uint8Array): Buffer {
    if (chunk.length > 0 && this.fault === null) this.#framing.push(chunk, this);
    return this.#output.take();
  }

  finish(): Buffer {
    if (this.fault === null) this.#framing.finish(this);
    if (this.fault === null) {
      this.#guard(() => this.#reader.end());
      if (this.#output.hasOpenPlace) this.#output.fault(TRUNCATED);
    }
    return this.#output.take();
  }

  keepAlive(): Buffer {
    return this.#framing.keepAlive;
  }

  /** For the framing. */
  event(event: StreamEvent): void {
    if (this.fault !== null) return;
    this.#guard(() => {
      if (event.isLast === true) this.#reader.end();
      this.#reader.event(event);
    });
  }

  /** For the framing. */
  broken(reason: string): void {
    this.#output.fault(reason);
  }

  /** Whatever a stranger's bytes bring about ends their stream, and nothing else. */
  #guard(step: () => void): void {
    try {
      step();
    } catch {
      this.#output.fault('an event of the stream cannot be read');
    }
  }
}
