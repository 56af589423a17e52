/** Edited streams, as the `ai` SDK and the stream helpers of the official SDK take them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createOpenAI } from '@ai-sdk/openai';
import { streamText, tool } from 'ai';
import { z } from 'zod';
import { createAnswerEditor } from './index.ts';
import {
  CHAT_STREAMED,
  client,
  RESPONSES_STREAMED,
  SSE,
  type Block,
  type Cell,
  type Turn,
} from './openai-turns.fixture.ts';
import { deny, gateOf, later, runEditor, singleBytes } from './streams/answer-run.fixture.ts';

const BASH: Block = { call: 'Bash', id: 'call_1', args: '{"q":1}', kind: 'function' };
const READ: Block = { call: 'Read', id: 'call_2', args: '{"q":2}', kind: 'function' };
const TURN: Turn = { blocks: [{ text: 'Hm.' }, BASH, READ], stop: 'tool_calls' };

async function edited(cell: Cell): Promise<Buffer> {
  const gate = gateOf({ Bash: later(deny('refused: no shell')) });
  const editor = createAnswerEditor(cell.format, gate.edits, cell);
  assert.ok(editor);
  const { bytes, fault } = await runEditor(editor, singleBytes(cell.write(TURN)));
  assert.equal(fault, null);
  return bytes;
}

for (const cell of [CHAT_STREAMED, RESPONSES_STREAMED]) {
  test(`${cell.name}, read by the \`ai\` SDK: the refusal is text, the other call is run`, async () => {
    const bytes = await edited(cell);
    const openai = createOpenAI({
      apiKey: 'none',
      fetch: async () => new Response(new Uint8Array(bytes), { headers: { 'content-type': SSE } }),
    });
    const model = cell === CHAT_STREAMED ? openai.chat('gpt-5') : openai.responses('gpt-5');
    const schema = { inputSchema: z.object({ q: z.number() }) };
    const result = streamText({ model, prompt: 'q', tools: { Read: tool(schema), Bash: tool(schema) } });
    const text = await result.text;
    assert.match(text, /^Hm\.\s*refused: no shell$/);
    const calls = await result.toolCalls;
    assert.deepEqual(
      calls.map(({ toolName, toolCallId, input }) => [toolName, toolCallId, input]),
      [['Read', 'call_2', { q: 2 }]],
    );
    assert.equal(await result.finishReason, 'tool-calls');
  });
}

test('Chat Completions: the stream helper tells of the call that stays, and of no other', async () => {
  const stream = client(await edited(CHAT_STREAMED), SSE).chat.completions.stream({
    model: 'm',
    messages: [],
  });
  const told: string[] = [];
  stream.on('tool_calls.function.arguments.done', ({ name, index }) => told.push(`${index}:${name}`));
  assert.equal(await stream.finalContent(), 'Hm.\n\nrefused: no shell');
  assert.deepEqual(told, ['0:Read']);
});

test('Responses: the stream helper tells of text and of the call that stays, in the order of the output', async () => {
  const stream = client(await edited(RESPONSES_STREAMED), SSE).responses.stream({ model: 'm', input: 'q' });
  const told: string[] = [];
  stream.on('response.output_text.done', ({ text, output_index }) => told.push(`${output_index}:${text}`));
  stream.on('response.function_call_arguments.done', ({ arguments: text, output_index }) =>
    told.push(`${output_index}:${text}`),
  );
  const response = await stream.finalResponse();
  assert.deepEqual(told, ['1:Hm.', '2:refused: no shell', '3:{"q":2}']);
  assert.equal(response.output_text, 'Hm.refused: no shell');
});
