/** The official `openai` SDK through Postern: what a program that knows nothing of Postern sees. */
import { strict as assert } from 'node:assert';
import { after, before, describe, test } from 'node:test';
import OpenAI, {
  AzureOpenAI,
  BadRequestError,
  InternalServerError,
  NotFoundError,
  RateLimitError,
} from 'openai';
import { ANSWER_TEXT, USAGE, modelThat } from '../upstream/index.ts';
import { startScene, type Scene } from './fake-providers.ts';
import { suiteEnd } from './harness.ts';

const MESSAGES = [{ role: 'user' as const, content: 'hi' }];

describe('the openai SDK', () => {
  const end = suiteEnd();
  let scene: Scene;
  let client: OpenAI;

  before(async () => {
    scene = await startScene(end);
    client = clientFor(scene);
  });
  after(() => end.end());

  test('chat completions: whole and streamed, with usage where it was asked for', async () => {
    const whole = await client.chat.completions.create({ model: 'gpt-fake', messages: MESSAGES });
    assert.equal(whole.choices[0]?.message.content, ANSWER_TEXT);
    assert.equal(whole.usage?.prompt_tokens, USAGE.plain.input);

    const asked = { stream: true, stream_options: { include_usage: true } } as const;
    const read = await readChat(
      await client.chat.completions.create({ model: 'gpt-fake', messages: MESSAGES, ...asked }),
    );
    assert.equal(read.text, ANSWER_TEXT);
    assert.equal(read.usage?.completion_tokens, USAGE.plain.output);
  });

  test('chat completions: no usage appears in a stream whose caller did not ask (OpenAI API, stream_options)', async () => {
    const stream = await client.chat.completions.create({
      model: 'gpt-fake',
      messages: MESSAGES,
      stream: true,
    });
    const read = await readChat(stream);
    assert.equal(read.text, ANSWER_TEXT);
    assert.equal(read.usage, null);
    assert.equal(read.chunksWithUsageMember, 0);
    assert.equal(read.chunksWithoutChoices, 0);
  });

  test("AzureOpenAI is told which client to use where it sends Azure's own paths; the others are served", async () => {
    const common = { apiKey: '-', apiVersion: '2024-10-21', maxRetries: 0 };
    const chat = { model: 'gpt-fake', messages: MESSAGES };
    for (const azure of [
      new AzureOpenAI({ ...common, baseURL: `${scene.postern.url}/v1` }),
      new AzureOpenAI({ ...common, endpoint: scene.postern.url }),
      new AzureOpenAI({ ...common, endpoint: scene.postern.url, deployment: 'gpt-fake' }),
    ]) {
      await assert.rejects(azure.chat.completions.create(chat), (error) => {
        assert.ok(error instanceof NotFoundError);
        assert.match(error.message, /the client OpenAI instead of AzureOpenAI/);
        return true;
      });
    }
    const plain = new AzureOpenAI({ ...common, baseURL: `${scene.postern.url}/v1` });
    const response = await plain.responses.create({ model: 'gpt-fake', input: 'hi' });
    assert.equal(response.output_text, ANSWER_TEXT);
  });

  test('chat completions: a tool call arrives as one', async () => {
    const tools = [
      {
        type: 'function' as const,
        function: { name: 'read_file', parameters: { type: 'object', properties: {} } },
      },
    ];
    const model = modelThat('gpt-fake', 'tool-call');
    const whole = await client.chat.completions.create({ model, messages: MESSAGES, tools });
    const call = whole.choices[0]?.message.tool_calls?.[0];
    assert.ok(call?.type === 'function' && call.function.name === 'read_file');
    const runner = client.chat.completions.stream({ model, messages: MESSAGES, tools });
    const final = await runner.finalChatCompletion();
    assert.equal(final.choices[0]?.finish_reason, 'tool_calls');
  });

  test('responses: whole, streamed, read again and deleted', async () => {
    const whole = await client.responses.create({ model: 'gpt-fake', input: 'hi' });
    assert.equal(whole.output_text, ANSWER_TEXT);
    assert.equal(whole.usage?.output_tokens, USAGE.plain.output);

    let text = '';
    let completed = false;
    for await (const event of await client.responses.create({
      model: 'gpt-fake',
      input: 'hi',
      stream: true,
    })) {
      if (event.type === 'response.output_text.delta') text += event.delta;
      if (event.type === 'response.completed') completed = true;
    }
    assert.equal(text, ANSWER_TEXT);
    assert.ok(completed);

    assert.equal((await client.responses.retrieve(whole.id)).id, whole.id);
    const next = await client.responses.create({
      model: 'gpt-fake',
      input: 'more',
      previous_response_id: whole.id,
    });
    assert.equal(next.output_text, ANSWER_TEXT);
    await client.responses.delete(whole.id);
    await assert.rejects(client.responses.retrieve(whole.id), NotFoundError);
  });

  test('models: those that the caller may use, and the test model', async () => {
    const ids: string[] = [];
    for await (const model of client.models.list()) ids.push(model.id);
    assert.ok(ids.includes('postern/echo'), ids.join());
  });

  test("a provider's errors are the SDK's typed errors, with Retry-After", async () => {
    const ask = (
      ...names: Parameters<typeof modelThat> extends [string, ...infer Names] ? Names : never
    ): Promise<unknown> =>
      client.chat.completions.create({ model: modelThat('gpt-fake', ...names), messages: MESSAGES });
    await assert.rejects(ask('status-400'), BadRequestError);
    await assert.rejects(ask('status-500'), InternalServerError);
    await assert.rejects(ask('status-429'), (error: unknown) => {
      assert.ok(error instanceof RateLimitError);
      assert.equal(error.headers.get('retry-after'), '7');
      return true;
    });
  });

  test('a refusal of Postern is a typed error that names its reason and the request (INTERFACES, refusals)', async () => {
    await assert.rejects(
      client.chat.completions.create({ model: 'not-granted', messages: MESSAGES }),
      (error: unknown) => {
        assert.ok(error instanceof NotFoundError);
        assert.equal(error.code, 'model_not_available');
        assert.match(error.headers.get('x-postern-request-id') ?? '', /^req_/);
        assert.equal(error.headers.get('x-postern-reason'), 'model_not_available');
        return true;
      },
    );
  });

  test('an error inside a stream, and a stream cut short, throw instead of ending', async () => {
    for (const name of ['error-in-stream', 'truncated', 'reset-mid-stream'] as const) {
      const stream = await client.chat.completions.create({
        model: modelThat('gpt-fake', name),
        messages: MESSAGES,
        stream: true,
      });
      await assert.rejects(readChat(stream), (error: unknown) => error instanceof Error, name);
    }
  });

  test('leaving a stream stops the upstream', async () => {
    scene.upstream.reset();
    const model = modelThat('gpt-fake', 'hang-mid-stream');
    const stream = await client.chat.completions.create({ model, messages: MESSAGES, stream: true });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content !== '') break;
    const [request] = await scene.upstream.settled(1, AbortSignal.timeout(5000));
    assert.equal(request?.outcome, 'aborted');
  });

  test('embeddings in both encodings', async () => {
    const answer = await client.embeddings.create({ model: 'text-embedding-fake', input: 'hi' });
    assert.deepEqual(answer.data[0]?.embedding, [0.25, -0.5, 0.125, 1]);
  });

  test('nothing that must stay here went to the upstream', () => {
    assert.deepEqual(scene.upstream.violations, []);
  });
});

test('the openai SDK talks to the test model without any provider', async (t) => {
  const client = clientFor(await startScene(t));
  const chat = await client.chat.completions.create({ model: 'postern/echo', messages: MESSAGES });
  assert.match(chat.choices[0]?.message.content ?? '', /postern\/echo test model/);
  const response = await client.responses.create({ model: 'postern/echo', input: 'hi' });
  assert.match(response.output_text, /postern\/echo test model/);
});

function clientFor({ postern }: Scene): OpenAI {
  return new OpenAI({ baseURL: `${postern.url}/v1`, apiKey: '-', maxRetries: 0 });
}

interface ChatRead {
  readonly text: string;
  readonly usage: OpenAI.CompletionUsage | null;
  readonly chunksWithUsageMember: number;
  readonly chunksWithoutChoices: number;
}

async function readChat(stream: AsyncIterable<OpenAI.ChatCompletionChunk>): Promise<ChatRead> {
  let text = '';
  let usage: OpenAI.CompletionUsage | null = null;
  let chunksWithUsageMember = 0;
  let chunksWithoutChoices = 0;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? '';
    if ('usage' in chunk) chunksWithUsageMember += 1;
    if (chunk.choices.length === 0) chunksWithoutChoices += 1;
    usage = chunk.usage ?? usage;
  }
  return { text, usage, chunksWithUsageMember, chunksWithoutChoices };
}
