/** Whether a provider keeps what it answers, so that it comes back in later turns that do not bring it themselves. */
import type { LlmRequest } from '../steps/read-request.ts';

/** Of the Responses API alone, unless the request says no (`store`, default true). */
export function isStored({ match, facts }: Pick<LlmRequest, 'match' | 'facts'>): boolean {
  return match.format === 'openai_responses' && facts?.member('store') !== false;
}
