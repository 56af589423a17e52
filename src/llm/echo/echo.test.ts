import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import {
  BedrockRuntimeClient,
  ConverseCommand,
  ConverseStreamCommand,
  InvokeModelWithResponseStreamCommand,
} from '@aws-sdk/client-bedrock-runtime';
import { GoogleGenAI } from '@google/genai';
import * as fc from 'fast-check';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import OpenAI from 'openai';
import { systemClock } from '../../base/clock.ts';
import { systemRandom } from '../../base/random.ts';
import { createMeter } from '../formats/index.ts';
import { isBodyProblem, readRequestBody } from '../request-body.ts';
import type { Format } from '../surface.ts';
import { isSurfaceMiss, matchSurface } from '../surfaces.ts';
import { createEcho, type EchoRequest } from './echo.ts';
import { ECHO_LABEL } from './turn.ts';

const echo = createEcho({ clock: systemClock, random: systemRandom });
const SAID = `${ECHO_LABEL} You said: hello`;

/** A gateway in miniature: routes, reads, answers with the test model. */
const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const [path = '', query = ''] = (request.url ?? '').split('?');
    const match = matchSurface(
      request.method ?? '',
      path,
      request.headers['anthropic-version'] !== undefined,
    );
    assert.ok(!isSurfaceMiss(match), `${request.method} ${path}`);
    const body = Buffer.concat(chunks);
    const facts = readRequestBody(body, match, request.headers['content-type'] ?? null);
    assert.ok(!isBodyProblem(facts));
    const answer = echo.answer({
      ...match,
      streamed: facts.stream,
      geminiFraming: query.includes('alt=sse') ? 'sse' : 'array',
      model: facts.model ?? '',
      body,
      requestId: 'req_1',
    });
    response.writeHead(answer.status, { 'content-type': answer.contentType });
    for (const chunk of answer.chunks) response.write(chunk);
    response.end();
  });
});
let origin = '';

before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  origin = `http://127.0.0.1:${address.port}`;
});
after(() => {
  server.closeAllConnections();
  server.close();
});

async function collect<Event>(stream: AsyncIterable<Event>): Promise<Event[]> {
  const events: Event[] = [];
  for await (const event of stream) events.push(event);
  return events;
}

test('openai: chat, completions, responses, embeddings and tools, streamed and not', async () => {
  const client = new OpenAI({ apiKey: '-', baseURL: `${origin}/v1`, maxRetries: 0 });
  const chat = { model: 'postern/echo', messages: [{ role: 'user' as const, content: 'hello' }] };
  const answer = await client.chat.completions.create(chat);
  assert.equal(answer.choices[0]?.message.content, SAID);
  assert.ok((answer.usage?.prompt_tokens ?? 0) > 0);
  const streamed = await client.chat.completions
    .stream({ ...chat, stream_options: { include_usage: true } })
    .finalChatCompletion();
  assert.equal(streamed.choices[0]?.message.content, SAID);
  assert.equal(streamed.usage?.completion_tokens, Math.ceil(SAID.length / 4));

  const plain = await client.completions.create({ model: 'postern/echo', prompt: 'hello' });
  assert.equal(plain.choices[0]?.text, SAID);
  const response = await client.responses.create({ model: 'postern/echo', input: 'hello' });
  assert.equal(response.output_text, SAID);
  const final = await client.responses
    .stream({ model: 'postern/echo', input: [{ role: 'user', content: 'hello' }] })
    .finalResponse();
  assert.deepEqual([final.output_text, final.status], [SAID, 'completed']);

  const embed = (): Promise<OpenAI.CreateEmbeddingResponse> =>
    client.embeddings.create({ model: 'postern/echo', input: ['a', 'b'], dimensions: 8 });
  const [first, second] = [await embed(), await embed()];
  assert.deepEqual(first.data, second.data);
  assert.deepEqual([first.data.length, first.data[0]?.embedding.length], [2, 8]);

  const tools = [{ type: 'function' as const, function: { name: 'add', parameters: {} } }];
  const called = await client.chat.completions
    .stream({ model: 'postern/echo', tools, messages: [{ role: 'user', content: 'call add {"a":1}' }] })
    .finalChatCompletion();
  const call = called.choices[0]?.message.tool_calls?.[0];
  assert.deepEqual(
    [call?.type === 'function' && call.function.name, called.choices[0]?.finish_reason],
    ['add', 'tool_calls'],
  );
});

test('@anthropic-ai/sdk: messages, streamed and not, count_tokens, tools and the limit', async () => {
  const client = new Anthropic({ apiKey: '-', baseURL: origin, maxRetries: 0 });
  const request = {
    model: 'postern/echo',
    max_tokens: 100,
    messages: [{ role: 'user' as const, content: 'hello' }],
  };
  const answer = await client.messages.create(request);
  assert.deepEqual(answer.content, [{ type: 'text', text: SAID }]);
  const final = await client.messages.stream(request).finalMessage();
  assert.deepEqual(
    [final.content[0]?.type === 'text' && final.content[0].text, final.stop_reason],
    [SAID, 'end_turn'],
  );
  assert.equal(final.usage.output_tokens, Math.ceil(SAID.length / 4));
  assert.ok(
    (await client.messages.countTokens({ model: 'postern/echo', messages: request.messages })).input_tokens >
      0,
  );

  const cut = await client.messages.create({ ...request, max_tokens: 3 });
  assert.deepEqual([cut.stop_reason, cut.usage.output_tokens], ['max_tokens', 3]);
  const tools = [{ name: 'add', input_schema: { type: 'object' as const } }];
  const called = await client.messages
    .stream({ ...request, tools, messages: [{ role: 'user', content: 'call add {"a":1}' }] })
    .finalMessage();
  const block = called.content[0];
  assert.deepEqual(
    [block?.type === 'tool_use' && block.name, block?.type === 'tool_use' && block.input],
    ['add', { a: 1 }],
  );
});

test('@google/genai: content, streamed and not, count, embeddings and JSON', async () => {
  const { models } = new GoogleGenAI({ apiKey: '-', httpOptions: { baseUrl: origin } });
  const request = { model: 'postern/echo', contents: 'hello' };
  assert.equal((await models.generateContent(request)).text, SAID);
  const parts = await collect(await models.generateContentStream(request));
  assert.equal(parts.map((part) => part.text).join(''), SAID);
  assert.ok((parts.at(-1)?.usageMetadata?.candidatesTokenCount ?? 0) > 0);
  assert.ok(((await models.countTokens(request)).totalTokens ?? 0) > 0);
  assert.equal((await models.embedContent(request)).embeddings?.[0]?.values?.length, 256);
  const responseSchema = {
    type: 'OBJECT',
    properties: { choice: { type: 'STRING', enum: ['flash', 'pro'] }, why: { type: 'STRING' } },
  };
  const json = await models.generateContent({
    ...request,
    config: { responseMimeType: 'application/json', responseJsonSchema: responseSchema },
  });
  assert.deepEqual(JSON.parse(json.text ?? ''), { choice: 'flash', why: ECHO_LABEL });
});

test('the Bedrock client: Converse and InvokeModel, streamed and not', async () => {
  const client = new BedrockRuntimeClient({
    region: 'us-east-1',
    endpoint: origin,
    maxAttempts: 1,
    requestHandler: new NodeHttpHandler(),
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
  });
  const request = {
    modelId: 'postern.echo',
    messages: [{ role: 'user' as const, content: [{ text: 'hello' }] }],
  };
  const answer = await client.send(new ConverseCommand(request));
  assert.equal(answer.output?.message?.content?.[0]?.text, SAID);
  const { stream } = await client.send(new ConverseStreamCommand(request));
  assert.ok(stream !== undefined);
  const events = await collect(stream);
  assert.equal(events.map((event) => event.contentBlockDelta?.delta?.text ?? '').join(''), SAID);
  assert.ok((events.at(-1)?.metadata?.usage?.outputTokens ?? 0) > 0);
  const invoked = await client.send(
    new InvokeModelWithResponseStreamCommand({
      modelId: 'postern.echo',
      body: JSON.stringify({ messages: [{ role: 'user', content: 'hello' }] }),
    }),
  );
  assert.ok(invoked.body !== undefined);
  const texts = (await collect(invoked.body)).map((event) =>
    Buffer.from(event.chunk?.bytes ?? []).toString(),
  );
  assert.match(texts.join('\n'), /message_start[^]*text_delta[^]*message_stop/);
});

const GENERATION: readonly Format[] = [
  'openai_chat',
  'openai_completions',
  'openai_responses',
  'anthropic_messages',
  'gemini_generate_content',
  'bedrock_converse',
  'bedrock_model_invoke',
];

function request(format: Format, body: Uint8Array, streamed: boolean): EchoRequest {
  return {
    format,
    dialect: 'openai',
    action: '',
    streamed,
    geminiFraming: 'array',
    model: 'postern/echo',
    body,
    requestId: 'r',
  };
}

test('a meter reads from every answer what its rule says: bytes / 4', () => {
  const text = fc.string({ unit: 'grapheme', minLength: 1 }).filter((value) => !value.startsWith('call '));
  fc.assert(
    fc.property(fc.constantFrom(...GENERATION), fc.boolean(), text, (format, streamed, said) => {
      const messages = [{ role: 'user', content: [{ text: said }], parts: [{ text: said }] }];
      const body = Buffer.from(JSON.stringify({ messages, stream_options: { include_usage: true } }));
      const answer = echo.answer(request(format, body, streamed));
      const meter = createMeter(format, { streamed, contentType: answer.contentType });
      for (const chunk of answer.chunks) meter.push(chunk);
      const found = meter.finish();
      assert.ok(found.complete);
      assert.equal(found.usage?.inputTokens, Math.ceil(body.length / 4));
      assert.equal(
        found.usage?.outputTokens,
        Math.ceil(Buffer.byteLength(`${ECHO_LABEL} You said: ${said}`) / 4),
      );
    }),
  );
});

test('every answer names the test model, and no body makes it throw', () => {
  fc.assert(
    fc.property(fc.constantFrom(...GENERATION), fc.oneof(fc.json(), fc.string()), (format, body) => {
      const chunks = [...echo.answer(request(format, Buffer.from(body), false)).chunks];
      assert.match(Buffer.concat(chunks).toString(), /postern\/echo test model/);
    }),
  );
});

test('what it cannot do is refused in the dialect of the caller', () => {
  const answer = echo.answer({ ...request('openai_images', Buffer.from('{}'), false), dialect: 'openai' });
  assert.equal(answer.status, 400);
  assert.match(Buffer.concat([...answer.chunks]).toString(), /"code":"echo_unsupported"/);
});
