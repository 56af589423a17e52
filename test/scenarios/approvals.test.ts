/**
 * Calls that wait for a person, through a whole Postern: who may decide and who may not, what an
 * approval lets pass and how often, and what ends the waiting (DESIGN section 5; issue 3, "Approvals").
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import { test } from 'node:test';
import { showPresence } from './administration.ts';
import { eventually } from './ask.ts';
import type { Postern } from './harness.ts';
import { asOtherUser, MAY_BE_OTHER } from './other-user.ts';
import {
  approvals,
  approve,
  askModel,
  callsIn,
  decide,
  heldDocument,
  mintToken,
  OPERATOR,
  pendingOne,
  startHeldScene,
  stateOf,
} from './held-calls.ts';

test('approvals: a held call goes on after somebody else approves it, once', async (t) => {
  const scene = await startHeldScene(t);
  const { postern } = scene;
  const held = askModel(scene);
  const { id, held: isHeld } = await pendingOne(postern);
  assert.equal(isHeld, true);
  await approve(postern, id);
  const answer = await held;
  assert.equal(callsIn(answer), 1, answer.text);
  assert.match(answer.text, /"finish_reason":"tool_calls"/);
  assert.equal(await stateOf(postern, id), 'used');
  const [row] = await postern.requests(1);
  assert.match(JSON.stringify(row?.['decisions']), new RegExp(`"action":"approved".*${id}`));

  const again = askModel(scene);
  const next = await pendingOne(postern);
  assert.notEqual(next.id, id, 'the same call again is a question again');
  const denied = await decide(postern, next.id, OPERATOR, { verdict: 'deny', reason: 'not twice' });
  assert.equal(denied.status, 200, denied.text);
  const refused = await again;
  assert.equal(callsIn(refused), 0);
  assert.match(refused.text, /refused by policy: not twice/);
  assert.match(refused.text, /"finish_reason":"stop"/);
});

test('approvals: nobody approves their own call, by whatever token, and an agent without presence decides nothing', async (t) => {
  const scene = await startHeldScene(t);
  const { postern } = scene;
  const presence = await showPresence(postern);
  const own = await mintToken(postern, presence, { scopes: ['use', 'read'] });
  const second = await mintToken(postern, presence, { scopes: ['admin'] });
  const service = await mintToken(postern, presence, { owner: 'service:reviewer', scopes: ['admin'] });
  for (const requester of [{}, own.headers]) {
    const held = askModel(scene, { headers: requester });
    const { id } = await pendingOne(postern);
    const tries: readonly (readonly [who: string, headers: Record<string, string>, code: string])[] = [
      ['the agent on the same connection', {}, 'presence_required'],
      ['the requester in person', presence, 'approval_self'],
      ['the token that asked, or its twin', own.headers, 'scope_missing'],
      ['a second token of the requester', second.headers, 'approval_self'],
      ['a service whose token the requester minted', service.headers, 'approval_self'],
      ['presence beside a token', { ...own.headers, ...presence }, 'scope_missing'],
      [
        'presence that is made up',
        { 'x-postern-presence': 'pre_00000000000000000000000000' },
        'presence_required',
      ],
    ];
    for (const [who, headers, code] of tries) {
      const tried = await decide(postern, id, headers);
      assert.deepEqual([tried.status, tried.json()['code']], [403, code], `${who}: ${tried.text}`);
    }
    assert.equal(await stateOf(postern, id), 'pending');
    await decide(postern, id, OPERATOR, { verdict: 'deny' });
    assert.equal(callsIn(await held), 0);
  }
});

test('approvals: whoever minted the token that asked is its requester too; another person decides', async (t) => {
  const scene = await startHeldScene(t);
  const { postern } = scene;
  const agent = await mintToken(postern, OPERATOR, { owner: 'service:agent', scopes: ['use'] });
  const reviewer = await mintToken(postern, OPERATOR, { owner: 'service:reviewer', scopes: ['admin'] });
  const held = askModel(scene, { headers: agent.headers });
  const { id } = await pendingOne(postern);
  for (const headers of [OPERATOR, reviewer.headers]) {
    const tried = await decide(postern, id, headers);
    assert.deepEqual([tried.status, tried.json()['code']], [403, 'approval_self'], tried.text);
  }
  assert.equal((await decide(postern, id, {})).json()['code'], 'presence_required');
  await approve(postern, id, await showPresence(postern));
  assert.equal(callsIn(await held), 1);
});

test('approvals: opening a link, another method, a form or a foreign page decides nothing', async (t) => {
  const scene = await startHeldScene(t);
  const { postern } = scene;
  const held = askModel(scene);
  const { id } = await pendingOne(postern);
  const api = `/api/v1/approvals/${id}`;
  const body = { verdict: 'approve' };
  const tries: readonly (readonly [path: string, method: string, headers?: Record<string, string>])[] = [
    [`/approvals/${id}`, 'GET'],
    [`/approvals/${id}?verdict=approve`, 'GET'],
    [`/approvals/${id}`, 'HEAD'],
    [api, 'GET'],
    [`${api}?verdict=approve`, 'HEAD'],
    [`${api}/decision`, 'GET'],
    [`${api}/decision?verdict=approve`, 'GET'],
    [`${api}/decision`, 'PUT'],
    [`/approvals/${id}`, 'POST'],
    [`${api}/decision`, 'POST', { 'content-type': 'text/plain' }],
    [`${api}/decision`, 'POST', { 'content-type': 'application/x-www-form-urlencoded' }],
    [`${api}/decision`, 'POST', { origin: 'https://elsewhere.example' }],
    [`${api}/decision`, 'POST', { 'sec-fetch-site': 'cross-site' }],
    [`${api}/decision`, 'POST', { host: 'elsewhere.example' }],
  ];
  for (const [path, method, headers = {}] of tries) {
    const hasBody = method === 'POST' || method === 'PUT';
    // With all rights but those of the way itself.
    const answer = await postern.call(path, {
      method,
      headers: { ...OPERATOR, ...headers },
      ...(hasBody ? { body } : {}),
    });
    if (hasBody) assert.ok(answer.status >= 400, `${method} ${path}: ${answer.status}`);
    assert.equal(await stateOf(postern, id), 'pending', `${method} ${path} ${JSON.stringify(headers)}`);
  }
  await decide(postern, id, OPERATOR, { verdict: 'deny' });
  assert.equal(callsIn(await held), 0);
});

test('approvals: a quorum is that many people, whatever tokens they hold', async (t) => {
  const scene = await startHeldScene(t, { entry: { quorum: 2 } });
  const { postern } = scene;
  const reviewer = await mintToken(postern, OPERATOR, { owner: 'service:reviewer', scopes: ['admin'] });
  const held = askModel(scene);
  const { id } = await pendingOne(postern);
  await approve(postern, id);
  assert.equal(await stateOf(postern, id), 'pending');
  for (const headers of [OPERATOR, reviewer.headers]) {
    const twice = await decide(postern, id, headers);
    assert.equal(twice.json()['code'], 'approval_conflict', twice.text);
    assert.equal(await stateOf(postern, id), 'pending');
  }
  if (!MAY_BE_OTHER) {
    await decide(postern, id, OPERATOR, { verdict: 'deny' });
    assert.equal(callsIn(await held), 0);
    return;
  }
  const other = asOtherUser(postern);
  assert.equal((await decide(other, id, {})).json()['code'], 'presence_required');
  await approve(other, id, await showPresence(other));
  assert.equal(callsIn(await held), 1);
});

test('approvals: an approver may edit what runs, and a deny of the rules holds for the edit too', async (t) => {
  const deny = { tools: ['Bash'], when: [{ path: '$.command', matches: '^rm ' }], action: 'deny' };
  const scene = await startHeldScene(t, { more: { tools: [deny, { tools: ['Bash'], action: 'ask' }] } });
  const { postern } = scene;
  const held = askModel(scene);
  await approve(postern, (await pendingOne(postern)).id, OPERATOR, { edited: { command: 'ls docs' } });
  const answer = await held;
  assert.equal(callsIn(answer), 1, answer.text);
  assert.match(answer.text.replaceAll('\\', ''), /"command":"ls docs"/);
  assert.doesNotMatch(answer.text, /timeout/);

  const heldAgain = askModel(scene);
  await approve(postern, (await pendingOne(postern)).id, OPERATOR, { edited: { command: 'rm -r /' } });
  const refused = await heldAgain;
  assert.equal(callsIn(refused), 0, refused.text);
  assert.match(refused.text, /refused by policy/);

  const pending = await askModel(scene, { stream: false });
  assert.match(pending.text, /waits for approval/);
  await approve(postern, (await pendingOne(postern)).id, OPERATOR, { edited: { command: 'rm -r /' } });
  const passed = await askModel(scene, { stream: false });
  assert.doesNotMatch(passed.text, /rm -r/);
});

test('approvals: the deadline is a no, for held and for pending calls', async (t) => {
  const scene = await startHeldScene(t, { entry: { hold_for: '1s', pending_for: '1s' } });
  const { postern } = scene;
  const answer = await askModel(scene);
  assert.equal(callsIn(answer), 0);
  assert.match(answer.text, /nobody approved it in time/);
  const [ended] = await approvals(postern);
  await eventually(
    async () => ((await stateOf(postern, String(ended?.id))) === 'expired' ? true : null),
    'the question expires',
  );
  const pending = await askModel(scene, { stream: false });
  const id = /apr_[0-9a-z]+/.exec(pending.text)?.[0] ?? assert.fail(pending.text);
  await eventually(
    () => (Date.now() > expiryOf(pending.headers['date']) ? true : null),
    'the deadline passes',
  );
  const late = await decide(postern, id, OPERATOR);
  assert.equal(late.json()['code'], 'approval_gone', late.text);
  assert.match((await askModel(scene, { stream: false })).text, /waits for approval/);
});

/** When a question of one second, asked at that time, is certainly over. */
function expiryOf(date: string | undefined): number {
  return Date.parse(date ?? '') + 2_500;
}

test('approvals: of many streams that wait for one single use one passes, and beyond the cap nothing is held', async (t) => {
  const scene = await startHeldScene(t);
  const { postern } = scene;
  const held = Array.from({ length: 20 }, () => askModel(scene));
  let ended = 0;
  for (const one of held) void one.then(() => (ended += 1));
  const { id } = await pendingOne(postern);
  // 16 of one principal are held.
  await eventually(() => (ended === 4 ? true : null), 'four are refused at once');
  await approve(postern, id);
  const answers = await Promise.all(held);
  assert.equal(
    answers.reduce((sum, answer) => sum + callsIn(answer), 0),
    1,
  );
  assert.equal(answers.filter(({ text }) => text.includes('too many calls wait')).length, 4);
});

test('approvals: a client that leaves takes its question with it', async (t) => {
  const scene = await startHeldScene(t);
  const { postern } = scene;
  const leaving = new AbortController();
  const asked = fetch(`${postern.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'gpt-fake',
      stream: true,
      messages: [{ role: 'user', content: 'x' }],
      tools: [{ type: 'function', function: { name: 'Bash' } }],
    }),
    signal: leaving.signal,
  });
  const { id } = await pendingOne(postern);
  await asked;
  leaving.abort();
  await eventually(
    async () => ((await stateOf(postern, id)) === 'withdrawn' ? true : null),
    'it is withdrawn',
  );
  const late = await decide(postern, id, OPERATOR);
  assert.equal(late.json()['code'], 'approval_gone', late.text);
});

test('approvals: a policy that has become stricter holds at release', async (t) => {
  const scene = await startHeldScene(t);
  const { postern, upstream } = scene;
  const held = askModel(scene);
  const { id } = await pendingOne(postern);
  const deny = { tools: ['Bash'], action: 'deny', message: 'not any more' };
  const before = (await postern.call('/api/v1/config', { headers: OPERATOR })).text;
  writeFileSync(
    postern.documentFile,
    JSON.stringify(heldDocument(upstream.url, { more: { tools: [deny] } })),
  );
  await eventually(async () => {
    const now = await postern.call('/api/v1/config', { headers: OPERATOR });
    return now.text === before ? null : true;
  }, 'the document is read again');
  const decided = await decide(postern, id, OPERATOR);
  assert.equal(decided.status, 200, decided.text);
  const answer = await held;
  assert.equal(callsIn(answer), 0, answer.text);
});

test('approvals: a revoked token is cut within a second while its call is held, and its question ends', async (t) => {
  const scene = await startHeldScene(t);
  const { postern } = scene;
  const agent = await mintToken(postern, OPERATOR, { owner: 'service:agent', scopes: ['use'] });
  const held = askModel(scene, { headers: agent.headers });
  const { id } = await pendingOne(postern);
  const from = performance.now();
  const revoked = await postern.call(`/api/v1/tokens/${agent.id}`, { method: 'DELETE', headers: OPERATOR });
  assert.equal(revoked.status, 204, revoked.text);
  const answer = await held;
  assert.ok(performance.now() - from < 1_000);
  assert.equal(callsIn(answer), 0);
  assert.match(answer.text, /access_revoked/);
  await eventually(
    async () => ((await stateOf(postern, id)) === 'withdrawn' ? true : null),
    'it is withdrawn',
  );
});

test('approvals: an approval is bound to the canonical arguments, tool and caller, and to nothing that a caller writes', async (t) => {
  const scene = await startHeldScene(t);
  const { postern, script } = scene;
  const agent = await mintToken(postern, OPERATOR, { owner: 'service:agent', scopes: ['use'] });
  const second = await mintToken(postern, OPERATOR, { owner: 'service:second', scopes: ['use'] });
  const presence = await showPresence(postern);
  const ask = async (headers: Record<string, string>, text: string): Promise<'passes' | 'pending'> => {
    script.arguments = [text];
    const answer = await askModel(scene, { stream: false, headers });
    if (callsIn(answer) === 1) return 'passes';
    assert.match(answer.text, /waits for approval/);
    return 'pending';
  };
  const call = '{"command":"ls","timeout":5}';
  assert.equal(await ask(agent.headers, call), 'pending');
  const { id } = await pendingOne(postern);
  assert.equal(await ask(agent.headers, call), 'pending', 'asking again approves nothing');
  assert.equal((await approvals(postern, 'pending')).length, 1, 'the same question is one');
  await approve(postern, id, presence);
  for (const [why, headers, text] of [
    ['another value', agent.headers, '{"command":"ls","timeout":6}'],
    ['another type', agent.headers, '{"command":"ls","timeout":"5"}'],
    ['one member more', agent.headers, '{"command":"ls","timeout":5,"x":null}'],
    ['a member twice', agent.headers, '{"command":"ls","timeout":5,"command":"rm"}'],
    ['another caller', second.headers, call],
    ['another caller that says it is the first', { ...second.headers, 'x-postern-agent': 'agent' }, call],
    ['the minter itself', {}, call],
  ] as const)
    assert.equal(await ask(headers, text), 'pending', why);
  const spelled = '{ "timeout" : 5, "command" : "l\\u0073" }';
  assert.equal(await ask(agent.headers, spelled), 'passes', 'other spelling, other order');
  assert.equal(await ask(agent.headers, call), 'pending', 'it was for one time');
});

test('approvals: scopes of a session and of a time, and labels that widen neither', async (t) => {
  const scene = await startHeldScene(t);
  const { postern } = scene;
  const agent = await mintToken(postern, OPERATOR, { owner: 'service:agent', scopes: ['use'] });
  const second = await mintToken(postern, OPERATOR, { owner: 'service:second', scopes: ['use'] });
  const presence = await showPresence(postern);
  const passes = async (headers: Record<string, string>): Promise<boolean> =>
    callsIn(await askModel(scene, { stream: false, headers })) === 1;
  const inSession = (headers: object, session: string): Record<string, string> => ({
    ...headers,
    'x-postern-session': session,
  });
  assert.equal(await passes(inSession(agent.headers, 'one')), false);
  await approve(postern, (await pendingOne(postern)).id, presence, { scope: 'session' });
  assert.deepEqual(
    [await passes(inSession(agent.headers, 'one')), await passes(inSession(agent.headers, 'one'))],
    [true, true],
  );
  assert.equal(await passes(inSession(second.headers, 'one')), false, "another's session of that name");
  assert.equal(await passes(inSession(agent.headers, 'two')), false, 'another session');
  for (const { id } of await approvals(postern, 'pending')) {
    await approve(postern, id, presence, { scope: 'time', duration_sec: 2 });
  }
  const from = Date.now();
  assert.equal(await passes(inSession(agent.headers, 'three')), true, 'a time holds in every session');
  await eventually(() => (Date.now() > from + 2_100 ? true : null), 'the time is over');
  assert.equal(await passes(inSession(agent.headers, 'three')), false);
});

test('approvals: an agent that is denied is not asked about under another name', async (t) => {
  const tools = [
    { tools: ['Bash'], agents: ['codex'], action: 'ask' },
    { tools: ['Bash'], action: 'deny' },
  ];
  const scene = await startHeldScene(t, { more: { tools } });
  for (const name of ['codex', 'claude-code', '', 'CODEX', '*']) {
    const answer = await askModel(scene, {
      headers: { 'x-postern-agent': name, 'user-agent': 'codex_cli/1' },
    });
    assert.equal(callsIn(answer), 0, name);
    assert.match(answer.text, /refused by policy/, name);
  }
  assert.equal((await approvals(scene.postern)).length, 0);
});

test('approvals: whoever decides sees what was asked before, unless prompts of the caller are not kept (issue 3, Approvals)', async (t) => {
  const shown = async (capture: string) => {
    const scene = await startHeldScene(t, { capability: { capture } });
    await askModel(scene, { stream: false });
    const { id } = await pendingOne(scene.postern);
    const reply = await scene.postern.call(`/api/v1/approvals/${id}`, { headers: OPERATOR });
    assert.equal(reply.status, 200, reply.text);
    return reply.json();
  };
  const full = await shown('full');
  assert.equal(full['excerpt'], 'list the files');
  assert.equal(full['excerpt_withheld'], null);
  assert.equal(full['arguments'], '{"command":"ls","timeout":5}');
  for (const capture of ['metadata', 'none']) {
    const withheld = await shown(capture);
    assert.equal(withheld['excerpt'], null);
    assert.match(String(withheld['excerpt_withheld']), new RegExp(`not kept \\(capture: ${capture}\\)`));
    assert.equal(withheld['arguments'], '{"command":"ls","timeout":5}', 'what would run is what is decided');
  }
});

test('approvals: a caller that leaves frees its place among the held calls', async (t) => {
  const scene = await startHeldScene(t);
  const { postern, script } = scene;
  const left: http.ClientRequest[] = [];
  for (let i = 0; i < 16; i += 1) {
    script.arguments = [`{"command":"held ${i}"}`];
    left.push(startAndForget(postern));
    await eventually(
      async () => ((await approvals(postern, 'pending')).length === i + 1 ? true : null),
      `${i + 1} calls are held`,
    );
  }
  script.arguments = ['{"command":"one more"}'];
  assert.match((await askModel(scene)).text, /too many calls wait/);
  for (const request of left) request.destroy();
  await eventually(
    async () => ((await approvals(postern, 'pending')).length === 0 ? true : null),
    'their questions end with them',
  );
  const held = askModel(scene);
  await approve(postern, (await pendingOne(postern)).id);
  assert.equal(callsIn(await held), 1);
});

/** A streamed call of `Bash` whose caller can be made to leave. */
function startAndForget({ url }: Postern): http.ClientRequest {
  const request = http.request(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    agent: false,
  });
  request.on('error', () => undefined);
  request.on('response', (response) => response.resume().on('error', () => undefined));
  const tools = [{ type: 'function', function: { name: 'Bash', parameters: { type: 'object' } } }];
  const messages = [{ role: 'user', content: 'list the files' }];
  request.end(JSON.stringify({ model: 'gpt-fake', messages, tools, stream: true }));
  return request;
}
