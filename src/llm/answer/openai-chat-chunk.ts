/** Writes a chunk of a Chat Completions stream again, with what was decided on the calls in it. */
import type { CallPiece, ChatCall, ChatChoice } from './openai-chat-calls.ts';
import type { TextEdit } from './openai-chat-text.ts';
import { asArray, asRecord, asText, type JsonRecord } from './streams/event-json.ts';
import { NO_BYTES, type Framing, type StreamEvent } from './streams/framing.ts';

/** What a chunk brings in one choice, in the order of its `choices`. */
export interface ChoiceEdit {
  readonly state: ChatChoice;
  readonly pieces: readonly CallPiece[];
  /** The reason why the choice ends; null while it goes on. */
  readonly finish: string | null;
  readonly text: TextEdit | null;
}

/** Reasons that say that calls are to be run. */
const CALL_REASONS: ReadonlySet<string> = new Set(['tool_calls', 'function_call']);

/**
 * The bytes to send for a chunk; its own if nothing in it changes, none if nothing is left. To be
 * called in the order of the stream, when all calls with pieces in it are decided.
 */
export function renderChunk(
  framing: Framing,
  event: StreamEvent,
  chunk: JsonRecord,
  edits: readonly ChoiceEdit[],
): Buffer {
  const choices = asArray(chunk['choices']).map((choice, at) => {
    const edit = edits[at];
    const record = asRecord(choice) ?? {};
    return edit === undefined ? record : renderChoice(record, edit);
  });
  if (choices.every((choice, at) => choice === asArray(chunk['choices'])[at])) return event.raw;
  if (choices.every((choice) => isEmpty(choice)) && isNothing(chunk['usage'])) return NO_BYTES;
  return framing.encode(event.name, JSON.stringify({ ...chunk, choices }));
}

function renderChoice(choice: JsonRecord, edit: ChoiceEdit): JsonRecord {
  const { state, pieces, text } = edit;
  const delta = asRecord(choice['delta']) ?? {};
  const sent = sentPieces(pieces, state);
  const isChanged = pieces.some((piece) => isPieceChanged(piece, state));
  const reason = reasonOf(edit);
  if (!isChanged && text === null && reason === edit.finish) {
    state.hasText ||= hasText(delta['content']);
    return choice;
  }
  const refusals = pieces.flatMap(({ call, isFirst }) =>
    isFirst && call.outcome.action === 'refuse' && call.outcome.text !== '' ? [call.outcome.text] : [],
  );
  const content = withRefusals(text === null ? delta['content'] : text.content, refusals, state);
  const changed: Record<string, unknown> = { ...choice };
  if (text !== null && choice['logprobs'] !== undefined) changed['logprobs'] = null;
  if (reason !== null) changed['finish_reason'] = reason;
  if (text?.member === 'text') changed['text'] = content;
  else if (isChanged || content !== undefined)
    changed['delta'] = withContent(writeDelta(delta, isChanged ? sent : null), content);
  return changed;
}

function withContent(delta: JsonRecord, content: unknown): JsonRecord {
  return content === undefined ? delta : { ...delta, content };
}

/** Why the choice ends, for a caller who got no call: it just stops. */
function reasonOf({ state, finish }: ChoiceEdit): string | null {
  if (finish === null || !CALL_REASONS.has(finish)) return finish;
  return state.refusedCount > 0 && !state.hasSent ? 'stop' : finish;
}

/** What is changed in the pieces that are sent. A call with other arguments has them all in its first piece. */
function sentPieces(pieces: readonly CallPiece[], state: ChatChoice): Map<CallPiece, SentPiece> {
  const sent = new Map<CallPiece, SentPiece>();
  for (const piece of pieces) {
    const { call, isFirst } = piece;
    if (call.outcome.action === 'refuse') continue;
    const index = state.sentIndex(call);
    if (call.outcome.action === 'keep') sent.set(piece, { index, argumentsText: null });
    else if (isFirst) sent.set(piece, { index, argumentsText: call.outcome.argumentsText });
  }
  return sent;
}

interface SentPiece {
  readonly index: number;
  /** Null leaves the piece's own. */
  readonly argumentsText: string | null;
}

function isPieceChanged({ call }: CallPiece, state: ChatChoice): boolean {
  if (call.outcome.action !== 'keep') return true;
  return state.isGoverned && call.wireIndex !== null && call.sentIndex !== call.wireIndex;
}

/** A delta without the pieces that are not sent; `sent` is null where its calls stay as they are. */
function writeDelta(delta: JsonRecord, sent: Map<CallPiece, SentPiece> | null): JsonRecord {
  if (sent === null) return delta;
  const { tool_calls: toolCalls, function_call: functionCall, ...rest } = delta;
  const calls: JsonRecord[] = [];
  let written: JsonRecord = rest;
  for (const [{ call, at }, change] of sent) {
    if (at === null) written = { ...written, function_call: writePiece(functionCall, 'arguments', change) };
    else calls.push(writeToolCall(asRecord(asArray(toolCalls)[at]) ?? {}, call, change));
  }
  return calls.length === 0 ? written : { ...written, tool_calls: calls };
}

function writeToolCall(piece: JsonRecord, call: ChatCall, change: SentPiece): JsonRecord {
  const member = call.kind === 'custom' ? 'custom' : 'function';
  const body = writePiece(piece[member], call.kind === 'custom' ? 'input' : 'arguments', change, call.name);
  return { ...piece, index: change.index, ...(body === undefined ? {} : { [member]: body }) };
}

function writePiece(value: unknown, member: string, change: SentPiece, name: string | null = null): unknown {
  if (change.argumentsText === null) return value;
  return { ...asRecord(value), ...(name === null ? {} : { name }), [member]: change.argumentsText };
}

/** The refusing texts behind what the model said, each in a paragraph of its own. */
function withRefusals(content: unknown, refusals: readonly string[], state: ChatChoice): unknown {
  state.hasText ||= hasText(content);
  if (refusals.length === 0) return content;
  const said = `${state.hasText ? '\n\n' : ''}${refusals.join('\n\n')}`;
  state.hasText = true;
  if (Array.isArray(content)) return [...content.map((part: unknown) => part), { type: 'text', text: said }];
  return (asText(content) ?? '') + said;
}

function hasText(content: unknown): boolean {
  return Array.isArray(content) ? content.length > 0 : asText(content) !== null && content !== '';
}

/** Whether a choice of a changed chunk says nothing any more. */
function isEmpty(choice: JsonRecord): boolean {
  if (!isNothing(choice['finish_reason']) || choice['text'] !== undefined) return false;
  const delta = asRecord(choice['delta']);
  return delta === null || Object.values(delta).every((value) => isNothing(value));
}

function isNothing(value: unknown): boolean {
  return value === null || value === undefined || value === '';
}
