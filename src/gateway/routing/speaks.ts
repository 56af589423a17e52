import { servesModel } from '../../llm/translate/index.ts';
import type { Provider } from '../../policy/index.ts';

/** Google's own routes, behind which Vertex has no Claude. */
const GEMINI_FORMATS: ReadonlySet<string> = new Set([
  'gemini_generate_content',
  'gemini_count_tokens',
  'google_generate_content',
]);

/** Whether a provider speaks a format for this model. */
export function speaks({ formats }: Pick<Provider, 'formats'>, format: string, model: string): boolean {
  if (!formats.has(format)) return false;
  const isClaudes = formats.has('google_raw_predict') && servesModel('google_raw_predict', model);
  return !isClaudes || !GEMINI_FORMATS.has(format);
}
