/** Requests of the sizes that real callers send: a short chat, an agent's first turn, a long conversation. */

/** Model names that tell the mock how to answer. */
export const INSTANT_MODEL = 'bench-instant';

/** A model name for a stream of `chunks` events, one every `gapMs`. */
export function streamModel(chunks: number, gapMs: number): string {
  return `bench-stream-${chunks}-${gapMs}`;
}

/** A tool that every request declares and no answer calls, as an agent's turns do. */
export const TOOL_NAME = 'run_command';
const TOOLS = [
  {
    type: 'function',
    function: {
      name: TOOL_NAME,
      description: 'Runs a command.',
      parameters: { type: 'object', properties: { command: { type: 'string' } } },
    },
  },
];

const SENTENCE = 'The quick brown fox jumps over the lazy dog, and the gateway passes it on unchanged. ';

/** What stands around the messages, the tool included. */
const FRAME_BYTES = 400;

/** A chat request of about `bytes` bytes. */
export function chatBody(options: {
  readonly model: string;
  readonly bytes: number;
  readonly stream: boolean;
}): Buffer {
  const { model, bytes, stream } = options;
  const messages: object[] = [{ role: 'system', content: 'You are a helpful assistant.' }];
  // Several messages, as a conversation has, none of them larger than an agent's file read.
  for (let left = bytes - FRAME_BYTES, turn = 0; left > 0; turn += 1) {
    const size = Math.min(left, 8192);
    const content = SENTENCE.repeat(Math.ceil(size / SENTENCE.length)).slice(0, size);
    messages.push({ role: turn % 2 === 0 ? 'user' : 'assistant', content });
    left -= size + 40;
  }
  // A caller that asks for usage itself: no gateway then has to edit the stream.
  const more = stream ? { stream: true, stream_options: { include_usage: true } } : {};
  return Buffer.from(
    JSON.stringify({ model, ...more, temperature: 0.7, max_tokens: 256, messages, tools: TOOLS }),
  );
}
