import { readSseEvent, SseSplitter } from '../../wire/sse.ts';
import type { Meter, MeterResult } from '../meter.ts';
import { Findings } from './findings.ts';
import type { FormatReader } from './format-reader.ts';
import { HeadAndTail } from './head-and-tail.ts';
import { KEPT, searchEnds } from './search-ends.ts';

/** Meters a stream of server-sent events. */
export class SseMeter implements Meter {
  readonly #reader: FormatReader;
  readonly #splitter = new SseSplitter({ eventMaxBytes: KEPT.wholeMaxBytes });
  readonly #seen = new Findings();
  #large: HeadAndTail | null = null;

  constructor(reader: FormatReader) {
    this.#reader = reader;
  }

  get outputChars(): number {
    return this.#seen.outputChars;
  }

  push(chunk: Uint8Array): void {
    this.#splitter.push(chunk, this);
  }

  finish(): MeterResult {
    this.#endLarge();
    // An event without its blank line is dropped by readers (WHATWG HTML 9.2.6), but the last one
    // of a stream that was only short of that line still tells what it cost.
    const rest = this.#splitter.finish();
    if (rest.length > 0) this.event(rest);
    return this.#seen.result(this.#reader.readUsage);
  }

  /** For the splitter. */
  event(raw: Buffer): void {
    this.#endLarge();
    const event = readSseEvent(raw);
    if (event !== null) this.#reader.event(event, this.#seen);
  }

  /** For the splitter. */
  oversized(raw: Buffer): void {
    this.#large ??= new HeadAndTail({ ...KEPT, wholeMaxBytes: 0 });
    this.#large.push(raw);
  }

  #endLarge(): void {
    if (this.#large === null) return;
    searchEnds(this.#large, this.#reader, this.#seen);
    this.#large = null;
  }
}
