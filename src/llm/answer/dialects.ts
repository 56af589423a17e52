/** Which formats have an editor, and how each streams. */
import type { Format } from '../surface.ts';
import type { AnswerEdits, EditedAnswer } from './editor.ts';
import type { Framing } from './streams/framing.ts';
import type { ReaderParts, StreamReader } from './streams/stream-editor.ts';

/** `sse`: server-sent events. `frames`: an AWS event stream. `array`: a streamed JSON array. */
export type FramingKind = 'sse' | 'frames' | 'array';

/** How the answers of one format are edited. */
export interface AnswerDialect {
  /** Makes a framing of one stream; a kind without one cannot be read. */
  readonly framings: { readonly [Kind in FramingKind]?: () => Framing };
  createReader(parts: ReaderParts): StreamReader;
  /** A whole answer. Never throws. */
  editWhole(body: Buffer, edits: AnswerEdits): EditedAnswer | Promise<EditedAnswer>;
}

/** What beside the format decides who reads an answer. */
export interface AnswerKind {
  /** Of the answer. */
  readonly contentType: string | null;
  /** Whether the request asked for a stream. */
  readonly streamed: boolean;
  /** The model of the path: InvokeModel has the format of its model. */
  readonly bedrockModel?: string | null;
}

export type DialectTable = { readonly [Name in Format]?: AnswerDialect };
