/** The calls of a Gemini answer: what is known of each, and what becomes of its parts. */
import type { TextFilter, ToolVerdict } from './editor.ts';
import type { PartialArguments } from './gemini-partial-arguments.ts';
import { findSpan, type SpanEdit } from './streams/edit-spans.ts';
import { parseArguments } from './streams/event-json.ts';
import type { StreamEvent } from './streams/framing.ts';
import type { DecidedCall, HeldPlace } from './streams/ordered-output.ts';

/** Stands for a signature on calls that come without one (Gemini API, "Thought signatures"). */
export const SIGNATURE_PLACEHOLDER = 'skip_thought_signature_validator';
/** Models before it check no signatures and do not know the placeholder. */
export const CHECKS_NO_SIGNATURES = /^(?:models\/)?gemini-[12](?:[.-]|$)/;
/** What stands for a piece of a call that does not go. */
export const EMPTY_PART = '{"text":""}';

/** A call of the group at hand. */
export interface GroupCall {
  readonly id: string | null;
  readonly name: string;
  readonly governed: boolean;
  readonly candidate: CandidateState;
  readonly hasSignature: boolean;
  readonly checksSignatures: boolean;
  /** The parts that it came in; the first bears its name. */
  readonly pieces: PartPlace[];
  readonly original: string | undefined;
  readonly partial: PartialArguments | null;
  isWhole: boolean;
  /** As the provider wrote it, and after the filters. */
  written: string;
  argumentsText: string;
}

export interface PartPlace {
  readonly member: Member;
  readonly path: readonly (string | number)[];
}

/** An event of a group, and what is to change in it whatever is decided. */
export interface Member {
  readonly event: StreamEvent;
  readonly data: Buffer;
  readonly edits: readonly SpanEdit[];
  /** It holds nothing but further pieces of calls: without them it need not go. */
  readonly isOnlyPieces: boolean;
}

/** Events that are held together until their calls are whole and decided. */
export interface Group {
  readonly place: HeldPlace;
  readonly members: Member[];
  readonly calls: GroupCall[];
}

/** What is known of one candidate through the stream. */
export interface CandidateState {
  /** The call whose pieces are coming: held, or passing, or dropped because it was too large. */
  open: GroupCall | 'passing' | 'dropped' | null;
  filter: TextFilter | null;
  /** A call that bore a signature was refused, and none has been passed. */
  orphaned: boolean;
  passedCall: boolean;
}

/** A call that is whole, as the gate is asked about it. */
export function decided({ id, name, argumentsText, partial, original }: GroupCall): DecidedCall {
  const value = partial === null || partial.value() !== undefined ? parseArguments(argumentsText) : undefined;
  return { id, name, argumentsText, arguments: value, ...(original === undefined ? {} : { original }) };
}

/** Edits by event. */
export type Changes = ReadonlyMap<Member, SpanEdit[]>;

function change({ member, path }: PartPlace, text: string, changes: Changes): void {
  changes.get(member)?.push(...replaced(member.data, path, text));
}

/** The edit that puts a text in place of the value at a path. */
export function replaced(data: Buffer, path: readonly (string | number)[], text: string): SpanEdit[] {
  const span = findSpan(data, path);
  return span === null ? [] : [{ ...span, text }];
}

/** A refused call: its text, and nothing for its further pieces. */
export function refuse(call: GroupCall, text: string, changes: Changes): void {
  const { candidate } = call;
  if (call.hasSignature && !candidate.passedCall) candidate.orphaned = true;
  for (const [i, piece] of call.pieces.entries())
    change(piece, i === 0 ? JSON.stringify({ text }) : EMPTY_PART, changes);
}

/** A call that goes to the caller, perhaps with other arguments. Throws on arguments that are no JSON object. */
export function pass(
  call: GroupCall,
  wanted: string,
  verdict: ToolVerdict | undefined,
  changes: Changes,
): void {
  const [first, ...rest] = call.pieces;
  if (first === undefined) return;
  changes.get(first.member)?.push(...signatureEdits(call));
  if (verdict?.action !== 'rewrite' && wanted === call.written) return;
  // Written anew, so that it is one JSON value whatever the rule gave.
  const args: unknown = JSON.parse(wanted);
  if (typeof args !== 'object' || args === null || Array.isArray(args))
    throw new TypeError('arguments are no object');
  const { id, name } = call;
  const whole = { path: [...first.path, 'functionCall'], member: first.member };
  change(whole, JSON.stringify({ ...(id === null ? {} : { id }), name, args }), changes);
  for (const piece of rest) change(piece, EMPTY_PART, changes);
}

/** Notes that a call goes to the caller; gives it the placeholder where a refused one bore the signature. */
export function signatureEdits(call: GroupCall): SpanEdit[] {
  const { candidate, hasSignature, checksSignatures } = call;
  const needsOne = candidate.orphaned && !candidate.passedCall && !hasSignature && checksSignatures;
  candidate.passedCall = true;
  const [first] = call.pieces;
  const span = needsOne && first !== undefined ? findSpan(first.member.data, first.path) : null;
  if (span === null) return [];
  return [
    { start: span.start + 1, end: span.start + 1, text: `"thoughtSignature":"${SIGNATURE_PLACEHOLDER}",` },
  ];
}
