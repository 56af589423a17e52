/**
 * The table of issue 3: dialect × streamed × {allow, deny, rewrite, ask} × {single, parallel}, cell by
 * cell through the official SDKs and a whole Postern. Upstream bytes come one at a time, and each cell
 * goes on for three turns before a fake that holds callers to its provider's pairing rules.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BehaviourName } from '../upstream/index.ts';
import { startFakeCloud, type FakeCloud } from '../upstream/cloud/server.ts';
import { startFakeUpstream, type FakeUpstream } from '../upstream/index.ts';
import { documentFor, PROVIDER_ENV } from './fake-providers.ts';
import { startPostern, suiteEnd, type Postern } from './harness.ts';
import { TALKS, type TalkOptions, type Turn } from './tool-talks.ts';

const ADMIN_TOKEN = 'break-glass-token-of-this-test-0123456789';
const OPERATOR = { authorization: `Bearer ${ADMIN_TOKEN}` };
/** The first, and three more. */
const TURNS = 4;

const RULES = [
  { tools: ['refused'], action: 'deny', message: 'not this one' },
  { tools: ['rewritten'], action: 'rewrite', set: { '$.path': 'SAFE.md' } },
  { tools: ['asked'], action: 'ask' },
];

/** What each action makes of the two calls that the fake asks for. */
const ACTIONS = ['allowed', 'refused', 'rewritten', 'asked'] as const;
type Action = (typeof ACTIONS)[number];

const SHAPES: readonly (readonly [name: string, tools: (action: Action) => readonly string[]])[] = [
  ['a single call', (action) => [action]],
  ['two of them', (action) => [action]],
  ['one beside a free call', (action) => [action, 'free']],
];

describe('tool calls: the table', () => {
  const suite = suiteEnd();
  let upstream: FakeUpstream;
  let cloud: FakeCloud;
  let postern: Postern;

  before(async () => {
    upstream = await startFakeUpstream({ pairing: true });
    suite.after(() => upstream.close());
    cloud = await startFakeCloud();
    suite.after(() => cloud.close());
    const document = documentFor(upstream.url, { more: { tools: RULES } });
    Object.assign(document['providers'] as object, {
      bedrock: {
        baseurl: cloud.origin,
        apikey: 'env:FAKE_AWS_KEYS',
        models: ['us.anthropic.*'],
        compatibility: { bedrock_model_invoke: true, bedrock_converse: true },
      },
    });
    postern = await startPostern(suite, {
      document,
      env: {
        ...PROVIDER_ENV,
        FAKE_AWS_KEYS: JSON.stringify({ ...cloud.awsKeys, region: cloud.aws.region }),
        POSTERN_ADMIN_TOKEN: ADMIN_TOKEN,
      },
      flags: { allowUpstream: '127.0.0.0/8' },
    });
  });
  after(() => suite.end());

  for (const { name, create } of TALKS)
    for (const streamed of [false, true])
      for (const action of ACTIONS)
        for (const [shape, toolsOf] of SHAPES)
          test(`${name}, ${streamed ? 'streamed' : 'whole'}: ${action}, ${shape}`, async () => {
            const isParallel = shape !== 'a single call';
            const behaviours: BehaviourName[] = [
              isParallel ? 'tool-calls-parallel' : 'tool-call',
              'signed',
              'bytes-1',
            ];
            const tools = toolsOf(action);
            const options: TalkOptions = { url: postern.url, streamed, tools, behaviours };
            const talk = create(options);
            const expected = expectedCalls(action, shape, isParallel);
            for (let turn = 0; turn < TURNS; turn += 1) {
              const said = action === 'asked' ? approving(postern, talk.say()) : talk.say();
              await checkTurn(await said, { action, streamed, turn, expected });
            }
            assert.deepEqual(upstream.violations, []);
            assert.deepEqual(cloud.violations, []);
          });
});

function expectedCalls(action: Action, shape: string, isParallel: boolean): readonly string[] {
  const path = action === 'rewritten' ? 'SAFE.md' : 'README.md';
  const own = action === 'refused' ? [] : [`${action} ${path}`];
  if (!isParallel) return own;
  if (shape === 'one beside a free call') return [...own, 'free LICENSE'];
  const second = action === 'rewritten' ? 'SAFE.md' : 'LICENSE';
  return action === 'refused' ? [] : [...own, `${action} ${second}`];
}

interface Cell {
  readonly action: Action;
  readonly streamed: boolean;
  readonly turn: number;
  readonly expected: readonly string[];
}

async function checkTurn(said: Turn, { action, streamed, turn, expected }: Cell): Promise<void> {
  const calls = said.calls.map(({ name, input }) => `${name} ${String(input['path'])}`);
  const where = `turn ${turn}: ${JSON.stringify(said)}`;
  // Nothing is held for a whole answer: it is pending, and passes when it is made again once approved.
  const isPending = action === 'asked' && !streamed && turn % 2 === 0;
  if (isPending) {
    assert.deepEqual(
      calls,
      expected.filter((call) => call.startsWith('free ')),
      where,
    );
    assert.match(said.text, /waits for approval apr_/, where);
  } else assert.deepEqual(calls, expected, where);
  if (action === 'refused') assert.match(said.text, /refused by policy: not this one/, where);
  else if (!isPending) assert.doesNotMatch(said.text, /refused by policy/, where);
  assert.equal(said.stopsForTools, said.calls.length > 0, `the stop reason follows the calls; ${where}`);
}

/** Somebody else approves whatever waits, until the answer has come; once more behind it, for what is pending. */
async function approving(postern: Postern, answer: Promise<Turn>): Promise<Turn> {
  let ended = false;
  const end = answer.then(
    () => (ended = true),
    () => (ended = true),
  );
  for (;;) {
    const isLast = ended;
    await approveAll(postern);
    if (isLast) break;
    await Promise.race([end, sleep(10)]);
  }
  return answer;
}

async function approveAll(postern: Postern): Promise<void> {
  const listed = await postern.call('/api/v1/approvals?state=pending', { headers: OPERATOR });
  assert.equal(listed.status, 200, listed.text);
  for (const { id } of listed.json()['items'] as { id: string }[]) {
    const decided = await postern.call(`/api/v1/approvals/${id}/decision`, {
      body: { verdict: 'approve' },
      headers: OPERATOR,
    });
    // A stream may have ended meanwhile.
    assert.ok(decided.status === 200 || decided.status === 409 || decided.status === 410, decided.text);
  }
}
