/** The AI SDK (`ai` with its OpenAI and Anthropic providers) through Postern. */
import { strict as assert } from 'node:assert';
import { after, before, describe, test } from 'node:test';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { APICallError, generateText, streamText } from 'ai';
import type { LanguageModel } from 'ai';
import { ANSWER_TEXT, USAGE } from '../upstream/index.ts';
import { startScene, type Scene } from './fake-providers.ts';
import { suiteEnd } from './harness.ts';

/** Name of each way in, its model, and one that nobody may use. */
interface Way {
  readonly name: string;
  model(scene: Scene): LanguageModel;
  refused(scene: Scene): LanguageModel;
}

const openai = ({ postern }: Scene): ReturnType<typeof createOpenAI> =>
  createOpenAI({ baseURL: `${postern.url}/v1`, apiKey: '-' });
const anthropic = ({ postern }: Scene): ReturnType<typeof createAnthropic> =>
  createAnthropic({ baseURL: `${postern.url}/v1`, apiKey: '-' });

const WAYS: readonly Way[] = [
  {
    name: 'openai, responses',
    model: (scene) => openai(scene)('gpt-fake'),
    refused: (scene) => openai(scene)('nobodys'),
  },
  {
    name: 'openai, chat',
    model: (scene) => openai(scene).chat('gpt-fake'),
    refused: (scene) => openai(scene).chat('nobodys'),
  },
  {
    name: 'anthropic',
    model: (scene) => anthropic(scene)('claude-fake'),
    refused: (scene) => anthropic(scene)('nobodys'),
  },
];

describe('the AI SDK', () => {
  const end = suiteEnd();
  let scene: Scene;

  before(async () => {
    scene = await startScene(end);
  });
  after(() => end.end());

  for (const way of WAYS) {
    test(`${way.name}: text whole and streamed, with usage`, async () => {
      const whole = await generateText({ model: way.model(scene), prompt: 'hi', maxRetries: 0 });
      assert.equal(whole.text, ANSWER_TEXT);
      assert.equal(whole.usage.inputTokens, USAGE.plain.input);
      const streamed = streamText({ model: way.model(scene), prompt: 'hi', maxRetries: 0 });
      assert.equal(await streamed.text, ANSWER_TEXT);
      assert.equal((await streamed.usage).outputTokens, USAGE.plain.output);
    });

    test(`${way.name}: a refusal is an APICallError with its status and its reason`, async () => {
      await assert.rejects(
        generateText({ model: way.refused(scene), prompt: 'hi', maxRetries: 0 }),
        (error: unknown) => {
          assert.ok(APICallError.isInstance(error));
          assert.equal(error.statusCode, 404);
          assert.equal(error.responseHeaders?.['x-postern-reason'], 'model_not_available');
          return true;
        },
      );
    });
  }

  test('nothing that must stay here went to the upstream', () => {
    assert.deepEqual(scene.upstream.violations, []);
  });
});
