/** The official `@anthropic-ai/sdk` through Postern. It sends its key as a bearer token (1.12). */
import { strict as assert } from 'node:assert';
import { after, before, describe, test } from 'node:test';
import Anthropic, {
  APIError,
  APIUserAbortError,
  BadRequestError,
  NotFoundError,
  RateLimitError,
} from '@anthropic-ai/sdk';
import { ANSWER_TEXT, USAGE, modelThat } from '../upstream/index.ts';
import type { BehaviourName } from '../upstream/index.ts';
import { startScene, type Scene } from './fake-providers.ts';
import { suiteEnd } from './harness.ts';

const BASE = { max_tokens: 64, messages: [{ role: 'user' as const, content: 'hi' }] };

describe('the Anthropic SDK', () => {
  const end = suiteEnd();
  let scene: Scene;
  let client: Anthropic;

  before(async () => {
    scene = await startScene(end);
    client = clientFor(scene);
  });
  after(() => end.end());

  test('messages: whole and streamed, with usage', async () => {
    const whole = await client.messages.create({ model: 'claude-fake', ...BASE });
    assert.equal(textOf(whole), ANSWER_TEXT);
    assert.equal(whole.usage.input_tokens, USAGE.plain.input);

    const streamed = await client.messages.stream({ model: 'claude-fake', ...BASE }).finalMessage();
    assert.equal(textOf(streamed), ANSWER_TEXT);
    assert.equal(streamed.usage.output_tokens, USAGE.plain.output);
    assert.equal(streamed.stop_reason, 'end_turn');
  });

  test('messages: cache figures arrive as the provider gave them', async () => {
    const { usage } = await client.messages.create({
      model: modelThat('claude-fake', 'usage-rich'),
      ...BASE,
    });
    assert.equal(usage.cache_read_input_tokens, USAGE.rich.cacheRead);
    assert.equal(usage.cache_creation?.ephemeral_1h_input_tokens, USAGE.rich.cacheWrite1h);
  });

  test('messages: a tool call arrives as one', async () => {
    const tools = [{ name: 'read_file', input_schema: { type: 'object' as const, properties: {} } }];
    const message = await client.messages
      .stream({ model: modelThat('claude-fake', 'tool-call'), ...BASE, tools })
      .finalMessage();
    assert.equal(message.stop_reason, 'tool_use');
    assert.ok(message.content.some((block) => block.type === 'tool_use' && block.name === 'read_file'));
  });

  test('count_tokens and models', async () => {
    const counted = await client.messages.countTokens({ model: 'claude-fake', messages: BASE.messages });
    assert.equal(counted.input_tokens, USAGE.plain.input);
    const ids: string[] = [];
    for await (const model of client.models.list()) ids.push(model.id);
    assert.ok(ids.includes('postern/echo'), ids.join());
  });

  test("a provider's errors are the SDK's typed errors", async () => {
    const ask = (name: BehaviourName): Promise<unknown> =>
      client.messages.create({ model: modelThat('claude-fake', name), ...BASE });
    await assert.rejects(ask('status-400'), BadRequestError);
    await assert.rejects(ask('status-429'), RateLimitError);
    await assert.rejects(
      ask('status-529'),
      (error: unknown) => error instanceof APIError && error.status === 529,
    );
  });

  test('a refusal of Postern is a typed error in the dialect, with the request id (INTERFACES, refusals)', async () => {
    await assert.rejects(client.messages.create({ model: 'not-granted', ...BASE }), (error: unknown) => {
      assert.ok(error instanceof NotFoundError);
      assert.match(error.message, /not_found_error/);
      assert.match(error.headers.get('x-postern-request-id') ?? '', /^req_/);
      return true;
    });
  });

  test('an error inside a stream, and a stream cut short, throw instead of ending', async () => {
    for (const name of ['error-in-stream', 'truncated', 'reset-mid-stream'] as const) {
      const stream = client.messages.stream({ model: modelThat('claude-fake', name), ...BASE });
      await assert.rejects(stream.finalMessage(), (error: unknown) => error instanceof Error, name);
    }
  });

  test('aborting a stream stops the upstream', async () => {
    scene.upstream.reset();
    const stream = client.messages.stream({ model: modelThat('claude-fake', 'hang-mid-stream'), ...BASE });
    const aborted = assert.rejects(stream.finalMessage(), APIUserAbortError);
    stream.once('text', () => stream.abort());
    await aborted;
    const [request] = await scene.upstream.settled(1, AbortSignal.timeout(5000));
    assert.equal(request?.outcome, 'aborted');
  });

  test('nothing that must stay here went to the upstream', () => {
    assert.deepEqual(scene.upstream.violations, []);
  });
});

test('the Anthropic SDK talks to the test model without any provider', async (t) => {
  const client = clientFor(await startScene(t));
  const message = await client.messages.stream({ model: 'postern/echo', ...BASE }).finalMessage();
  assert.match(textOf(message), /postern\/echo test model/);
  assert.ok(message.usage.output_tokens > 0);
});

function clientFor({ postern }: Scene): Anthropic {
  return new Anthropic({ baseURL: postern.url, apiKey: '-', maxRetries: 0 });
}

function textOf(message: Anthropic.Message): string {
  return message.content.map((block) => (block.type === 'text' ? block.text : '')).join('');
}
