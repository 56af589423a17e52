/** A guess at the tokens of a request, where nobody counts them or nobody has counted yet. */
import type { Block, Conversation } from './conversation.ts';

/** What makers of models give as a rule of thumb for English; code and JSON are near it. */
const BYTES_PER_TOKEN = 4;
/** Anthropic's figure for an image of about a megapixel; OpenAI's and Google's are below. */
const IMAGE_TOKENS = 1_600;
/** A page of a PDF has some 2,000 tokens and 80 kB as base64. */
const DOCUMENT_CHARS_PER_TOKEN = 40;

/** Text by its length, media by what they cost, whatever their bytes. */
export function estimateInput({ system, messages, tools }: Conversation): number {
  let tokens = 0;
  for (const block of system) tokens += blockTokens(block);
  for (const { blocks } of messages) for (const block of blocks) tokens += blockTokens(block);
  for (const { name, description, schema } of tools)
    tokens += textTokens(name.name) + textTokens(description ?? '') + textTokens(JSON.stringify(schema));
  return Math.ceil(tokens);
}

function blockTokens(block: Block): number {
  switch (block.type) {
    case 'text':
    case 'thinking':
      return textTokens(block.text);
    case 'image':
      return IMAGE_TOKENS;
    case 'document':
      return block.source.kind === 'url' ? IMAGE_TOKENS : block.source.data.length / DOCUMENT_CHARS_PER_TOKEN;
    case 'call':
      return textTokens(block.tool.name) + textTokens(block.argumentsText);
    case 'result':
      return block.content.reduce((sum, part) => sum + blockTokens(part), 0);
    default:
      return block satisfies never;
  }
}

function textTokens(text: string): number {
  return Buffer.byteLength(text) / BYTES_PER_TOKEN;
}
