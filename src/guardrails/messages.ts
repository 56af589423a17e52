/** What a caller is told when a guardrail stops something: the policy's words, else ours; never what was found. */
import type { GuardrailEntry } from '../policy/governance.ts';
import type { Blocked } from './finding.ts';

/** `where`: `the request`, `a tool's result`, `the answer`. */
export function blockedBy(entry: GuardrailEntry, kind: string, where: string): Blocked {
  const message =
    entry.message ??
    `the guardrail "${entry.name}" stops ${where}: it holds ${withArticle(kind)}. Take it out and send it again`;
  return { guardrail: entry.name, kind, message };
}

function withArticle(kind: string): string {
  const words = kind.replaceAll('_', ' ');
  return `${/^[aeiou]/.test(words) ? 'an' : 'a'} ${words}`;
}

/** A limit of a guardrail that a request exceeds. */
export function limitExceeded(
  entry: GuardrailEntry,
  limit: { readonly key: string; readonly what: string; readonly most: number; readonly got: number },
): Blocked {
  const message =
    entry.message ??
    `the guardrail "${entry.name}" allows at most ${limit.most} ${limit.what} (${limit.key}), and the request has ${limit.got}`;
  return { guardrail: entry.name, kind: limit.key, message };
}
