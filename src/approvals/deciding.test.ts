import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Approvals } from './approvals.ts';
import {
  approver,
  DENY,
  entry,
  ONCE,
  question,
  type QuestionParts,
  type TestWorld,
  testWorld,
} from './test-approvals.ts';

async function pending(
  world: TestWorld,
  more: QuestionParts = {},
): Promise<{ approvals: Approvals; id: string }> {
  const approvals = world.open();
  const answer = await approvals.ask(question({ ...more, mode: 'pending' }));
  assert.equal(answer.state, 'pending');
  return { approvals, id: answer.state === 'pending' ? answer.id : '' };
}

describe('who may decide (DESIGN section 5)', () => {
  test('nobody who is not meant, in whatever group of their own', async () => {
    const world = testWorld();
    const { approvals, id } = await pending(world, { entry: entry({ approvers: ['group:sre'] }) });
    for (const who of [
      approver('eve'),
      approver('bob'),
      approver('eve', { groups: ['group:sre', 'approver'] }),
    ])
      await assert.rejects(approvals.decide(id, who, ONCE), { code: 'approval_not_yours' });
  });

  const selves: Record<string, (world: TestWorld) => ReturnType<typeof approver>> = {
    'the requester': () => approver('alice'),
    'a token of the requester': () =>
      approver('alice', {
        door: 'token',
        device: null,
        token: { id: 'tok_2', scopes: ['admin'], models: null, expiresAt: null },
        how: 'token',
      }),
    'a service whose token the requester minted': (world) => {
      world.behind.set('tok_ci', ['service:ci', 'alice']);
      return approver('service:ci', {
        user: null,
        token: { id: 'tok_ci', scopes: ['admin'], models: null, expiresAt: null },
        how: 'token',
      });
    },
    'another principal on the same device': () =>
      approver('bob', { device: { stableId: 'dev_a', name: 'a', addresses: [], tags: [], shared: false } }),
    'the same login by another door, in another case': () =>
      approver('jwt:https://issuer.example:1', {
        user: { id: '1', login: 'Alice@Example.com', displayName: null },
      }),
  };
  for (const [name, self] of Object.entries(selves)) {
    test(`not ${name}, although policy means them`, async () => {
      const world = testWorld();
      const who = self(world);
      world.approvers.add(who.principal);
      const { approvals, id } = await pending(world);
      await assert.rejects(approvals.decide(id, who, ONCE), { code: 'approval_self' });
      await assert.rejects(approvals.decide(id, who, DENY), { code: 'approval_self' });
      assert.equal(approvals.mayDecide((await approvals.get('home', id)) ?? assert.fail(), who), false);
      assert.equal((await approvals.get('home', id))?.state, 'pending');
    });
  }

  test('not an approver of another tailnet, to whom it does not exist', async () => {
    const { approvals, id } = await pending(testWorld());
    const stranger = { ...approver('bob'), tailnet: 'work' };
    await assert.rejects(approvals.decide(id, stranger, ONCE), { code: 'approval_unknown' });
    const record = (await approvals.get('home', id)) ?? assert.fail();
    assert.deepEqual(
      [approvals.mayDecide(record, approver('bob')), approvals.mayDecide(record, stranger)],
      [true, false],
    );
  });

  test('not the person behind the token that asked', async () => {
    const world = testWorld();
    world.behind.set('tok_ci', ['service:ci', 'bob']);
    const { approvals, id } = await pending(world, {
      requester: { principal: 'service:ci', label: 'service:ci', tokenId: 'tok_ci' },
    });
    await assert.rejects(approvals.decide(id, approver('bob'), ONCE), { code: 'approval_self' });
    await approvals.decide(id, approver('carol'), ONCE);
  });

  test('the requester if policy says so, with presence and not by a token, and only as an approver', async () => {
    const world = testWorld();
    const { approvals, id } = await pending(world, { entry: entry({ selfApprove: true }) });
    await assert.rejects(approvals.decide(id, approver('alice'), ONCE), { code: 'approval_not_yours' });
    world.approvers.add('alice');
    await assert.rejects(approvals.decide(id, approver('alice', { how: 'token' }), ONCE), {
      code: 'approval_self',
    });
    assert.equal((await approvals.decide(id, approver('alice'), ONCE)).state, 'approved');
  });

  test('the stricter of the entry then and now holds', async () => {
    const world = testWorld();
    world.approvers.add('alice');
    const asked = entry({ selfApprove: true, approvers: ['alice', 'bob'] });
    const { approvals, id } = await pending(world, { entry: asked });
    world.entries.set('default', entry({ approvers: ['carol', 'alice', 'bob'], quorum: 2 }));
    await assert.rejects(approvals.decide(id, approver('alice'), ONCE), { code: 'approval_self' });
    await assert.rejects(approvals.decide(id, approver('carol'), ONCE), { code: 'approval_not_yours' });
    assert.equal((await approvals.decide(id, approver('bob'), ONCE)).state, 'pending');
    world.entries.set('default', entry({ approvers: ['carol'] }));
    await assert.rejects(approvals.decide(id, approver('bob'), ONCE), { code: 'approval_not_yours' });
  });

  test('the operator with the break-glass token may, and nobody of another tailnet', async () => {
    const world = testWorld();
    const { approvals, id } = await pending(world);
    const operator = {
      tailnet: 'home',
      principal: 'operator',
      label: 'operator',
      caller: null,
      how: 'break-glass',
    };
    await assert.rejects(approvals.decide(id, { ...operator, tailnet: 'office' }, ONCE), {
      code: 'approval_unknown',
    });
    assert.equal((await approvals.decide(id, operator, ONCE)).state, 'approved');
  });
});

describe('quorum', () => {
  const two = { entry: entry({ quorum: 2 }) };

  test('needs distinct people: nobody counts twice, under whatever name', async () => {
    const world = testWorld();
    const { approvals, id } = await pending(world, two);
    await approvals.decide(id, approver('bob'), ONCE);
    await assert.rejects(approvals.decide(id, approver('bob'), ONCE), { code: 'approval_conflict' });
    world.approvers.add('jwt:bob');
    const sameLogin = approver('jwt:bob', { user: { id: '1', login: 'BOB@example.com', displayName: null } });
    await assert.rejects(approvals.decide(id, sameLogin, ONCE), { code: 'approval_conflict' });
    assert.equal((await approvals.decide(id, approver('carol'), ONCE)).state, 'approved');
  });

  test('one denial ends it, also by somebody who approved before', async () => {
    const { approvals, id } = await pending(testWorld(), two);
    await approvals.decide(id, approver('bob'), ONCE);
    assert.equal((await approvals.decide(id, approver('bob'), DENY)).state, 'denied');
    await assert.rejects(approvals.decide(id, approver('carol'), ONCE), { code: 'approval_conflict' });
  });

  test('an edit resets what others approved, and who has not seen it approves nothing', async () => {
    const { approvals, id } = await pending(testWorld(), two);
    await approvals.decide(id, approver('bob'), ONCE);
    const edited = await approvals.decide(id, approver('carol'), { ...ONCE, edited: { command: 'ls' } });
    assert.deepEqual([edited.state, edited.votes.length, edited.edits], ['pending', 1, 1]);
    await assert.rejects(approvals.decide(id, approver('dave'), ONCE), { code: 'approval_conflict' });
    const done = await approvals.decide(id, approver('bob'), { ...ONCE, seenEdits: 1 });
    assert.equal(done.state, 'approved');
    const answer = await approvals.ask(question({ mode: 'pending' }));
    assert.ok(answer.state === 'approved');
    assert.deepEqual(answer.edited, { command: 'ls' });
  });

  test('allows the narrowest of what each allowed', async () => {
    const world = testWorld();
    const { approvals, id } = await pending(world, two);
    await approvals.decide(id, approver('bob'), { ...ONCE, scope: 'session' });
    const done = await approvals.decide(id, approver('carol'), {
      ...ONCE,
      scope: 'time',
      durationMs: 60_000,
    });
    assert.deepEqual(
      [done.once, done.sessionBound, (done.validUntil ?? 0) - world.time.clock.now()],
      [false, true, 60_000],
    );
    const other = await pending(world, { ...two, subject: { kind: 'tool', tool: 'B' } });
    await other.approvals.decide(other.id, approver('bob'), { ...ONCE, scope: 'time' });
    assert.equal((await other.approvals.decide(other.id, approver('carol'), ONCE)).once, true);
  });

  test('votes at the same moment all count', async () => {
    const { approvals, id } = await pending(testWorld(), { entry: entry({ quorum: 3 }) });
    await Promise.all(['bob', 'carol', 'dave'].map((who) => approvals.decide(id, approver(who), ONCE)));
    assert.equal((await approvals.get('home', id))?.votes.length, 3);
    assert.equal((await approvals.get('home', id))?.state, 'approved');
  });
});

describe('what an approver may choose', () => {
  test('only scopes and durations of the entry', async () => {
    const { approvals, id } = await pending(testWorld(), {
      entry: entry({ scopes: ['time'], maxDurationMs: 60_000 }),
    });
    for (const verdict of [
      { ...ONCE, scope: 'session' },
      { ...ONCE, scope: 'time', durationMs: 60_001 },
      { ...ONCE, scope: 'time', durationMs: 0 },
      { ...ONCE, scope: 'time', durationMs: Number.NaN },
    ] as const)
      await assert.rejects(approvals.decide(id, approver('bob'), verdict), { code: 'approval_invalid' });
    await approvals.decide(id, approver('bob'), { ...ONCE, scope: 'time' });
  });

  test('a session only where there is one', async () => {
    const { approvals, id } = await pending(testWorld(), { requester: { sessionId: null } });
    await assert.rejects(approvals.decide(id, approver('bob'), { ...ONCE, scope: 'session' }), {
      code: 'approval_invalid',
    });
  });

  test('an edit only of a tool’s arguments, where the entry allows it, and within limits', async () => {
    const world = testWorld();
    const closed = await pending(world, { entry: entry({ allowEdit: false }) });
    const edit = { ...ONCE, edited: { command: 'ls' } };
    await assert.rejects(closed.approvals.decide(closed.id, approver('bob'), edit), {
      code: 'approval_invalid',
    });
    const model = await pending(world, { subject: { kind: 'model', model: 'a/b' } });
    await assert.rejects(model.approvals.decide(model.id, approver('bob'), edit), {
      code: 'approval_invalid',
    });
    const open = await pending(world, { subject: { kind: 'tool', tool: 'B' } });
    const large = { ...ONCE, edited: 'x'.repeat(300_000) };
    await assert.rejects(open.approvals.decide(open.id, approver('bob'), large), {
      code: 'approval_invalid',
    });
  });
});
