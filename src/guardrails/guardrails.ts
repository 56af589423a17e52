/** Guardrails of a gateway: what is remembered of requests and callers, and the two questions that are asked. */
import { deriveKey } from '../crypto/index.ts';
import type { Direction, GuardrailEntry } from '../policy/governance.ts';
import { AnswerFilters, type AnswerGuard, type AnswerGuardQuestion } from './answer-guard.ts';
import { checkRequest, type CheckedRequest, type RequestQuestion } from './check-request.ts';
import { CleanMemory } from './clean-memory.ts';
import { compileEntries, type CompiledEntries } from './compile-entries.ts';
import { PLACEHOLDER_LIMITS, Placeholders, type PlaceholderLimits } from './placeholders.ts';

export interface GuardrailsOptions {
  /** At least 32 bytes, the same at every start: placeholders are derived from it. */
  readonly key: Uint8Array;
  readonly placeholders?: PlaceholderLimits;
  /** Texts remembered as clean. Default 65,536. */
  readonly cleanTextsMax?: number;
}

export interface Guardrails {
  /** Checks a request; what is found in it is remembered for its answer. Synchronous, total. */
  checkRequest(question: RequestQuestion): CheckedRequest;
  /** The guard of the answer to a request that passed; null where there is nothing to do. */
  guardAnswer(question: AnswerGuardQuestion): AnswerGuard | null;
}

const REQUEST_DIRECTIONS: readonly Direction[] = ['request', 'tool_results', 'tool_arguments'];

/** The entries of one caller and model, prepared for each use. */
interface CompiledUses {
  readonly request: CompiledEntries | null;
  readonly answer: CompiledEntries | null;
  readonly arguments: CompiledEntries | null;
  readonly redacts: boolean;
}

/** Guardrails without any state but memory: bounded, and rebuilt from the requests themselves after a restart. */
export function createGuardrails(options: GuardrailsOptions): Guardrails {
  const placeholders = new Placeholders(
    deriveKey(options.key, 'postern/placeholders/1'),
    options.placeholders ?? PLACEHOLDER_LIMITS,
  );
  const clean = new CleanMemory(deriveKey(options.key, 'postern/clean-texts/1'), options.cleanTextsMax);
  const compiled = new WeakMap<readonly GuardrailEntry[], CompiledUses>();
  let serial = 0;

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

  return {
    checkRequest(question) {
      const openScope = (): ReturnType<Placeholders['open']> => placeholders.open(question.scope);
      return checkRequest(question, { compiled: usesOf(question.entries).request, clean, openScope });
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
