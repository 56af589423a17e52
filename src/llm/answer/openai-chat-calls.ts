/**
 * The calls of one choice of a Chat Completions stream, put together from their pieces (OpenAI API
 * reference, "Chat completion chunk object"). Compatible servers leave out indexes and ids, send
 * whole calls, repeat names, or give parallel calls one index: what they mean is taken as far as it
 * cannot be read in two ways.
 */
import { asIndex, asRecord, asText, type JsonRecord } from './streams/event-json.ts';
import type { HeldPlace } from './streams/ordered-output.ts';

/** What becomes of a call. `keep`: its pieces go on as they came. `refuse` without a text: nothing is said of it. */
export type ChatOutcome =
  | { readonly action: 'keep' }
  | { readonly action: 'refuse'; readonly text: string }
  | { readonly action: 'change'; readonly argumentsText: string };

/** The three ways to ask for a call: `tool_calls` with `function` or `custom`, and the older `function_call`. */
export type ChatCallKind = 'function' | 'custom' | 'function_call';

/** A call whose pieces are arriving. */
export interface ChatCall {
  readonly kind: ChatCallKind;
  id: string | null;
  /** '' until it is known. */
  name: string;
  /** The name came more than once. */
  repeatsName: boolean;
  argumentsText: string;
  /** As the provider numbers it; null where it does not. */
  readonly wireIndex: number | null;
  /** As the caller counts it; null until its first piece is sent. */
  sentIndex: number | null;
  /** Null where the call is under no rule, or not known to be. */
  place: HeldPlace | null;
  /** All pieces have come, as far as the stream tells. */
  isClosed: boolean;
  outcome: ChatOutcome;
}

/** One piece of a call, as a chunk has it. */
export interface CallPiece {
  readonly call: ChatCall;
  /** Position in the chunk's `tool_calls`; null for `function_call`. */
  readonly at: number | null;
  /** The first piece of its call. */
  readonly isFirst: boolean;
}

/** Calls of one choice; more cannot be followed. */
const CALLS_MAX = 512;
/** Choices of one answer (`n` goes to 128). */
export const CHOICES_MAX = 256;

/** What the stream has said so far in one choice. */
export class ChatChoice {
  readonly calls: ChatCall[] = [];
  /** Text was sent, by the model or as a refusal. */
  hasText = false;
  /** Some call was under a rule: indexes are ours from then on. */
  isGoverned = false;
  refusedCount = 0;
  isFinished = false;
  /** Indexes that the caller has seen. */
  readonly #sent = new Set<number>();

  /** Whether some call goes to the caller. */
  get hasSent(): boolean {
    return this.#sent.size > 0;
  }

  /** The index under which a call is sent: the provider's own, unless a refused call left a gap or it is in use. */
  sentIndex(call: ChatCall): number {
    if (call.sentIndex !== null) return call.sentIndex;
    const own = this.refusedCount === 0 ? call.wireIndex : null;
    call.sentIndex = own !== null && !this.#sent.has(own) ? own : Math.max(-1, ...this.#sent) + 1;
    this.#sent.add(call.sentIndex);
    return call.sentIndex;
  }

  /** The call that a piece belongs to. Throws for one that can be read in two ways. */
  take(piece: JsonRecord, at: number): CallPiece {
    const body = bodyOf(piece);
    const wireIndex =
      piece['index'] === undefined || piece['index'] === null ? null : asIndex(piece['index']);
    if (wireIndex === null && piece['index'] !== undefined && piece['index'] !== null)
      throw new Error('a tool call has an index that is none');
    const id = asText(piece['id']) || null;
    const known = this.#find(wireIndex, id);
    const kind = body?.kind ?? known?.kind ?? 'function';
    const call = known ?? this.#begin(kind, wireIndex, id);
    if (call.kind !== kind) throw new Error('a tool call is of two kinds');
    call.id ??= id;
    this.#add(call, body?.value ?? {}, kind === 'custom' ? 'input' : 'arguments');
    return { call, at, isFirst: known === null };
  }

  /** The same for a piece of `function_call`. */
  takeFunctionCall(value: JsonRecord): CallPiece {
    const known = this.calls.findLast(({ kind }) => kind === 'function_call') ?? null;
    const call = known ?? this.#begin('function_call', null, null);
    this.#add(call, value, 'arguments');
    return { call, at: null, isFirst: known === null };
  }

  #begin(kind: ChatCallKind, wireIndex: number | null, id: string | null): ChatCall {
    if (this.calls.length >= CALLS_MAX) throw new Error(`more than ${CALLS_MAX} tool calls`);
    const call: ChatCall = {
      kind,
      id,
      name: '',
      repeatsName: false,
      argumentsText: '',
      wireIndex,
      sentIndex: null,
      place: null,
      isClosed: false,
      outcome: { action: 'keep' },
    };
    this.calls.push(call);
    return call;
  }

  /** The call that goes on: by index unless the id is another, else by id, else the latest one. */
  #find(wireIndex: number | null, id: string | null): ChatCall | null {
    const tools = this.calls.filter(({ kind }) => kind !== 'function_call');
    if (wireIndex === null) {
      return (id === null ? tools.at(-1) : tools.findLast((call) => call.id === id)) ?? null;
    }
    const known = tools.findLast((call) => call.wireIndex === wireIndex);
    if (known === undefined) return null;
    return id === null || known.id === null || known.id === id ? known : null;
  }

  #add(call: ChatCall, value: JsonRecord, member: 'arguments' | 'input'): void {
    const name = asText(value['name']) ?? '';
    if (name !== '' && call.name !== '' && name !== call.name) throw new Error('a tool call has two names');
    if (call.name === '') call.name = name;
    else if (name !== '') call.repeatsName = true;
    const piece = value[member];
    if (piece === undefined || piece === null) return;
    // Some servers give the arguments as an object.
    const text = asText(piece) ?? JSON.stringify(piece);
    if (call.isClosed && text !== '' && call.place !== null)
      throw new Error('a tool call goes on after it has ended');
    call.argumentsText += text;
  }
}

/** The member of a piece that says what is called; null where it only goes on or names an id. */
function bodyOf(
  piece: JsonRecord,
): { readonly kind: 'function' | 'custom'; readonly value: JsonRecord } | null {
  const [fn, custom] = [piece['function'] ?? null, piece['custom'] ?? null];
  if (fn !== null && custom !== null) throw new Error('a tool call is of two kinds');
  const value = asRecord(fn ?? custom);
  if (value !== null) return { kind: fn === null ? 'custom' : 'function', value };
  if (fn !== null || custom !== null) throw new Error('a tool call cannot be read');
  return null;
}
