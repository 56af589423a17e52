/**
 * Bedrock's InvokeModel, whose bodies are the model's own format. Governed are Anthropic's models
 * (Messages) and Amazon's Nova (the shapes of Converse). Left out: every other model, because their
 * formats write calls as text or in ways that no reader here knows, and models behind an ARN that
 * does not say what they are.
 */
import { anthropicBlocks } from './anthropic-messages.ts';
import { converseBlocks } from './bedrock-converse.ts';
import type { AnswerDialect } from './dialects.ts';
import type { BlockDialect } from './streams/block-dialect.ts';
import { editWholeBlocks } from './streams/block-answer.ts';
import { BlockReader } from './streams/block-reader.ts';
import { parseEventJson } from './streams/event-json.ts';
import { findSpan } from './streams/edit-spans.ts';
import { FrameFraming, type FrameContent } from './streams/frame-framing.ts';

/** `anthropic.claude-…`, with a region or `global` in front, or at the end of the ARN of a foundation model or a system's inference profile. */
const MODEL =
  /^(?:arn:aws[a-z-]*:bedrock:[a-z0-9-]*:[0-9]*:(?:foundation-model|inference-profile)\/)?(?:[a-z]{2,6}(?:-[a-z]{3})?\.)?(anthropic\.claude|amazon\.nova)-[a-z0-9.:-]+$/;

/** The dialect of a model's own format; null if none can be governed. */
export function bedrockInvoke(model: string | null): AnswerDialect | null {
  const family = model === null ? null : MODEL.exec(model)?.[1];
  if (family === 'anthropic.claude') return ANTHROPIC;
  return family === 'amazon.nova' ? NOVA : null;
}

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
const METRICS = 'amazon-bedrock-invocationMetrics';

/** The bytes that a `chunk` frame wraps; null if they cannot be read. */
function unwrap(payload: Buffer): Buffer | null {
  const bytes = parseEventJson(payload)?.['bytes'];
  return typeof bytes === 'string' && BASE64.test(bytes) ? Buffer.from(bytes, 'base64') : null;
}

function wrapped(data: Buffer): { readonly type: string; readonly payload: Buffer } {
  return { type: 'chunk', payload: Buffer.from(JSON.stringify({ bytes: data.toString('base64') })) };
}

const ANTHROPIC_CHUNKS: FrameContent = {
  open(type, payload) {
    const data = type === 'chunk' ? unwrap(payload) : null;
    return data === null ? null : { name: '', data };
  },
  wrap: (_, data) => wrapped(data),
};

/** Nova's chunks name the event by their only member. */
const NOVA_CHUNKS: FrameContent = {
  open(type, payload) {
    const data = type === 'chunk' ? unwrap(payload) : null;
    const value = data === null ? null : parseEventJson(data);
    if (data === null || value === null) return null;
    const [name, ...more] = Object.keys(value).filter((key) => key !== METRICS);
    if (more.length > 0) return null;
    const span = name === undefined ? null : findSpan(data, [name]);
    return name === undefined || span === null
      ? { name: '', data }
      : { name, data: data.subarray(span.start, span.end) };
  },
  wrap: (name, data) =>
    wrapped(Buffer.concat([Buffer.from(`{${JSON.stringify(name)}:`), data, Buffer.from('}')])),
};

function dialect(blocks: BlockDialect, content: FrameContent): AnswerDialect {
  return {
    framings: { frames: () => new FrameFraming(content) },
    createReader: (parts) => new BlockReader(blocks, parts),
    editWhole: (body, edits) => editWholeBlocks(blocks.whole, body, edits),
  };
}

const ANTHROPIC = dialect(anthropicBlocks, ANTHROPIC_CHUNKS);
const NOVA = dialect(converseBlocks, NOVA_CHUNKS);
