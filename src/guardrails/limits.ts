/** The limits of guardrails on a request's size and shape. */
import type { GuardrailEntry } from '../policy/governance.ts';
import type { Blocked } from './finding.ts';
import { limitExceeded } from './messages.ts';

/** What the limits are held against. */
export interface RequestShape {
  readonly bodyBytes: number;
  /** Null where the body is not read as JSON or a form: a limit on it then blocks. */
  readonly depth: number | null;
  readonly messages: number | null;
  readonly tools: number;
  /** Most tokens of the answer as the request states; null where it states nothing. */
  readonly outputTokens: number | null;
}

/** The first limit that a request exceeds; null if it keeps all. Entries that only flag or allow stop nothing. */
export function exceededLimit(entries: readonly GuardrailEntry[], shape: RequestShape): Blocked | null {
  for (const entry of entries) {
    if (entry.action === 'flag' || entry.action === 'allow') continue;
    const { maxBodyBytes, maxDepth, maxTools, maxMessages, maxOutputTokens } = entry.limits;
    const held = [
      ['max_body_bytes', 'bytes', maxBodyBytes, shape.bodyBytes],
      ['max_depth', 'levels of JSON', maxDepth, shape.depth],
      ['max_tools', 'tools', maxTools, shape.tools],
      ['max_messages', 'messages', maxMessages, shape.messages],
    ] as const;
    for (const [key, what, most, got] of held) {
      if (most !== null && (got === null || got > most))
        return limitExceeded(entry, { key, what, most, got: got ?? 0 });
    }
    if (maxOutputTokens !== null && (shape.outputTokens ?? 0) > maxOutputTokens)
      return limitExceeded(entry, {
        key: 'max_output_tokens',
        what: 'tokens of output',
        most: maxOutputTokens,
        got: shape.outputTokens ?? 0,
      });
  }
  return null;
}
