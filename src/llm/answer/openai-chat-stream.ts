/**
 * The stream of a Chat Completions answer, edited (OpenAI API reference, "Chat completion chunk
 * object"). A governed call is held from its first piece until its choice ends, another call of the
 * choice begins, or the stream ends. Every chunk with pieces of calls is kept as it came and written
 * anew only where something in it changes.
 */
import type { ToolVerdict } from './editor.ts';
import { ChatChoice, CHOICES_MAX, type CallPiece, type ChatCall } from './openai-chat-calls.ts';
import { renderChunk, type ChoiceEdit } from './openai-chat-chunk.ts';
import { ChatText } from './openai-chat-text.ts';
import {
  asArray,
  asIndex,
  asRecord,
  asText,
  namesGoverned,
  parseArguments,
  parseEventJson,
  type JsonRecord,
} from './streams/event-json.ts';
import { filterArguments, filtersArguments } from './streams/filter-arguments.ts';
import { NO_BYTES, type StreamEvent } from './streams/framing.ts';
import type { ReaderParts, StreamReader } from './streams/stream-editor.ts';

/** Every chunk with a piece of a call says this, unless it hides it in an escape. */
const CALL_MARKS: readonly Buffer[] = [Buffer.from('_call'), Buffer.from('\\u')];
const DONE = Buffer.from('[DONE]');
/** A text, and the empty one with which most streams begin. */
const CONTENT = Buffer.from('"content":"');
const NO_CONTENT = Buffer.from('"content":""');

export class ChatReader implements StreamReader {
  readonly #framing: ReaderParts['framing'];
  readonly #edits: ReaderParts['edits'];
  readonly #output: ReaderParts['output'];
  readonly #choices = new Map<number, ChatChoice>();
  readonly #filtersArguments: boolean;
  readonly #text: ChatText;
  /** Some call came: chunks are read from then on. */
  #hasCalls = false;
  /** Some chunk that was not read had text. */
  #hasPassedText = false;
  /** Members of the latest chunk, for one of our own. */
  #envelope: JsonRecord = {};

  constructor({ framing, edits, output }: ReaderParts) {
    this.#framing = framing;
    this.#edits = edits;
    this.#output = output;
    this.#filtersArguments = filtersArguments(edits);
    this.#text = new ChatText(edits);
  }

  event(event: StreamEvent): void {
    const { data, raw } = event;
    if (data === null) return this.#output.pass(raw);
    if (this.#isHarmless(data)) {
      this.#hasPassedText ||= data.includes(CONTENT) && !data.includes(NO_CONTENT);
      return this.#output.pass(raw);
    }
    if (data.equals(DONE)) return this.#streamEnds(event);
    const chunk = parseEventJson(data);
    if (chunk === null) return this.#output.fault('an event of the stream is no plain JSON object');
    if (!Array.isArray(chunk['choices'])) {
      if (asRecord(chunk['error']) !== null) this.#dropOpen();
      return this.#untouched(event, chunk);
    }
    return this.#chunk(event, chunk);
  }

  end(): void {
    // Without `[DONE]` nothing is known of an open call: the editor drops it.
  }

  /** Most of a stream: text, while no call was seen. Costs two searches. */
  #isHarmless(data: Buffer): boolean {
    return !this.#hasCalls && !this.#text.isOn && !CALL_MARKS.some((mark) => data.includes(mark));
  }

  #governs(name: string): boolean {
    return this.#edits.tools?.governs(name) === true;
  }

  #chunk(event: StreamEvent, chunk: JsonRecord): void {
    const { choices: _, usage: __, ...envelope } = chunk;
    if (this.#text.isOn) this.#envelope = envelope;
    const edits: ChoiceEdit[] = [];
    for (const [position, value] of asArray(chunk['choices']).entries()) {
      const choice = asRecord(value);
      if (choice === null) throw new Error('a choice is no object');
      edits.push(this.#choice(choice, position));
    }
    const isTouched = edits.some(({ pieces, text, state, finish }) => {
      return pieces.length > 0 || text !== null || (finish !== null && state.isGoverned);
    });
    if (!isTouched) return this.#untouched(event, chunk);
    const copy: StreamEvent = { raw: Buffer.from(event.raw), name: event.name, data: null };
    return this.#output.passLater(copy.raw, () => renderChunk(this.#framing, copy, chunk, edits));
  }

  /** Nothing that is known asks for a call here: then no tool under a rule is named at all. */
  #untouched(event: StreamEvent, chunk: JsonRecord): void {
    if (namesGoverned(chunk, (name) => this.#governs(name)))
      return this.#output.fault('a chunk names a tool under a rule in an unknown place');
    return this.#output.pass(event.raw);
  }

  #choice(choice: JsonRecord, position: number): ChoiceEdit {
    const state = this.#state(asIndex(choice['index']) ?? position);
    if (namesGoverned(choice['message'], (name) => this.#governs(name)))
      throw new Error('a chunk has a whole message that names a tool under a rule');
    const delta = asRecord(choice['delta']) ?? {};
    const pieces = this.#pieces(delta, state);
    const finish = asText(choice['finish_reason']);
    const text = this.#text.edit(choice, delta, asIndex(choice['index']) ?? position, {
      ends: finish !== null || pieces.some(({ isFirst }) => isFirst),
    });
    if (finish !== null) this.#close(state);
    return { state, pieces, finish, text };
  }

  #state(index: number): ChatChoice {
    const known = this.#choices.get(index);
    if (known !== undefined) return known;
    if (this.#choices.size >= CHOICES_MAX) throw new Error(`more than ${CHOICES_MAX} choices`);
    const made = new ChatChoice();
    made.hasText = this.#hasPassedText;
    this.#choices.set(index, made);
    return made;
  }

  #pieces(delta: JsonRecord, state: ChatChoice): CallPiece[] {
    const pieces: CallPiece[] = [];
    const toolCalls = delta['tool_calls'] ?? [];
    if (!Array.isArray(toolCalls)) throw new Error('tool_calls is no list');
    for (const [at, value] of asArray(toolCalls).entries()) {
      const piece = asRecord(value);
      if (piece === null) throw new Error('a tool call is no object');
      pieces.push(this.#follow(state.take(piece, at), state));
    }
    const functionCall = delta['function_call'] ?? null;
    if (functionCall !== null) {
      const value = asRecord(functionCall);
      if (value === null) throw new Error('a function call is no object');
      pieces.push(this.#follow(state.takeFunctionCall(value), state));
    }
    return pieces;
  }

  /** A piece has been added to its call: holds the call, or lets it go once its name is known. */
  #follow(piece: CallPiece, state: ChatChoice): CallPiece {
    const { call, isFirst } = piece;
    this.#hasCalls = true;
    if (isFirst) {
      for (const other of state.calls) if (other !== call) this.#closeCall(other, state);
    }
    const isGoverned = this.#governs(call.name);
    // A reader that joins names reads a repeated name as a longer one.
    if (call.repeatsName && !isGoverned && this.#governs(call.name + call.name))
      throw new Error('a tool call has two names');
    if (call.place !== null) {
      if (call.name !== '' && !isGoverned && !this.#filtersArguments && !call.isClosed) {
        call.isClosed = true;
        call.place.decide([], () => NO_BYTES);
        call.place = null;
      }
      return piece;
    }
    if (isFirst && (call.name === '' || isGoverned || this.#filtersArguments)) this.#hold(call, state);
    else if (isGoverned) throw new Error('a tool call got its name after it was sent');
    return piece;
  }

  #hold(call: ChatCall, state: ChatChoice): void {
    state.isGoverned = true;
    const refuse = (text: string): Buffer => {
      call.outcome = { action: 'refuse', text };
      state.refusedCount += 1;
      return NO_BYTES;
    };
    call.place = this.#output.hold({ id: call.id, name: call.name, refuse });
  }

  #close(state: ChatChoice): void {
    state.isFinished = true;
    for (const call of state.calls) this.#closeCall(call, state);
  }

  /** The provider failed: calls that are not whole are gone. */
  #dropOpen(): void {
    for (const state of this.#choices.values()) {
      for (const call of state.calls) {
        if (call.isClosed) continue;
        call.isClosed = true;
        if (call.place === null) continue;
        call.outcome = { action: 'refuse', text: '' };
        call.place.decide([], () => NO_BYTES);
      }
    }
  }

  /** All pieces of a call have come: it is decided. */
  #closeCall(call: ChatCall, state: ChatChoice): void {
    if (call.isClosed) return;
    call.isClosed = true;
    const { place } = call;
    if (place === null) return;
    if (call.name === '') throw new Error('a tool call has no name');
    const text = filterArguments(call.argumentsText, this.#edits);
    const isGoverned = this.#governs(call.name);
    const asked = {
      id: call.id,
      name: call.name,
      argumentsText: text,
      arguments: call.kind === 'custom' ? undefined : parseArguments(text),
    };
    place.decide(isGoverned ? [asked] : [], ([verdict]) => {
      settle(call, state, verdict, text);
      return NO_BYTES;
    });
  }

  /** `[DONE]`: some servers name no reason for the end. */
  #streamEnds(event: StreamEvent): void {
    for (const [index, state] of this.#choices) {
      if (state.isFinished) continue;
      this.#close(state);
      const tail = this.#text.finish(index);
      if (tail === null) continue;
      const choice = { index, delta: { content: tail }, logprobs: null, finish_reason: null };
      this.#output.pass(
        this.#framing.encode(event.name, JSON.stringify({ ...this.#envelope, choices: [choice] })),
      );
    }
    this.#output.pass(event.raw);
  }
}

function settle(call: ChatCall, state: ChatChoice, verdict: ToolVerdict | undefined, text: string): void {
  if (verdict?.action === 'deny') {
    call.outcome = { action: 'refuse', text: verdict.text };
    state.refusedCount += 1;
  } else if (verdict?.action === 'rewrite') {
    call.outcome = { action: 'change', argumentsText: verdict.argumentsText };
  } else if (text !== call.argumentsText) {
    call.outcome = { action: 'change', argumentsText: text };
  }
}
