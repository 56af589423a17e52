/**
 * `model_limits` of a provider: what its models take and give, where the operator knows better than
 * the built-in table (own servers, tuned models). For lists of models; it grants and refuses nothing.
 */
import type { Cursor } from './cursor.ts';
import type { ModelLimitsEntry } from './document.ts';
import { compileGlob, patternFault } from './glob.ts';

/** What goes into a model or comes out of it; the same words as the built-in table's. */
export const MODALITIES = ['text', 'image', 'audio', 'video', 'pdf', 'embedding'] as const;

const KEYS = ['match', 'context_window', 'max_output_tokens', 'input', 'output'] as const;

/** More tokens than this are a mistake in the unit. */
const TOKENS_MAX = 100_000_000;

/** Reads the list; an entry with a fault switches its provider off, as in `model_cost_map`. */
export function readModelLimits(cursor: Cursor): readonly ModelLimitsEntry[] {
  return cursor.items().flatMap((item) => {
    item.onlyKnown(KEYS, 'model_limits entry');
    const match = item.at('match').string();
    if (match === null) {
      item.fail(
        'missing_field',
        `${item.name} needs "match"`,
        'add the model\'s id or a pattern such as "llama-*"',
      );
      return [];
    }
    const bad = patternFault(match);
    if (bad !== null)
      item.at('match').fail('bad_pattern', `${item.at('match').name} ${bad}`, 'write "llama-*"');
    return [
      {
        match,
        contextWindow: readTokens(item.at('context_window')),
        maxOutput: readTokens(item.at('max_output_tokens')),
        input: readModalities(item.at('input')),
        output: readModalities(item.at('output')),
      },
    ];
  });
}

function readTokens(cursor: Cursor): number | null {
  const tokens = cursor.number();
  if (tokens === null || (Number.isInteger(tokens) && tokens > 0 && tokens <= TOKENS_MAX)) return tokens;
  cursor.fail(
    'bad_value',
    `${cursor.name} must be a whole number from 1 to ${TOKENS_MAX}`,
    'write a count of tokens',
  );
  return null;
}

function readModalities(cursor: Cursor): ModelLimitsEntry['input'] {
  if (!cursor.exists) return null;
  return cursor.items().flatMap((item) => item.oneOf(MODALITIES) ?? []);
}

/** The first entry that fits a model, or null. */
export function statedLimits(
  provider: { readonly modelLimits: readonly ModelLimitsEntry[] },
  model: string,
): ModelLimitsEntry | null {
  return provider.modelLimits.find(({ match }) => compileGlob(match).test(model)) ?? null;
}
