/** The official `@google/genai` SDK through Postern, in Gemini API mode. */
import { strict as assert } from 'node:assert';
import { after, before, describe, test } from 'node:test';
import { ApiError, GoogleGenAI } from '@google/genai';
import { ANSWER_TEXT, USAGE, modelThat } from '../upstream/index.ts';
import type { BehaviourName } from '../upstream/index.ts';
import { startScene, type Scene } from './fake-providers.ts';
import { suiteEnd } from './harness.ts';

describe("Google's SDK", () => {
  const end = suiteEnd();
  let scene: Scene;
  let client: GoogleGenAI;

  before(async () => {
    scene = await startScene(end);
    client = clientFor(scene);
  });
  after(() => end.end());

  test('generateContent: whole and streamed, with usage', async () => {
    const whole = await client.models.generateContent({ model: 'gemini-fake', contents: 'hi' });
    assert.equal(whole.text, ANSWER_TEXT);
    assert.equal(whole.usageMetadata?.promptTokenCount, USAGE.plain.input);

    let text = '';
    let output = 0;
    for await (const part of await client.models.generateContentStream({
      model: 'gemini-fake',
      contents: 'hi',
    })) {
      text += part.text ?? '';
      output = part.usageMetadata?.candidatesTokenCount ?? output;
    }
    assert.equal(text, ANSWER_TEXT);
    assert.equal(output, USAGE.plain.output);
  });

  test('countTokens and models', async () => {
    const counted = await client.models.countTokens({ model: 'gemini-fake', contents: 'hi' });
    assert.equal(counted.totalTokens, USAGE.plain.input);
    const names: string[] = [];
    // The list of /v1 is OpenAI's and Anthropic's as well; Google's own is that of /v1beta.
    const beta = clientFor(scene, 'v1beta');
    for await (const model of await beta.models.list()) names.push(model.name ?? '');
    assert.ok(
      names.some((name) => name.includes('echo')),
      names.join(),
    );
  });

  test("a provider's errors are the SDK's errors with their status", async () => {
    const ask = (name: BehaviourName): Promise<unknown> =>
      client.models.generateContent({ model: modelThat('gemini-fake', name), contents: 'hi' });
    for (const [name, status] of [
      ['status-400', 400],
      ['status-429', 429],
      ['status-500', 500],
    ] as const) {
      await assert.rejects(
        ask(name),
        (error: unknown) => error instanceof ApiError && error.status === status,
        name,
      );
    }
  });

  test('a refusal of Postern is an error in the dialect (INTERFACES, refusals)', async () => {
    await assert.rejects(
      client.models.generateContent({ model: 'not-granted', contents: 'hi' }),
      (error: unknown) => {
        assert.ok(error instanceof ApiError);
        assert.equal(error.status, 404);
        assert.match(error.message, /NOT_FOUND/);
        return true;
      },
    );
  });

  test('leaving a stream stops the upstream', async () => {
    scene.upstream.reset();
    const abortSignal = AbortSignal.timeout(300);
    const request = {
      model: modelThat('gemini-fake', 'hang-mid-stream'),
      contents: 'hi',
      config: { abortSignal },
    };
    const read = async (): Promise<void> => {
      for await (const part of await client.models.generateContentStream(request)) assert.ok(part.candidates);
    };
    await assert.rejects(read());
    const [received] = await scene.upstream.settled(1, AbortSignal.timeout(5000));
    assert.equal(received?.outcome, 'aborted');
  });

  test('nothing that must stay here went to the upstream', () => {
    assert.deepEqual(scene.upstream.violations, []);
  });
});

test("Google's SDK talks to the test model without any provider", async (t) => {
  const client = clientFor(await startScene(t));
  const answer = await client.models.generateContent({ model: 'postern/echo', contents: 'hi' });
  assert.match(answer.text ?? '', /postern\/echo test model/);
});

/** Without a version the SDK calls /v1 (since 3.0). */
function clientFor({ postern }: Scene, apiVersion?: string): GoogleGenAI {
  const httpOptions = { baseUrl: postern.url, ...(apiVersion === undefined ? {} : { apiVersion }) };
  return new GoogleGenAI({ apiKey: '-', httpOptions });
}
