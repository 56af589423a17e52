/** Guardrails on a request: limits first, then its texts; what is to be redacted becomes edits of the body. */
import type { RequestTexts, TextDirection, TextEdit, TextPart } from '../llm/request-text/index.ts';
import type { GuardrailEntry } from '../policy/governance.ts';
import type { CleanMemory } from './clean-memory.ts';
import {
  detect,
  detectInSlices,
  joinOverlaps,
  type CompiledEntries,
  type EntryDetection,
} from './compile-entries.ts';
import type { Blocked, Finding } from './finding.ts';
import { exceededLimit } from './limits.ts';
import { blockedBy } from './messages.ts';
import type { PlaceholderScope } from './placeholders.ts';
import { Tally } from './tally.ts';
import type { Slices } from './turns.ts';

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
      const text = part.text();
      const blocked = this.#conclude(name, { part, text, found: detect(this.#compiled, text) });
      if (blocked !== null) return block(blocked, this.#tally.list());
    }
    return this.#pass();
  }

  async runInSlices(texts: readonly TextPart[], slices: Slices): Promise<CheckedRequest> {
    for (const part of texts) {
      const turn = slices.before(part.end - part.start);
      if (turn !== null) await turn;
      const name = this.#nameOf(part);
      if (this.#isClean(name)) continue;
      const text = part.text();
      const found = await detectInSlices(this.#compiled, text, slices);
      const blocked = this.#conclude(name, { part, text, found });
      if (blocked !== null) return block(blocked, this.#tally.list());
    }
    return this.#pass();
  }

  #pass(): CheckedRequest {
    const edits: TextEdit[] = [];
    for (const examined of this.#examined) this.#takeValues(examined);
    for (const examined of this.#examined) {
      const edit = this.#redact(examined);
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

  #conclude(name: string | null, { part, text, found }: Omit<Examined, 'direction'>): Blocked | null {
    if (found.length > 0) return this.#judge({ part, direction: part.direction, text, found });
    if (name !== null) this.#parts.clean.add(name);
    return null;
  }

  #judge(examined: Examined): Blocked | null {
    const { part, direction, found } = examined;
    for (const one of found) {
      if (!one.entry.on.includes(direction)) continue;
      this.#tally.add(one, { direction, role: part.role });
      if (one.entry.action === 'block') return blockedBy(one.entry, one.kind, WHERE[direction]);
      if (one.entry.action === 'redact' && !part.editable) return sealed(one.entry, one.kind);
    }
    if (found.some(({ entry }) => entry.action === 'redact')) this.#examined.push(examined);
    return null;
  }

  /** Gives every value that is redacted where it stands its placeholder. */
  #takeValues({ direction, text, found }: Examined): void {
    const scope = this.#parts.openScope();
    for (const { start, end, kind } of joinOverlaps(redactedAt(direction, found))) {
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
  #redact({ part, direction, text, found }: Examined): TextEdit | null {
    const scope = this.#parts.openScope();
    const here = new Set(redactedAt(direction, found));
    const spans = joinOverlaps(
      found.filter(
        (one) =>
          here.has(one) ||
          (one.entry.action === 'redact' && scope.has(one.kind, text.slice(one.start, one.end))),
      ),
    );
    if (spans.length === 0 || !part.editable) return null;
    let out = '';
    let at = 0;
    for (const { start, end, kind } of spans) {
      out += text.slice(at, start) + scope.take(kind, text.slice(start, end));
      at = end;
    }
    return { part, text: out + text.slice(at) };
  }
}

/** Arguments in the history are looked at by every entry that redacts: originals have been put back in them. */
function redactedAt(direction: TextDirection, found: readonly EntryDetection[]): readonly EntryDetection[] {
  return found.filter(
    ({ entry }) =>
      entry.action === 'redact' && (entry.on.includes(direction) || direction === 'tool_arguments'),
  );
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
