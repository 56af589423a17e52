/** Guardrails on a request: limits first, then its texts; what is to be redacted becomes edits of the body. */
import type { RequestTexts, TextDirection, TextEdit, TextPart } from '../llm/request-text/index.ts';
import { finishScan, SCAN_STEP_CHARS, type Scan } from '../llm/scan.ts';
import type { GuardrailEntry } from '../policy/governance.ts';
import type { CleanMemory } from './clean-memory.ts';
import {
  FOUND_STEP,
  scanText,
  joinInSteps,
  type CompiledEntries,
  type EntryDetection,
} from './compile-entries.ts';
import type { Blocked, Finding } from './finding.ts';
import { exceededLimit } from './limits.ts';
import { blockedBy } from './messages.ts';
import type { PlaceholderScope } from './placeholders.ts';
import { Tally } from './tally.ts';
import { inSlices, type Slices } from './turns.ts';

export interface RequestQuestion {
  /** Those that hold for the caller and model (`Governance.guardrails`). */
  readonly entries: readonly GuardrailEntry[];
  /** The caller, or caller and session: whose placeholders. Never a label. */
  readonly scope: string;
  readonly body: Buffer;
  /** Of `body` (`requestTexts`); null where its format has no walker. */
  readonly texts: RequestTexts | null;
  /** Number of declared tools (`requestTools`). */
  readonly tools: number;
  /** `readOutputLimit(…).written`. */
  readonly outputTokens: number | null;
  /** The provider keeps the conversation: its placeholders may come back in an answer after a restart. */
  readonly isStored: boolean;
}

export interface CheckedRequest {
  readonly verdict: 'pass' | 'block';
  /** Null where the verdict is `pass`. */
  readonly blocked: Blocked | null;
  readonly findings: readonly Finding[];
  /** For `withTexts`; empty where nothing is redacted or the request is blocked. */
  readonly edits: readonly TextEdit[];
}

/** What outlives one request. */
export interface CheckParts {
  readonly compiled: CompiledEntries | null;
  readonly clean: CleanMemory;
  /** Opened when the first value is redacted. */
  readonly openScope: () => PlaceholderScope;
  /** Told of each value that is redacted where it stands; null where nobody needs to know. */
  readonly onTaken: ((kind: string, value: string) => void) | null;
}

/** Checks one request. Never throws on any body that `requestTexts` reads. */
export function checkRequest(question: RequestQuestion, parts: CheckParts): CheckedRequest {
  const check = prepare(question, parts);
  return check.isDone ? check.checked : check.texts.run(check.parts);
}

/** The same, a slice in a turn of the event loop; never rejects on such a body. */
export async function checkLargeRequest(
  question: RequestQuestion,
  parts: CheckParts,
  slices: Slices,
): Promise<CheckedRequest> {
  const check = prepare(question, parts);
  return check.isDone ? check.checked : check.texts.runInSlices(check.parts, slices);
}

/** Decided by limits alone, or texts that are to be looked at. */
type Prepared =
  | { readonly isDone: true; readonly checked: CheckedRequest }
  | { readonly isDone: false; readonly texts: TextCheck; readonly parts: readonly TextPart[] };

function prepare(question: RequestQuestion, parts: CheckParts): Prepared {
  const { entries, body, texts, tools, outputTokens } = question;
  const exceeded = exceededLimit(entries, {
    bodyBytes: body.length,
    depth: texts?.depth ?? null,
    messages: texts?.messages ?? null,
    tools,
    outputTokens,
  });
  if (exceeded !== null) return { isDone: true, checked: block(exceeded, []) };
  if (parts.compiled === null) return { isDone: true, checked: PASS };
  if (texts === null) return { isDone: true, checked: block(unreadable(parts.compiled), []) };
  return { isDone: false, texts: new TextCheck(body, parts.compiled, parts), parts: texts.parts };
}

const PASS: CheckedRequest = { verdict: 'pass', blocked: null, findings: [], edits: [] };

function block(blocked: Blocked, findings: readonly Finding[]): CheckedRequest {
  return { verdict: 'block', blocked, findings, edits: [] };
}

function unreadable({ entries }: CompiledEntries): Blocked {
  const guardrail = entries[0]?.name ?? '';
  const message = `the guardrail "${guardrail}" holds for you, and what this path takes cannot be looked into`;
  return { guardrail, kind: 'surface_not_governed', message };
}

/** A part with its finds, kept until all values that are redacted are known. */
interface Examined {
  readonly part: TextPart;
  readonly direction: TextDirection;
  readonly text: string;
  readonly found: readonly EntryDetection[];
}

class TextCheck {
  readonly #body: Buffer;
  readonly #compiled: CompiledEntries;
  readonly #parts: CheckParts;
  readonly #tally = new Tally();
  readonly #examined: Examined[] = [];

  constructor(body: Buffer, compiled: CompiledEntries, parts: CheckParts) {
    this.#body = body;
    this.#compiled = compiled;
    this.#parts = parts;
  }

  run(texts: readonly TextPart[]): CheckedRequest {
    for (const part of texts) {
      const name = this.#nameOf(part);
      if (this.#isClean(name)) continue;
      const blocked = finishScan(this.#look(name, part));
      if (blocked !== null) return block(blocked, this.#tally.list());
    }
    return finishScan(this.#pass());
  }

  async runInSlices(texts: readonly TextPart[], slices: Slices): Promise<CheckedRequest> {
    for (const part of texts) {
      const turn = slices.before(part.end - part.start);
      if (turn !== null) await turn;
      const name = this.#nameOf(part);
      if (this.#isClean(name)) continue;
      const ofSources = slices.before(
        this.#compiled.sources.length * Math.min(part.end - part.start, SCAN_STEP_CHARS),
      );
      if (ofSources !== null) await ofSources;
      const blocked = await inSlices(this.#look(name, part), slices);
      if (blocked !== null) return block(blocked, this.#tally.list());
    }
    return inSlices(this.#pass(), slices);
  }

  *#look(name: string | null, part: TextPart): Scan<Blocked | null> {
    const text = part.text();
    const found = yield* scanText(this.#compiled, text);
    if (found.length > 0) return yield* this.#judge({ part, direction: part.direction, text, found });
    if (name !== null) this.#parts.clean.add(name);
    return null;
  }

  *#pass(): Scan<CheckedRequest> {
    const edits: TextEdit[] = [];
    for (const examined of this.#examined) yield* this.#takeValues(examined);
    for (const examined of this.#examined) {
      const edit = yield* this.#redact(examined);
      if (edit !== null) edits.push(edit);
    }
    return { verdict: 'pass', blocked: null, findings: this.#tally.list(), edits };
  }

  /** For what is remembered of clean texts; null for those that are not remembered. */
  #nameOf({ start, end, encoding }: TextPart): string | null {
    if (encoding === 'nested') return null;
    return this.#parts.clean.name(this.#body.subarray(start, end), encoding, this.#compiled.serial);
  }

  #isClean(name: string | null): boolean {
    return name !== null && this.#parts.clean.has(name);
  }

  *#judge(examined: Examined): Scan<Blocked | null> {
    const { part, direction, found } = examined;
    for (const [at, one] of found.entries()) {
      if (at % FOUND_STEP === FOUND_STEP - 1) yield;
      if (!one.entry.on.includes(direction)) continue;
      this.#tally.add(one, { direction, role: part.role });
      if (one.entry.action === 'block') return blockedBy(one.entry, one.kind, WHERE[direction]);
      if (one.entry.action === 'redact' && !part.editable) return sealed(one.entry, one.kind);
    }
    if (found.some(({ entry }) => entry.action === 'redact')) this.#examined.push(examined);
    return null;
  }

  /** Gives every value that is redacted where it stands its placeholder. */
  *#takeValues({ direction, text, found }: Examined): Scan<void> {
    const scope = this.#parts.openScope();
    const spans = yield* joinInSteps(found.filter((one) => isRedacted(one, direction)));
    for (const [at, { start, end, kind }] of spans.entries()) {
      if (at % VALUES_STEP === VALUES_STEP - 1) yield;
      const value = text.slice(start, end);
      scope.take(kind, value);
      this.#parts.onTaken?.(kind, value);
    }
  }

  /**
   * Replaces what the entries of this direction find; and in every other text what was redacted
   * anywhere: a value that the client got back in a call's arguments comes again in the next turn's
   * history, where no entry may look.
   */
  *#redact({ part, direction, text, found }: Examined): Scan<TextEdit | null> {
    const scope = this.#parts.openScope();
    const replaced: EntryDetection[] = [];
    for (const [at, one] of found.entries()) {
      if (at % VALUES_STEP === VALUES_STEP - 1) yield;
      const isKnown = one.entry.action === 'redact' && scope.has(one.kind, text.slice(one.start, one.end));
      if (isKnown || isRedacted(one, direction)) replaced.push(one);
    }
    const spans = yield* joinInSteps(replaced);
    if (spans.length === 0 || !part.editable) return null;
    const written: string[] = [];
    let pieces: string[] = [];
    let from = 0;
    for (const { start, end, kind } of spans) {
      pieces.push(text.slice(from, start), scope.take(kind, text.slice(start, end)));
      from = end;
      if (pieces.length < 2 * VALUES_STEP) continue;
      written.push(pieces.join(''));
      pieces = [];
      yield;
    }
    return { part, text: written.join('') + pieces.join('') + text.slice(from) };
  }
}

/** Values between two pauses: each takes a keyed hash. */
const VALUES_STEP = 256;

/** Arguments in the history are looked at by every entry that redacts: originals have been put back in them. */
function isRedacted({ entry }: EntryDetection, direction: TextDirection): boolean {
  return entry.action === 'redact' && (entry.on.includes(direction) || direction === 'tool_arguments');
}

const WHERE: Readonly<Record<TextDirection, string>> = {
  request: 'the request',
  tool_results: "a tool's result",
  tool_arguments: "a tool call's arguments",
};

function sealed(entry: GuardrailEntry, kind: string): Blocked {
  const message =
    entry.message ??
    `the guardrail "${entry.name}" cannot redact what a signed part of the conversation holds (${kind.replaceAll('_', ' ')}): start a new conversation`;
  return { guardrail: entry.name, kind, message };
}
