/** What a model's name tells of its parameters, where providers refuse what a model does not take. */
import { EFFORTS, type Effort, type Reasoning } from './conversation.ts';

/** Names are callers' and documents' text; only the beginning is looked at. */
const NAME_MAX = 256;

function plainName(model: string): string {
  const short = model.slice(0, NAME_MAX).toLowerCase();
  return short.slice(short.lastIndexOf('/') + 1);
}

/**
 * How a Claude model thinks: with a budget (3.7 to 4.5), as much as it sees fit (from 4.6), or not
 * at all. Servers that only speak the format know budgets.
 */
export function claudeThinking(model: string): 'none' | 'budget' | 'adaptive' {
  const found = /claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)/.exec(plainName(model));
  if (found === null) return 'budget';
  const version = Number(found[1]) * 100 + Number(found[2] ?? 0);
  if (version >= 406) return 'adaptive';
  return version >= 307 ? 'budget' : 'none';
}

/** Whether a model behind an OpenAI format reasons; null where the name does not tell. */
export function openaiReasons(model: string): boolean | null {
  const name = plainName(model);
  if (/^(?:o\d|gpt-(?:[5-9]|oss)|codex)/.test(name)) return !/^gpt-5(?:\.\d+)?-chat/.test(name);
  return /^(?:gpt-[34]|chatgpt)/.test(name) ? false : null;
}

/** From this version on models take `none`; GPT-5 itself knows `minimal` instead. */
const TAKES_NONE = /^gpt-(?:5\.[1-9]|[6-9])/;
const TAKES_XHIGH = /^gpt-(?:5\.[2-9]|[6-9])|codex-max/;

/** The effort in words that the model takes; null for none that it knows. */
export function openaiEffort(model: string, { effort, budgetTokens }: Reasoning): Effort | null {
  const wanted =
    budgetTokens === 0 ? 'none' : (effort ?? (budgetTokens === null ? null : effortOf(budgetTokens)));
  if (wanted === null || openaiReasons(model) === false) return null;
  const name = plainName(model);
  const isKnown = openaiReasons(model) === true;
  if (wanted === 'none') {
    if (!isKnown) return budgetTokens === 0 ? null : 'none';
    if (TAKES_NONE.test(name)) return 'none';
    return name.startsWith('gpt-5') ? 'minimal' : 'low';
  }
  const highest = wanted === 'max' ? 'xhigh' : wanted;
  return highest === 'xhigh' && isKnown && !TAKES_XHIGH.test(name) ? 'high' : highest;
}

/** Tokens that stand for an effort where a format has budgets. */
const BUDGETS: Readonly<Record<Effort, number>> = {
  none: 0,
  minimal: 1_024,
  low: 4_096,
  medium: 16_384,
  high: 32_000,
  xhigh: 48_000,
  max: 63_999,
};

export function budgetOf(effort: Effort): number {
  return BUDGETS[effort];
}

/** The lowest effort whose budget is not below. */
export function effortOf(budgetTokens: number): Effort {
  if (budgetTokens <= 0) return 'none';
  return EFFORTS.slice(2, 5).find((effort) => budgetTokens <= BUDGETS[effort]) ?? 'high';
}

/** A caller's word for an effort; null for others. */
export function asEffort(value: unknown): Effort | null {
  return EFFORTS.find((effort) => effort === value) ?? null;
}
