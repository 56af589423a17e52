import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, test } from 'node:test';
import type { CliContext } from './context.ts';
import {
  type Answers,
  type CliRun,
  type FakeServer,
  problem,
  runInProcess,
  startFakeServer,
} from './fake-server.ts';

const WAITING = {
  id: 'apr_1',
  state: 'pending',
  label: 'alice@example.com',
  kind: 'tool',
  subject: 'Bash',
  amount: null,
  preview: '{"command":"rm -rf build"}',
  created_at: '2026-11-23T11:59:00.000Z',
  may_decide: true,
  edits: 0,
  votes: [],
  quorum: 1,
};
const NEEDS_PRESENCE = problem(403, 'presence_required', 'this needs you in person', {
  presence_url: 'http://localhost:8080/presence',
});

async function run(
  answers: Answers,
  words: readonly string[],
  overrides: Partial<CliContext> = {},
): Promise<CliRun & { readonly server: FakeServer }> {
  const server = await startFakeServer(answers);
  try {
    return { ...(await runInProcess(['approvals', ...words, '--url', server.url], overrides)), server };
  } finally {
    await server.close();
  }
}

const sent = (server: FakeServer): unknown => JSON.parse(server.requests.at(-1)?.body ?? 'null');
const decided = (state: string): Answers => ({
  'POST /api/v1/approvals/apr_1/decision': { body: { ...WAITING, state } },
});

describe('postern approvals (issue "Approvals")', () => {
  test('lists who wants what, and what waits for me', async () => {
    const answers = { 'GET /api/v1/approvals': { body: { items: [WAITING], next_cursor: null } } };
    const listed = await run(answers, ['--to-decide', '--state', 'pending']);
    assert.equal(listed.exitCode, 0, listed.stderr);
    assert.match(
      listed.stdout,
      /apr_1 +pending +alice@example\.com +tool Bash +\{"command":"rm -rf build"\}.*you/,
    );
    assert.match(listed.server.requests[0]?.path ?? '', /state=pending/);
    assert.match(listed.server.requests[0]?.path ?? '', /of=to_decide/);
    const json = await run(answers, ['list', '--json']);
    assert.equal(JSON.parse(json.stdout).items[0].id, 'apr_1');
    assert.equal((await run({}, ['--mine', '--to-decide'])).exitCode, 2);
    assert.equal((await run({}, ['-n', '501'])).exitCode, 2);
  });

  test('approves once, for a session, for a time, and with an edit', async () => {
    for (const [words, body] of [
      [[], { verdict: 'approve' }],
      [['--for', 'session'], { verdict: 'approve', scope: 'session' }],
      [
        ['--for', '8h', '--reason', 'ok'],
        { verdict: 'approve', scope: 'time', duration_sec: 28_800, reason: 'ok' },
      ],
      [
        ['--edited', '{"command":"ls"}', '--seen-edits', '1'],
        { verdict: 'approve', edited: { command: 'ls' }, seen_edits: 1 },
      ],
    ] as const) {
      const approved = await run(decided('approved'), ['approve', 'apr_1', ...words]);
      assert.equal(approved.exitCode, 0, approved.stderr);
      assert.deepEqual(sent(approved.server), body);
      assert.equal(approved.stdout, 'apr_1 is approved\n');
    }
    for (const words of [
      ['--for', 'ever'],
      ['--edited', '{'],
    ])
      assert.equal((await run({}, ['approve', 'apr_1', ...words])).exitCode, 2, words.join(' '));
  });

  test('says how many of a quorum there are', async () => {
    const answers: Answers = {
      'POST /api/v1/approvals/apr_1/decision': { body: { ...WAITING, quorum: 2, votes: [{}] } },
    };
    assert.equal(
      (await run(answers, ['approve', 'apr_1'])).stdout,
      'apr_1 is still pending: 1 of 2 approve\n',
    );
  });

  test('denies with a reason, and withdraws', async () => {
    const denied = await run(decided('denied'), ['deny', 'apr_1', '--reason', 'no']);
    assert.deepEqual(sent(denied.server), { verdict: 'deny', reason: 'no' });
    const withdrawn = await run({ 'DELETE /api/v1/approvals/apr_1': { status: 204 } }, ['withdraw', 'apr_1']);
    assert.deepEqual([withdrawn.exitCode, withdrawn.stdout], [0, 'apr_1 is withdrawn\n']);
  });

  test('ends with 5 and the way to presence where it is missing, with 4 where it is refused, with 1 where it is late', async () => {
    const path = 'POST /api/v1/approvals/apr_1/decision';
    const missing = await run({ [path]: NEEDS_PRESENCE }, ['approve', 'apr_1']);
    assert.equal(missing.exitCode, 5);
    assert.match(missing.stderr, /postern login[\s\S]*http:\/\/localhost:8080\/presence/);
    const own = problem(403, 'approval_self', 'nobody decides what they asked themselves');
    assert.equal((await run({ [path]: own }, ['approve', 'apr_1'])).exitCode, 4);
    const late = problem(410, 'approval_gone', 'it expired');
    assert.equal((await run({ [path]: late }, ['deny', 'apr_1'])).exitCode, 1);
  });

  test('shows one in full, and says how to see its arguments; nothing of it drives the terminal', async () => {
    const answer = { ...WAITING, preview: 'a\u001b[2Jb', content: 'presence_required', arguments: null };
    const shown = await run({ 'GET /api/v1/approvals/apr_1': { body: answer } }, ['show', 'apr_1']);
    assert.equal(shown.exitCode, 0);
    assert.ok(!shown.stdout.includes('\u001b'));
    assert.match(shown.stderr, /postern login/);
  });
});

/** A terminal at which somebody types `keys` at each question. */
function terminal(keys: string): CliContext['stdin'] {
  const stdin = Object.assign(new PassThrough(), { isTTY: true });
  stdin.write(keys);
  return stdin;
}

const news = (name: string, data: object): string => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
const STREAM = { headers: { 'content-type': 'text/event-stream' } };

describe('postern approvals watch', () => {
  const events =
    news('request.finished', { id: 'req_1' }) +
    news('approval.requested', { ...WAITING, at: WAITING.created_at }) +
    news('approval.decided', { ...WAITING, state: 'approved', by: 'bob' });

  test('prints JSON lines for programs, and only news of approvals', async () => {
    const watched = await run({ 'GET /api/v1/events': { ...STREAM, body: events } }, ['watch', '--json']);
    const lines = watched.stdout
      .trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line));
    assert.deepEqual(
      lines.map((line) => [Object(line).event, Object(line).id, Object(line).state]),
      [
        ['approval.requested', 'apr_1', 'pending'],
        ['approval.decided', 'apr_1', 'approved'],
      ],
    );
    assert.equal(watched.exitCode, 3, 'the server ended the stream');
  });

  test('asks at a terminal, and sends what is answered', async () => {
    let decision = '';
    const stop = new AbortController();
    const watched = await run(
      {
        'GET /api/v1/approvals': { body: { items: [WAITING], next_cursor: null } },
        'GET /api/v1/approvals/apr_1': { body: { ...WAITING, arguments: '{"command":"rm"}' } },
        'POST /api/v1/approvals/apr_1/decision': ({ body }) => {
          decision = body;
          stop.abort();
          return { body: { ...WAITING, state: 'approved' } };
        },
        // A long stream: the answer comes while it is open.
        'GET /api/v1/events': { ...STREAM, headers: { 'content-length': '1000000' }, body: ': live\n\n' },
      },
      ['watch'],
      { stdin: terminal('y\n'), signal: stop.signal },
    );
    assert.deepEqual(JSON.parse(decision), { verdict: 'approve', seen_edits: 0 });
    assert.match(watched.stdout, /wants tool Bash[\s\S]*\{"command":"rm"\}/);
    assert.equal(watched.exitCode, 0, watched.stderr);
  });

  test('ends with 5 at the first decision without presence', async () => {
    const watched = await run(
      {
        'GET /api/v1/approvals': { body: { items: [WAITING], next_cursor: null } },
        'GET /api/v1/approvals/apr_1': { body: WAITING },
        'POST /api/v1/approvals/apr_1/decision': NEEDS_PRESENCE,
        'GET /api/v1/events': { ...STREAM, headers: { 'content-length': '1000000' }, body: ': live\n\n' },
      },
      ['watch'],
      { stdin: terminal('n\n') },
    );
    assert.equal(watched.exitCode, 5, watched.stderr);
  });
});
