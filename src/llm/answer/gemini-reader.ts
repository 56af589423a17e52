/**
 * Governs a Gemini answer, streamed or whole. Every event is a response of its own; a call stands
 * whole in one part, or in pieces over several (gemini-partial-arguments.ts).
 *
 * A refused call leaves a text part in its place. Signatures: Gemini 3 wants one on the first call
 * of each step of the current turn. Where the refused call bore it and another call stays, that call
 * gets the documented placeholder, and `RefusedCall.original` lets the next request have the real
 * ones again (gemini-history.ts).
 */
import type { AnswerEdits, ToolVerdict } from './editor.ts';
import {
  CHECKS_NO_SIGNATURES,
  decided,
  EMPTY_PART,
  pass,
  refuse,
  replaced,
  signatureEdits,
  type CandidateState,
  type Group,
  type GroupCall,
  type Member,
  type PartPlace,
} from './gemini-calls.ts';
import { PartialArguments } from './gemini-partial-arguments.ts';
import { readResponse, type CallPart, type ReadCandidate, type ReadResponse } from './gemini-parts.ts';
import { applyEdits, findSpan, textAt, type SpanEdit } from './streams/edit-spans.ts';
import { parseEventJson } from './streams/event-json.ts';
import { filterArguments, filtersArguments } from './streams/filter-arguments.ts';
import type { Framing, StreamEvent } from './streams/framing.ts';
import type { EditOutput, HeldPlace } from './streams/ordered-output.ts';
import type { ReaderParts, StreamReader } from './streams/stream-editor.ts';

/** An event without any of it, in whatever letters, cannot ask for a call. */
const MAY_CALL = /funct|\\u|"name"|partial_?args/i;
/** Real requests ask for 8 candidates at most. */
const CANDIDATES_MAX = 64;
export interface GeminiReaderOptions {
  /** The one event is the whole answer. */
  readonly isWhole: boolean;
}

export class GeminiReader implements StreamReader {
  readonly #framing: Framing;
  readonly #edits: AnswerEdits;
  readonly #output: EditOutput;
  readonly #isWhole: boolean;
  readonly #candidates = new Map<number, CandidateState>();
  #group: Group | null = null;

  constructor({ framing, edits, output }: ReaderParts, { isWhole }: GeminiReaderOptions) {
    this.#framing = framing;
    this.#edits = edits;
    this.#output = output;
    this.#isWhole = isWhole;
  }

  event(event: StreamEvent): void {
    const { data } = event;
    if (data === null || (this.#edits.text === null && !MAY_CALL.test(data.toString('latin1')))) {
      this.#output.pass(event.raw);
      return;
    }
    const value = parseEventJson(data);
    const response =
      value === null
        ? 'an event is no JSON that can be read in one way only'
        : readResponse(value, this.#edits);
    if (typeof response === 'string') this.#output.fault(response);
    else this.#response(event, data, response);
  }

  end(): void {
    for (const [index, state] of this.#candidates) this.#passTail(index, state);
  }

  #response(event: StreamEvent, data: Buffer, response: ReadResponse): void {
    const edits: SpanEdit[] = [];
    for (const candidate of response.candidates) {
      const state = this.#state(candidate.index);
      if (state === null) return;
      edits.push(...this.#filterText(candidate, state, data));
    }
    const calls = response.candidates.flatMap(({ parts }) => parts.filter((part) => part.kind === 'call'));
    if (calls.length === 0 && this.#group === null) {
      this.#output.pass(
        edits.length === 0 ? event.raw : this.#framing.replace(event, applyEdits(data, edits)),
      );
      return;
    }
    const parts = response.candidates.flatMap((candidate) => candidate.parts);
    const isOnlyPieces =
      parts.length > 0 &&
      parts.every((part) => part.kind === 'call' && part.name === null) &&
      response.candidates.every(({ isFinished }) => !isFinished);
    const kept = { raw: Buffer.from(event.raw), name: event.name, data: Buffer.from(data) };
    this.#calls({ event: kept, data: kept.data, edits, isOnlyPieces }, response);
  }

  /** An event with calls, or one that comes while pieces of a call are still to come. */
  #calls(member: Member, response: ReadResponse): void {
    const calls: GroupCall[] = [];
    const dropped: PartPlace[] = [];
    for (const candidate of response.candidates) {
      for (const [at, part] of candidate.parts.entries()) {
        if (part.kind !== 'call') continue;
        const place = { member, path: ['candidates', candidate.at, 'content', 'parts', at] };
        const found = this.#call(part, place, candidate.index, response.modelVersion);
        if (found === null) return;
        if (found === 'dropped') dropped.push(place);
        else if (found !== 'passing') calls.push(found);
      }
    }
    if (this.#group === null && !calls.some((call) => this.#isHeld(call)))
      this.#passMember(member, calls, dropped);
    else this.#join(member, calls);
  }

  /** Whether a call waits for a decision or a filter. */
  #isHeld(call: GroupCall): boolean {
    return call.governed || filtersArguments(this.#edits);
  }

  /** A call that begins, or a piece of one. Null if it cannot be there. */
  #call(
    part: CallPart,
    place: PartPlace,
    index: number,
    modelVersion: string,
  ): GroupCall | 'passing' | 'dropped' | null {
    const state = this.#state(index);
    if (state === null) return null;
    if (part.name !== null) return this.#begin(part, part.name, place, state, modelVersion);
    const { open } = state;
    if (open === null) {
      this.#output.fault('a piece of a call comes before its name');
      return null;
    }
    if (typeof open === 'string') {
      if (!part.willContinue) state.open = null;
      return open;
    }
    open.pieces.push(place);
    open.partial?.add(part.partialArgs);
    if (part.args !== undefined) open.partial?.spoil();
    if (!part.willContinue) this.#endPartial(open, state);
    return 'passing';
  }

  #begin(
    part: CallPart,
    name: string,
    place: PartPlace,
    state: CandidateState,
    modelVersion: string,
  ): GroupCall | null {
    if (state.open !== null) {
      this.#output.fault('a call begins before the one before it has ended');
      return null;
    }
    const inPieces = part.willContinue || part.partialArgs !== undefined;
    const span = part.hasSignature ? findSpan(place.member.data, place.path) : null;
    const written = part.args === undefined || part.args === null ? '{}' : JSON.stringify(part.args);
    const call: GroupCall = {
      id: part.id,
      name,
      governed: this.#edits.tools?.governs(name) ?? false,
      candidate: state,
      hasSignature: part.hasSignature,
      checksSignatures: !CHECKS_NO_SIGNATURES.test(modelVersion),
      pieces: [place],
      original: span === null ? undefined : textAt(place.member.data, span),
      partial: inPieces ? new PartialArguments() : null,
      isWhole: !inPieces,
      written,
      argumentsText: written,
    };
    if (call.partial === null) {
      call.argumentsText = filterArguments(written, this.#edits);
      return call;
    }
    call.partial.add(part.partialArgs);
    if (part.args !== undefined) call.partial.spoil();
    if (part.willContinue) state.open = this.#isHeld(call) ? call : 'passing';
    else this.#endPartial(call, state);
    return call;
  }

  #endPartial(call: GroupCall, state: CandidateState): void {
    call.isWhole = true;
    call.written = call.partial?.text() ?? '{}';
    call.argumentsText = filterArguments(call.written, this.#edits);
    state.open = null;
  }

  #passMember(member: Member, passing: readonly GroupCall[], dropped: readonly PartPlace[]): void {
    this.#output.passLater(member.event.raw, () => {
      const edits = [...member.edits];
      for (const call of passing) edits.push(...signatureEdits(call));
      if (dropped.length > 0 && member.isOnlyPieces) return Buffer.alloc(0);
      for (const { path } of dropped) edits.push(...replaced(member.data, path, EMPTY_PART));
      return this.#written(member, edits);
    });
  }

  /** Adds an event to the group; without open calls the group is decided. */
  #join(member: Member, calls: readonly GroupCall[]): void {
    const group = (this.#group ??= this.#makeGroup(calls));
    group.members.push(member);
    group.calls.push(...calls);
    group.place.keep(member.event.raw);
    if (group.place.isSettled) {
      // Too large: what is still to come of open calls is dropped.
      for (const state of this.#candidates.values()) {
        if (state.open !== null && state.open !== 'passing') state.open = 'dropped';
      }
      this.#group = null;
      return;
    }
    if (group.calls.some(({ candidate }) => typeof candidate.open === 'object' && candidate.open !== null))
      return;
    this.#group = null;
    const asked = group.calls.filter(({ governed }) => governed);
    group.place.decide(asked.map(decided), (verdicts, held) => {
      const byCall = new Map(asked.map((call, i) => [call, verdicts[i]]));
      return this.#render(group, byCall, held);
    });
  }

  #makeGroup(calls: readonly GroupCall[]): Group {
    const first = calls.find(({ governed }) => governed) ?? calls[0];
    const group: { place: HeldPlace | null; members: Member[]; calls: GroupCall[] } = {
      place: null,
      members: [],
      calls: [],
    };
    const place = this.#output.hold({
      id: first?.id ?? null,
      name: first?.name ?? '',
      others: () => group.calls.filter((call) => call.governed && call !== first),
      refuse: (text) => {
        const refused = group.calls
          .filter((call) => call.governed || !call.isWhole || call === first)
          .map((call): [GroupCall, ToolVerdict] => [call, { action: 'deny', text }]);
        return this.#render(group, new Map(refused), null);
      },
    });
    return Object.assign(group, { place });
  }

  /** What a group's events become. `held`: their bytes, if they may go as they came. */
  #render(
    group: Pick<Group, 'members' | 'calls'>,
    verdicts: ReadonlyMap<GroupCall, ToolVerdict | undefined>,
    held: Buffer | null,
  ): Buffer {
    const changes = new Map<Member, SpanEdit[]>(group.members.map((member) => [member, [...member.edits]]));
    for (const call of group.calls) {
      const verdict = verdicts.get(call);
      if (verdict?.action === 'deny') refuse(call, verdict.text, changes);
      else
        pass(
          call,
          verdict?.action === 'rewrite' ? verdict.argumentsText : call.argumentsText,
          verdict,
          changes,
        );
    }
    if (held !== null && [...changes.values()].every((edits) => edits.length === 0)) return held;
    return Buffer.concat(
      group.members.map((member) => {
        const edits = changes.get(member) ?? [];
        return edits.length > 0 && member.isOnlyPieces ? Buffer.alloc(0) : this.#written(member, edits);
      }),
    );
  }

  #written({ event, data }: Member, edits: readonly SpanEdit[]): Buffer {
    return edits.length === 0 ? event.raw : this.#framing.replace(event, applyEdits(data, edits));
  }

  #state(index: number): CandidateState | null {
    const known = this.#candidates.get(index);
    if (known !== undefined) return known;
    if (this.#candidates.size >= CANDIDATES_MAX) {
      this.#output.fault(`the answer has more than ${CANDIDATES_MAX} candidates`);
      return null;
    }
    const state = { open: null, filter: null, orphaned: false, passedCall: false };
    this.#candidates.set(index, state);
    return state;
  }

  /** Edits that put filtered text in place, with the filter's tail before whatever ends the text. */
  #filterText(
    { at, index, parts, isFinished }: ReadCandidate,
    state: CandidateState,
    data: Buffer,
  ): SpanEdit[] {
    if (this.#edits.text === null) return [];
    const edits: SpanEdit[] = [];
    const ends = isFinished || this.#isWhole;
    if (parts.length === 0 && ends) this.#passTail(index, state);
    for (const [i, part] of parts.entries()) {
      const path = ['candidates', at, 'content', 'parts', i];
      const span = findSpan(data, path);
      if (span === null) continue;
      if (part.kind === 'text') {
        state.filter ??= this.#edits.text('text');
        if (state.filter === null) continue;
        const goesOn = i === parts.length - 1 ? !ends : parts[i + 1]?.kind === 'text';
        const text = state.filter.push(part.text) + (goesOn ? '' : takeTail(state));
        const textSpan = text === part.text ? null : findSpan(data, [...path, 'text']);
        if (textSpan !== null) edits.push({ ...textSpan, text: JSON.stringify(text) });
        continue;
      }
      const tail = takeTail(state);
      if (tail !== '')
        edits.push({ start: span.start, end: span.start, text: `${JSON.stringify({ text: tail })},` });
    }
    return edits;
  }

  #passTail(index: number, state: CandidateState): void {
    const tail = takeTail(state);
    if (tail === '') return;
    const content = { role: 'model', parts: [{ text: tail }] };
    this.#output.pass(this.#framing.encode('', JSON.stringify({ candidates: [{ content, index }] })));
  }
}

function takeTail(state: CandidateState): string {
  const tail = state.filter?.finish() ?? '';
  state.filter = null;
  return tail;
}
