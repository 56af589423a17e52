/** Guardrails of a gateway: what is remembered of requests and callers, and the two questions that are asked. */
import { deriveKey } from '../crypto/index.ts';
import type { Direction, GuardrailEntry } from '../policy/governance.ts';
import { AnswerFilters, type AnswerGuard, type AnswerGuardQuestion } from './answer-guard.ts';
import {
  checkLargeRequest,
  checkRequest,
  type CheckedRequest,
  type CheckParts,
  type RequestQuestion,
} from './check-request.ts';
import { CleanMemory } from './clean-memory.ts';
import { compileEntries, detect, joinOverlaps, type CompiledEntries } from './compile-entries.ts';
import {
  PLACEHOLDER_LIMITS,
  Placeholders,
  type PlaceholderLimits,
  type PlaceholderScope,
} from './placeholders.ts';
import { Slices, Turns } from './turns.ts';

export interface GuardrailsOptions {
  /** At least 32 bytes, the same at every start: placeholders are derived from it. */
  readonly key: Uint8Array;
  readonly placeholders?: PlaceholderLimits;
  /** Texts remembered as clean. Default 65,536. */
  readonly cleanTextsMax?: number;
  /** Is given each value of a conversation that its provider keeps, once, for a later process. Must not throw. */
  readonly onKept?: (value: KeptValue) => void;
  /** What an earlier process was given, oldest first. What is no such value is passed over. */
  readonly earlier?: readonly unknown[];
}

/** A redacted value whose placeholder may come back after a restart. */
export interface KeptValue {
  readonly scope: string;
  readonly kind: string;
  readonly value: string;
}

export interface Guardrails {
  /** Checks a request; what is found in it is remembered for its answer. Synchronous, total. */
  checkRequest(question: RequestQuestion): CheckedRequest;
  /** The same for bodies from `LARGE_FROM_BYTES`: others are served while it goes on. Never rejects. */
  checkLargeRequest(question: RequestQuestion): Promise<CheckedRequest>;
  /** The guard of the answer to a request that passed; null where there is nothing to do. */
  guardAnswer(question: AnswerGuardQuestion): AnswerGuard | null;
  /**
   * Puts the placeholders of this caller's redacted values back into a text of an answer, for programs that are
   * told of it; null where nothing was redacted.
   */
  conceal(question: AnswerGuardQuestion): ((text: string) => string) | null;
}

/** 64 KiB: up to 2.5 ms with every detector, for text full of numbers. */
export const LARGE_FROM_BYTES = 65_536;

const REQUEST_DIRECTIONS: readonly Direction[] = ['request', 'tool_results', 'tool_arguments'];

/** The entries of one caller and model, prepared for each use. */
interface CompiledUses {
  readonly request: CompiledEntries | null;
  readonly answer: CompiledEntries | null;
  readonly arguments: CompiledEntries | null;
  readonly redacts: boolean;
}

/** Guardrails with memory alone: bounded, rebuilt after a restart from the requests themselves and from what was kept. */
export function createGuardrails(options: GuardrailsOptions): Guardrails {
  const placeholders = new Placeholders(
    deriveKey(options.key, 'postern/placeholders/1'),
    options.placeholders ?? PLACEHOLDER_LIMITS,
  );
  const clean = new CleanMemory(deriveKey(options.key, 'postern/clean-texts/1'), options.cleanTextsMax);
  const compiled = new WeakMap<readonly GuardrailEntry[], CompiledUses>();
  let serial = 0;
  for (const { scope, kind, value } of (options.earlier ?? []).filter(isKeptValue)) {
    const known = placeholders.open(scope);
    known.take(kind, value);
    known.keep(kind, value);
  }
  placeholders.shrink();

  const usesOf = (entries: readonly GuardrailEntry[]): CompiledUses => {
    const known = compiled.get(entries);
    if (known !== undefined) return known;
    const compile = (directions: readonly Direction[]): CompiledEntries | null =>
      compileEntries(entries, directions, (serial += 1));
    const made: CompiledUses = {
      request: compile(REQUEST_DIRECTIONS),
      answer: compile(['answer']),
      arguments: compile(['tool_arguments']),
      redacts: entries.some(({ action }) => action === 'redact'),
    };
    compiled.set(entries, made);
    return made;
  };

  const partsOf = ({ scope, isStored, entries }: RequestQuestion): CheckParts => {
    const openScope = (): PlaceholderScope => placeholders.open(scope);
    const onTaken = (kind: string, value: string): void => {
      if (openScope().keep(kind, value)) options.onKept?.({ scope, kind, value });
    };
    return { compiled: usesOf(entries).request, clean, openScope, onTaken: isStored ? onTaken : null };
  };
  const turns = new Turns();

  return {
    checkRequest(question) {
      const checked = checkRequest(question, partsOf(question));
      if (checked.edits.length > 0) placeholders.shrink();
      return checked;
    },

    async checkLargeRequest(question) {
      const checked = await checkLargeRequest(question, partsOf(question), new Slices(turns));
      if (checked.edits.length > 0) placeholders.shrink();
      return checked;
    },

    conceal({ entries, scope }) {
      const { redacts, request: compiled } = usesOf(entries);
      const known = redacts ? placeholders.find(scope) : null;
      if (compiled === null || known === null || known.isEmpty) return null;
      return (text) => concealed(compiled, known, text);
    },

    guardAnswer({ entries, scope }) {
      const uses = usesOf(entries);
      const known = uses.redacts ? placeholders.find(scope) : null;
      const restoring = known === null || known.isEmpty ? null : known;
      if (uses.answer === null && uses.arguments === null && restoring === null) return null;
      return new AnswerFilters({
        compiled: { text: uses.answer, tool_arguments: uses.arguments },
        restoring,
        scope: known ?? placeholders.open(scope),
      });
    },
  };
}

/** What the caller sent and was redacted, wherever it stands now. */
function concealed(compiled: CompiledEntries, scope: PlaceholderScope, text: string): string {
  const found = detect(compiled, text).filter(
    ({ entry, kind, start, end }) => entry.action === 'redact' && scope.has(kind, text.slice(start, end)),
  );
  let out = '';
  let at = 0;
  for (const { start, end, kind } of joinOverlaps(found)) {
    out += text.slice(at, start) + scope.make(kind, text.slice(start, end));
    at = end;
  }
  return out + text.slice(at);
}

/** The seal says that this very code gave it; an older version may have given another shape. */
function isKeptValue(value: unknown): value is KeptValue {
  if (typeof value !== 'object' || value === null) return false;
  const { scope, kind, value: text } = value as Partial<KeptValue>;
  return typeof scope === 'string' && typeof kind === 'string' && typeof text === 'string';
}
