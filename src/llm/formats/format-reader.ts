import type { SseEvent } from '../../wire/sse.ts';
import type { Usage } from '../usage.ts';
import type { Findings, JsonRecord } from './findings.ts';

/** What is particular to one wire format. The bytes are a provider's: nothing about them is certain. */
export interface FormatReader {
  /** Top-level members of an unstreamed answer that `answer` looks at; others are never parsed. */
  readonly answerKeys: readonly string[];
  /** Key of the usage object, to be searched for where an answer is too large to keep. */
  readonly usageKey: Buffer;
  /** Stands in the first or last bytes of an event or element that ends a stream, for those too large to keep. */
  readonly largeEnd: RegExp | null;
  /** Reads one event of a stream. Parses it only if a byte search says that it matters. */
  event(event: SseEvent, seen: Findings): void;
  /** Reads a whole unstreamed answer (or, for Gemini, one element of a streamed array). */
  answer(answer: JsonRecord, seen: Findings): void;
  /** The merged usage object in the common shape; null if it holds no count. */
  readonly readUsage: (usage: JsonRecord) => Usage | null;
}
