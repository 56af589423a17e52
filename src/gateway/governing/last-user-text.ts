/** What the user said last in a conversation: for hooks, and for whoever approves. */
import { requestTexts } from '../../llm/request-text/index.ts';
import type { LlmRequest } from '../steps/read-request.ts';

/** Null where nobody said anything, or the format has no texts that can be read. `body` is of the request's format. */
export function lastUserText(
  { match, facts }: Pick<LlmRequest, 'match' | 'facts'>,
  body: Buffer,
): string | null {
  return saidBy({ match, facts }, body, () => true);
}

/** As `lastUserText`, without what agents add to their user's words by themselves. */
export function lastUserWords(request: Pick<LlmRequest, 'match' | 'facts' | 'body'>): string | null {
  return saidBy(request, request.body, (text) => !isNoteOfAgent(text));
}

function saidBy(
  { match, facts }: Pick<LlmRequest, 'match' | 'facts'>,
  body: Buffer,
  counts: (text: string) => boolean,
): string | null {
  const texts = requestTexts(match.format, body, facts);
  if (texts === null || typeof texts === 'string') return null;
  for (const part of texts.parts.toReversed()) {
    if (part.role !== 'user' || part.direction !== 'request') continue;
    const text = part.text();
    if (counts(text)) return text;
  }
  return null;
}

/** Claude Code and others put notes of their own between tags into the user's message. */
function isNoteOfAgent(text: string): boolean {
  return /^\s*<(?:system-reminder|environment_context|user_instructions)>/.test(text) || text.trim() === '';
}
