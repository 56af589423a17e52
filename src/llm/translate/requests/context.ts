/** What readers and writers of requests are given and give. */
import type { JsonRecord } from '../../formats/findings.ts';
import type { TranslationProblem, TranslationTarget } from '../contract.ts';
import type { Conversation } from '../conversation.ts';
import type { Losses } from '../losses.ts';
import type { ToolNames } from '../tool-names.ts';

export interface ReadContext {
  readonly losses: Losses;
  readonly stream: boolean;
}

/** Reads a caller's request. Total. */
export type RequestReader = (body: JsonRecord, context: ReadContext) => Conversation | TranslationProblem;

export interface WriteContext {
  readonly losses: Losses;
  readonly target: TranslationTarget;
  readonly names: ToolNames;
  /** Whose opaque reasoning may go along (`originOf`). */
  readonly origin: string;
}

/** Writes a request for the target. Total. */
export type RequestWriter = (conversation: Conversation, context: WriteContext) => JsonRecord;

export function malformed(message: string): TranslationProblem {
  return { problem: 'translation_malformed', message };
}

export function unsupported(message: string): TranslationProblem {
  return { problem: 'translation_unsupported', message };
}

/** The limit that the target can keep. */
export function clampOutput(
  wanted: number | null,
  { target, losses }: Pick<WriteContext, 'target' | 'losses'>,
): number | null {
  const { outputMaxTokens } = target;
  if (wanted === null || outputMaxTokens === null || wanted <= outputMaxTokens) return wanted;
  losses.add('max_tokens');
  return outputMaxTokens;
}
