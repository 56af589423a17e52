/**
 * The test model as an embedder: the same text always gives the same vector of length one. The
 * vectors say nothing about meaning.
 */
import { asArray, asCount, asRecord, type JsonRecord } from '../formats/findings.ts';
import type { EchoAnswer } from './answer.ts';
import { countTokens, type EchoTurn } from './turn.ts';

const DIMENSIONS_DEFAULT = 256;
const DIMENSIONS_MAX = 3_072;
/** OpenAI's own limit of texts in a request. */
const INPUTS_MAX = 2_048;

/** `POST /v1/embeddings`; null if the input has no usable form. */
export function answerEmbeddings(turn: EchoTurn): EchoAnswer | null {
  const { body } = turn;
  const inputs = readInputs(body['input']);
  if (inputs === null) return null;
  const dimensions = Math.min(DIMENSIONS_MAX, Math.max(1, asCount(body['dimensions']) ?? DIMENSIONS_DEFAULT));
  const isBase64 = body['encoding_format'] === 'base64';
  const tokens = inputs.reduce((sum, input) => sum + countTokens(Buffer.byteLength(input)), 0);
  return {
    status: 200,
    contentType: 'application/json',
    chunks: embeddingChunks(
      turn,
      inputs,
      (input) => {
        const vector = vectorOf(input, dimensions);
        return isBase64 ? Buffer.from(vector.buffer).toString('base64') : [...vector];
      },
      tokens,
    ),
  };
}

/** One vector at a time, so that a large request does not take memory for all of them. */
function* embeddingChunks(
  turn: EchoTurn,
  inputs: readonly string[],
  embed: (input: string) => unknown,
  tokens: number,
): Generator<Buffer> {
  yield Buffer.from('{"object":"list","data":[');
  for (const [index, input] of inputs.entries()) {
    const item = JSON.stringify({ object: 'embedding', index, embedding: embed(input) });
    yield Buffer.from(index === 0 ? item : `,${item}`);
  }
  const usage = { prompt_tokens: tokens, total_tokens: tokens };
  yield Buffer.from(`],"model":${JSON.stringify(turn.model)},"usage":${JSON.stringify(usage)}}`);
}

/** `embedContent` and `batchEmbedContents` of Gemini. */
export function answerGeminiEmbeddings(turn: EchoTurn, action: string): object {
  const values = (request: JsonRecord): object => {
    const dimensions = Math.min(
      DIMENSIONS_MAX,
      Math.max(1, asCount(request['outputDimensionality']) ?? DIMENSIONS_DEFAULT),
    );
    return { values: [...vectorOf(JSON.stringify(request['content'] ?? null), dimensions)] };
  };
  const usageMetadata = { promptTokenCount: turn.inputTokens };
  if (action === 'embedContent') return { embedding: values(turn.body), usageMetadata };
  const requests = asArray(turn.body['requests']).slice(0, BATCH_MAX);
  return { embeddings: requests.map((request) => values(asRecord(request) ?? {})), usageMetadata };
}

/** Gemini's own limit of a batch. */
const BATCH_MAX = 100;

/** A text, several, or token ids in place of either. */
function readInputs(input: unknown): readonly string[] | null {
  if (typeof input === 'string') return [input];
  const list = asArray(input);
  if (list.length === 0 || list.length > INPUTS_MAX) {
    const isTokens = list.length > 0 && list.every((token) => typeof token === 'number');
    return isTokens ? [JSON.stringify(list)] : null;
  }
  if (typeof list[0] === 'number') return [JSON.stringify(list)];
  return list.map((item) => (typeof item === 'string' ? item : JSON.stringify(item)));
}

/** A pseudo-random direction seeded by the text: FNV-1a, then xorshift32. */
function vectorOf(text: string, dimensions: number): Float32Array {
  let state = 0x811c9dc5;
  for (const byte of Buffer.from(text, 'utf8')) state = Math.imul(state ^ byte, 0x01000193);
  state = state === 0 ? 1 : state;
  const vector = new Float32Array(dimensions);
  let squares = 0;
  for (let i = 0; i < dimensions; i += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const value = state / 0x80000000;
    vector[i] = value;
    squares += value * value;
  }
  const length = Math.sqrt(squares);
  return vector.map((value) => value / length);
}
