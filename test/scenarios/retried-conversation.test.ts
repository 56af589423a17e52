/** Refused calls in a conversation that the provider keeps, where attempts fail on the way (issue 3). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { modelThat, startFakeUpstream, type BehaviourName, type FakeUpstream } from '../upstream/index.ts';
import { PROVIDER_ENV } from './fake-providers.ts';
import { startPostern, type Ending, type Postern, type Reply } from './harness.ts';

const TOOLS = [{ type: 'function', name: 'Bash', parameters: { type: 'object' } }];

interface Scene {
  readonly one: FakeUpstream;
  readonly two: FakeUpstream;
  readonly postern: Postern;
}

/** The model `smart` at two providers that call Bash, which policy denies. */
async function scene(t: Ending): Promise<Scene> {
  const [one, two] = await Promise.all([startFakeUpstream(), startFakeUpstream()]);
  t.after(() => Promise.all([one.close(), two.close()]));
  const provider = (baseurl: string): object => ({
    baseurl,
    apikey: 'env:FAKE_OPENAI_KEY',
    models: ['gpt-*'],
    compatibility: { openai_chat: true, openai_responses: true },
  });
  const model = modelThat('gpt-fake', 'tool-call');
  const postern = await startPostern(t, {
    document: {
      providers: { one: provider(one.url), two: provider(two.url) },
      routing: { models: { smart: { targets: [`one/${model}`, `two/${model}`] } } },
      tools: [{ tools: ['Bash'], action: 'deny' }],
      grants: [{ src: ['(loopback)'], app: { 'postern.dev/cap/gateway': [{ role: 'user', models: '**' }] } }],
    },
    env: PROVIDER_ENV,
    flags: { allowUpstream: '127.0.0.0/8' },
  });
  return { one, two, postern };
}

function ask({ postern }: Scene, body: object): Promise<Reply> {
  return postern.call('/v1/responses', { body: { model: 'smart', input: 'go', tools: TOOLS, ...body } });
}

function idOf(reply: Reply): string {
  assert.equal(reply.status, 200, reply.text);
  return /"(resp_\w+)"/.exec(reply.text)?.[1] ?? assert.fail(reply.text);
}

/** The results that a provider was sent for calls, in each of its requests. */
function resultsIn({ requests }: FakeUpstream): number[] {
  return requests.map(({ body }) => body.toString().split('"function_call_output"').length - 1);
}

for (const [failure, stream] of [
  ['status-500', false],
  ['reset-before-headers', true],
] as const satisfies readonly (readonly [BehaviourName, boolean])[]) {
  const how = stream ? 'streamed' : 'whole';
  test(`a call refused in the answer of the second target is answered there, ${how}, after ${failure}`, async (t) => {
    const made = await scene(t);
    const { one, two, postern } = made;
    one.script(failure);
    const first = await ask(made, { stream });
    const id = idOf(first);
    assert.doesNotMatch(first.text, /"function_call"/, 'the call was refused');
    assert.deepEqual([one.requests.length, two.requests.length], [1, 1]);
    // The attempt that fails has the refusal too; the one that follows it does not get it twice.
    two.script('status-500');
    const next = await ask(made, { previous_response_id: id, input: 'go on', stream });
    const second = idOf(next);
    assert.equal(one.requests.length, 1, 'what the provider keeps has one place');
    assert.deepEqual(resultsIn(two), [0, 1, 1]);
    // What was answered once is not brought again: the next refusal is the second turn's own.
    idOf(await ask(made, { previous_response_id: second, input: 'and on', stream }));
    assert.deepEqual(resultsIn(two).at(-1), 1);
    assert.deepEqual([...one.violations, ...two.violations], [], 'every call had its result');
    const rows = await postern.requests(3);
    assert.deepEqual(
      rows.map((row) => [row['provider'], row['outcome']]),
      [
        ['two', 'ok'],
        ['two', 'ok'],
        ['two', 'ok'],
      ],
    );
  });
}
