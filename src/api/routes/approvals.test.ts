import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { question, type QuestionParts } from '../../approvals/test-approvals.ts';
import type { Caller } from '../../identity/caller.ts';
import { type Answer, BREAK_GLASS, caller, startTestApi, type TestApi, tokenCaller } from '../test-api.ts';
import { budgetOf } from '../test-budgets.ts';

const alice = caller('local:1');
const bob = caller('local:2');
const eve = caller('local:3');
const admin = caller('local:4');
const auditor = caller('local:5');
const operator = { authorization: `Bearer ${BREAK_GLASS}` };
const PATH = '/api/v1/approvals';

let t: TestApi;
beforeEach(async () => {
  t = await startTestApi();
  t.world.access.set('local:1', { roles: new Set(['user']) });
  t.world.access.set('local:2', { roles: new Set(['user', 'approver']) });
  t.world.access.set('local:3', { roles: new Set(['user']) });
  t.world.access.set('local:4', { roles: new Set(['admin']) });
  t.world.access.set('local:5', { roles: new Set(['user', 'auditor']) });
});
afterEach(() => t.close());

/** Alice's agent asks for a call of `Bash`, without waiting. */
async function asked(more: QuestionParts = {}): Promise<string> {
  const { requester, ...rest } = more;
  const answer = await t.world.approvals.ask(
    question({
      mode: 'pending',
      ...rest,
      requester: { principal: 'local:1', label: 'user-1', ...requester },
    }),
  );
  assert.equal(answer.state, 'pending');
  return answer.state === 'pending' ? answer.id : '';
}

/** What a browser sends once the person showed presence. */
async function present(as: Caller): Promise<Record<string, string>> {
  await t.send(as, 'POST', '/api/v1/presence/requests', { body: { announce: true } });
  const code = /presence#([a-z0-9]+)/.exec(t.world.terminal.at(-1) ?? '')?.[1] ?? '';
  const answer = await t.send(as, 'POST', '/api/v1/presence/redeem', { body: { code } });
  assert.equal(answer.status, 200, answer.text);
  const cookie = String(answer.headers['set-cookie']?.[0]).split(';')[0] ?? '';
  return { cookie, 'x-postern-presence-proof': String(answer.json['proof']) };
}

const decide = (
  as: Caller | null,
  id: string,
  body: Record<string, unknown>,
  headers: Record<string, string> = {},
): Promise<Answer> => t.send(as, 'POST', `${PATH}/${id}/decision`, { body, headers });

const YES = { verdict: 'approve' };

describe('deciding (DESIGN section 5: with presence, by another than the requester)', () => {
  test('an approver with presence approves; who, how and when is kept, and logged before', async () => {
    const id = await asked();
    const answer = await decide(bob, id, { ...YES, reason: 'fine' }, await present(bob));
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.json['state'], 'approved');
    assert.deepEqual(
      [answer.json['votes']]
        .flat()
        .map((vote) => [Object(vote)['by'], Object(vote)['presence'], Object(vote)['reason']]),
      [['local:2', 'link', 'fine']],
    );
    const row = t.world.store.audit.at(-1);
    assert.deepEqual(
      [row?.actor, row?.action, row?.target, row?.reason],
      ['local:2', 'approval.approve', id, 'fine'],
    );
  });

  test('without presence nothing is decided, whatever the role', async () => {
    const id = await asked();
    for (const as of [bob, admin]) {
      const answer = await decide(as, id, YES);
      assert.deepEqual([answer.status, answer.json['code']], [403, 'presence_required']);
      assert.ok(String(answer.json['presence_url']).endsWith('/presence'));
    }
    assert.equal((await t.world.approvals.get('home', id))?.state, 'pending');
  });

  test('no GET decides: opening a link only shows', async () => {
    const id = await asked();
    const headers = await present(bob);
    for (const path of [`${PATH}/${id}`, `${PATH}/${id}/decision`, `${PATH}/${id}/decision?verdict=approve`])
      await t.send(bob, 'GET', path, { headers });
    assert.equal((await t.send(bob, 'GET', `${PATH}/${id}/decision`, { headers })).status, 405);
    assert.equal((await t.world.approvals.get('home', id))?.state, 'pending');
  });

  test('no other page and no form decides', async () => {
    const id = await asked();
    const headers = await present(bob);
    const foreignHeaders: readonly Record<string, string>[] = [
      { origin: 'https://evil.example' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { 'content-type': 'text/plain' },
    ];
    for (const foreign of foreignHeaders) {
      const answer = await decide(bob, id, YES, { ...headers, ...foreign });
      assert.ok(answer.status === 403 || answer.status === 415, answer.text);
    }
    assert.equal((await t.world.approvals.get('home', id))?.state, 'pending');
  });

  test('the requester does not decide, by presence, by their admin token, or as an admin', async () => {
    t.world.access.set('local:1', { roles: new Set(['user', 'approver', 'admin']) });
    const id = await asked();
    for (const [as, headers] of [
      [alice, await present(alice)],
      [tokenCaller('local:1', ['admin']), {}],
    ] as const) {
      const answer = await decide(as, id, YES, headers);
      assert.deepEqual([answer.status, answer.json['code']], [403, 'approval_self'], answer.text);
    }
    assert.equal(t.world.store.audit.at(-1)?.action, 'approval.approve.failed');
  });

  test('the requester does not decide through a service token that they minted', async () => {
    t.world.access.set('service:ci', { roles: new Set(['admin']) });
    const ci = tokenCaller('service:ci', ['admin']);
    t.world.tokens.push({
      id: 'tok_of_service:ci',
      tailnet: 'home',
      owner: 'service:ci',
      ownerLabel: 'service:ci',
      name: 'ci',
      hash: 'h',
      scopes: ['admin'],
      models: null,
      createdAt: 0,
      createdBy: 'local:1',
      expiresAt: null,
      revokedAt: null,
      lastUsedAt: null,
    });
    assert.equal((await decide(ci, await asked(), YES)).json['code'], 'approval_self');
  });

  test('a caller who is no approver learns nothing and decides nothing', async () => {
    const id = await asked();
    const headers = await present(eve);
    assert.equal((await decide(eve, id, YES, headers)).status, 404);
    assert.equal((await t.send(eve, 'GET', `${PATH}/${id}`)).status, 404);
    assert.equal((await t.send(eve, 'DELETE', `${PATH}/${id}`, { headers })).status, 404);
    assert.deepEqual((await t.send(eve, 'GET', PATH)).items, []);
  });

  test('an auditor sees it and may not decide; a use token of an approver has not the scope', async () => {
    const id = await asked();
    const headers = await present(auditor);
    assert.equal((await decide(auditor, id, YES, headers)).json['code'], 'approval_not_yours');
    assert.equal(
      (await decide(tokenCaller('local:2', ['use', 'read']), id, YES)).json['code'],
      'scope_missing',
    );
  });

  test('decided twice is a conflict, expired is gone, unknown is not found', async () => {
    const headers = await present(bob);
    const id = await asked();
    assert.equal((await decide(bob, id, { verdict: 'deny', reason: 'no' }, headers)).json['state'], 'denied');
    const twice = await decide(bob, id, YES, headers);
    assert.deepEqual([twice.status, twice.json['code']], [409, 'approval_conflict']);
    const late = await asked({ subject: { kind: 'tool', tool: 'Late' } });
    t.world.now += 25 * 3_600_000;
    const gone = await decide(bob, late, YES, await present(bob));
    assert.deepEqual([gone.status, gone.json['code']], [410, 'approval_gone']);
    assert.equal((await decide(null, 'apr_none', YES, operator)).status, 404);
  });

  test('scope, duration and edit are checked; what runs is the edit', async () => {
    const id = await asked();
    const headers = await present(bob);
    for (const body of [
      { verdict: 'maybe' },
      { ...YES, scope: 'forever' },
      { ...YES, scope: 'time', duration_sec: 31_000_000 },
      { ...YES, edited: null },
      { ...YES, edited: { command: 'ls' }, seen_edits: 3 },
      { ...YES, more: 1 },
    ]) {
      const answer = await decide(bob, id, body, headers);
      assert.ok(answer.status === 400 || answer.status === 409, `${JSON.stringify(body)} ${answer.text}`);
    }
    const answer = await decide(bob, id, { ...YES, edited: { command: 'ls' } }, headers);
    assert.equal(answer.json['edits'], 1, answer.text);
    const passed = await t.world.approvals.ask(
      question({ mode: 'pending', requester: { principal: 'local:1', label: 'user-1' } }),
    );
    assert.deepEqual(passed, { state: 'approved', approvalId: id, edited: { command: 'ls' } });
  });
});

describe('who sees what of an approval', () => {
  test('the requester sees the arguments; an approver with presence only, which is recorded; an auditor never', async () => {
    const id = await asked();
    const shown = async (as: Caller, headers = {}): Promise<unknown[]> => {
      const { json } = await t.send(as, 'GET', `${PATH}/${id}`, { headers });
      return [json['content'], json['arguments']];
    };
    const text = '{"command":"rm -rf build"}';
    assert.deepEqual(await shown(alice), ['shown', text]);
    assert.deepEqual(await shown(bob), ['presence_required', null]);
    assert.equal(t.world.store.audit.filter(({ action }) => action === 'approval.read').length, 0);
    assert.deepEqual(await shown(bob, await present(bob)), ['shown', text]);
    assert.equal(t.world.store.audit.at(-1)?.action, 'approval.read');
    assert.deepEqual(await shown(auditor, await present(auditor)), ['hidden', null]);
  });

  test('lists: mine, what I may decide, and all that I may see', async () => {
    const own = await asked();
    const others = await asked({ requester: { principal: 'local:2', label: 'user-2' } });
    const ids = async (as: Caller, query: string): Promise<string[]> =>
      (await t.send(as, 'GET', `${PATH}${query}`)).items.map((item) => String(item['id'])).toSorted();
    assert.deepEqual(await ids(alice, ''), [own]);
    assert.deepEqual(await ids(bob, '?of=to_decide'), [own]);
    assert.deepEqual(await ids(bob, '?of=mine'), [others]);
    assert.deepEqual(await ids(bob, ''), [own, others].sort());
    assert.deepEqual(await ids(auditor, '?state=pending&kind=tool'), [own, others].sort());
    assert.deepEqual(await ids(auditor, '?state=denied'), []);
  });

  test('what nobody decided in time is expired at once, before it is swept', async () => {
    const id = await asked();
    const record = await t.world.approvals.get('home', id);
    t.world.now = record?.expiresAt ?? 0;
    assert.equal((await t.world.approvals.get('home', id))?.state, 'pending');
    const one = (await t.send(bob, 'GET', `${PATH}/${id}`)).json;
    assert.equal(one['state'], 'expired');
    assert.equal(one['decided_at'], one['expires_at']);
    assert.equal((await t.send(alice, 'GET', PATH)).items[0]?.['state'], 'expired');
    assert.deepEqual((await t.send(bob, 'GET', `${PATH}?of=to_decide`)).items, []);
    assert.deepEqual((await t.send(alice, 'GET', `${PATH}?state=pending`)).items, []);
  });
});

describe('the page that messages link to', () => {
  test('shows nothing of anybody by itself, and decides nothing', async () => {
    const id = await asked();
    const headers = await present(bob);
    for (const path of ['/approvals', `/approvals/${id}`, '/approvals/%3Cscript%3E']) {
      const page = await t.send(bob, 'GET', path, { headers });
      assert.match(String(page.headers['content-type']), /^text\/html/);
      assert.ok(!page.text.includes(id) && !page.text.includes('rm -rf') && !page.text.includes('<script>'));
    }
    assert.equal((await t.world.approvals.get('home', id))?.state, 'pending');
  });
});

describe('asking for more', () => {
  const ask = (as: Caller | null, body: Record<string, unknown>, headers = {}): Promise<Answer> =>
    t.send(as, 'POST', PATH, { body, headers });

  test('for a model or more budget; the same question is the same approval; approved, it stands', async () => {
    const first = await ask(alice, { kind: 'model', model: 'openai/o9', reason: 'a trial' });
    assert.equal(first.status, 202, first.text);
    const again = await ask(alice, { kind: 'model', model: 'openai/o9', reason: 'please' });
    assert.equal(again.json['id'], first.json['id']);
    t.world.budgets.set('local:1', [budgetOf('user:1')]);
    const budget = await ask(alice, { kind: 'budget', bucket: 'user:1', amount: 5, reason: 'release' });
    assert.deepEqual([budget.json['kind'], budget.json['amount']], ['budget', 5]);
    await decide(bob, String(first.json['id']), { ...YES, scope: 'time' }, await present(bob));
    assert.equal(
      (await ask(alice, { kind: 'model', model: 'openai/o9', reason: 'x' })).json['state'],
      'approved',
    );
  });

  test('somebody without a role may ask for their first model', async () => {
    const answer = await ask(caller('local:77'), { kind: 'model', model: 'openai/o9', reason: 'new here' });
    assert.equal(answer.status, 202, answer.text);
  });

  test('not for another, not for nothing, not without limits, not as the operator or a shared device', async () => {
    for (const body of [
      { kind: 'model', model: 'a/b' },
      { kind: 'tool', tool: 'Bash', reason: 'x' },
      { kind: 'budget', bucket: 'b', amount: -1, reason: 'x' },
      { kind: 'model', model: 'a/b', reason: 'x', principal: 'local:9' },
    ])
      assert.equal((await ask(alice, body)).status, 400, JSON.stringify(body));
    assert.equal((await ask(null, { kind: 'model', model: 'a/b', reason: 'x' }, operator)).status, 400);
    const device = { stableId: 'd', name: 'd', addresses: [], tags: [], shared: true };
    const shared = caller('tailscale:nodeid:d', { user: null, device });
    assert.equal((await ask(shared, { kind: 'model', model: 'a/b', reason: 'x' })).status, 403);
    for (let i = 0; i < 100; i += 1) await ask(alice, { kind: 'model', model: `a/${i}`, reason: 'x' });
    assert.equal((await ask(alice, { kind: 'model', model: 'a/more', reason: 'x' })).status, 429);
  });

  test('the requester takes it back without presence; an approver with', async () => {
    const id = await asked();
    assert.equal((await t.send(bob, 'DELETE', `${PATH}/${id}`)).json['code'], 'presence_required');
    assert.equal((await t.send(alice, 'DELETE', `${PATH}/${id}`)).status, 204);
    assert.equal((await t.send(alice, 'DELETE', `${PATH}/${id}`)).json['code'], 'approval_conflict');
    const other = await asked({ subject: { kind: 'tool', tool: 'B' } });
    const headers = await present(bob);
    assert.equal((await t.send(bob, 'DELETE', `${PATH}/${other}`, { headers })).status, 204);
    assert.equal(t.world.store.audit.at(-1)?.action, 'approval.withdraw');
  });
});
