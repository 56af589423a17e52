/** Editing answers on their way (docs/design/0006-deciding.md): which formats can be, and how. */
import type { Format } from '../surface.ts';
import type { AnswerKind, FramingKind } from './dialects.ts';
import type { AnswerEditor, AnswerEdits, EditedAnswer } from './editor.ts';
import { dialectOf } from './find-dialect.ts';
import { createStreamEditor } from './streams/stream-editor.ts';

export type { AnswerKind } from './dialects.ts';
export type {
  AnswerEditor,
  AnswerEdits,
  EditedAnswer,
  RefusedCall,
  TextFilter,
  TextKind,
  ToolCall,
  ToolGate,
  ToolVerdict,
} from './editor.ts';
export { markRefusal, refusedGeminiTurn, restoreRefused } from './gemini-history.ts';
export {
  createRefusalMemory,
  refusedTurn,
  repairHistory,
  type RefusalLedger,
  type RefusalMemory,
  type RefusedTurn,
  type RepairedHistory,
} from './history/index.ts';
export { createReplayRest, type ReplayRest } from './openai-responses-replay.ts';

/** Formats whose answers hold neither calls nor a model's text: every rule on answers holds by itself. */
const NOTHING_TO_GOVERN: ReadonlySet<Format> = new Set<Format>([
  'anthropic_count_tokens',
  'gemini_count_tokens',
  'gemini_embed_content',
  'openai_embeddings',
  'openai_moderations',
  'models',
]);

/**
 * Whether rules on the answers of a format can be enforced: it has an editor, or nothing to edit.
 * Where not, a caller under such a rule must be refused before the request is sent.
 */
export function canGovern(format: Format, bedrockModel: string | null = null): boolean {
  return NOTHING_TO_GOVERN.has(format) || dialectOf(format, bedrockModel) !== null;
}

/** How an answer is to be edited: as it streams, or whole. Null: not at all; it must not be sent. */
export type EditingMode = 'stream' | 'whole' | 'unneeded' | null;

/** Decides by the answer's own content type, whatever the request asked for. For answers with status 2xx. */
export function editingMode(format: Format, kind: AnswerKind): EditingMode {
  if (NOTHING_TO_GOVERN.has(format)) return 'unneeded';
  const dialect = dialectOf(format, kind.bedrockModel ?? null);
  if (dialect === null) return null;
  const framing = framingOf(kind);
  if (framing !== null && dialect.framings[framing] !== undefined) {
    return framing === 'array' && !kind.streamed ? 'whole' : 'stream';
  }
  return isJson(kind.contentType) ? 'whole' : null;
}

/** An editor for one stream; null where `editingMode` is not `stream`. */
export function createAnswerEditor(
  format: Format,
  edits: AnswerEdits,
  kind: AnswerKind,
): AnswerEditor | null {
  if (editingMode(format, kind) !== 'stream') return null;
  const dialect = dialectOf(format, kind.bedrockModel ?? null);
  const framing = framingOf(kind);
  const makeFraming = framing === null ? undefined : dialect?.framings[framing];
  if (dialect === null || makeFraming === undefined) return null;
  return createStreamEditor(makeFraming(), edits, (parts) => dialect.createReader(parts));
}

/**
 * Edits a whole answer with status 2xx. A promise if a decision is one. Where `fault` is not null
 * the body must not be sent. Never throws.
 */
export function editWholeAnswer(
  format: Format,
  body: Uint8Array,
  edits: AnswerEdits,
  bedrockModel: string | null = null,
): EditedAnswer | Promise<EditedAnswer> {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  if (NOTHING_TO_GOVERN.has(format)) return { body: bytes, refused: [], fault: null };
  const dialect = dialectOf(format, bedrockModel);
  if (dialect === null) return { body: bytes, refused: [], fault: `answers of ${format} cannot be governed` };
  return dialect.editWhole(bytes, edits);
}

function framingOf({ contentType, streamed }: AnswerKind): FramingKind | null {
  switch (mediaType(contentType)) {
    case 'text/event-stream':
      return 'sse';
    case 'application/vnd.amazon.eventstream':
      return 'frames';
    case 'application/json':
      return streamed ? 'array' : null;
    default:
      return null;
  }
}

function isJson(contentType: string | null): boolean {
  const type = mediaType(contentType);
  return type === 'application/json' || type.endsWith('+json');
}

function mediaType(contentType: string | null): string {
  return (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}
