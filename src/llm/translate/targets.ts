/** Which models a cloud serves in which of its formats, as far as their names tell. */
import type { TargetFormat } from './contract.ts';

/** `anthropic.claude-…`, with a region in front, or at the end of an ARN that names the model. */
const CLAUDE_ON_BEDROCK = /(?:^|[./])anthropic\.claude-/;
const CLAUDE_ON_VERTEX = /^claude-/;

/** Whether a model behind Bedrock is Claude; false where an ARN hides what it is. */
export function isBedrockClaude(model: string): boolean {
  return CLAUDE_ON_BEDROCK.test(model);
}

/**
 * Whether a provider that speaks a format speaks it for this model: `invoke` has the format of each
 * model, of which Claude's is translated to; raw predictions are Claude's alone. Others hold for all models.
 */
export function servesModel(format: TargetFormat, model: string): boolean {
  if (format === 'bedrock_model_invoke') return isBedrockClaude(model);
  return format !== 'google_raw_predict' || CLAUDE_ON_VERTEX.test(model);
}
