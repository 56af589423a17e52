import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ApprovalAnswer, ApprovalDecision } from './approval.ts';
import {
  approver,
  DENY,
  entry,
  ONCE,
  question,
  type QuestionParts,
  settled,
  testWorld,
} from './test-approvals.ts';

const PENDING = { mode: 'pending' } as const;

function waiting(answer: ApprovalAnswer): Extract<ApprovalAnswer, { state: 'waiting' }> {
  assert.equal(answer.state, 'waiting');
  return answer;
}

function idOf(answer: ApprovalAnswer): string {
  assert.ok(answer.state === 'waiting' || answer.state === 'pending', answer.state);
  return answer.id;
}

describe('a held call', () => {
  test('waits until an approver says yes, and then runs', async () => {
    const world = testWorld();
    const approvals = world.open();
    const { id, decision } = waiting(await approvals.ask(question()));
    assert.equal(approvals.stats().waiting, 1);
    await approvals.decide(id, approver('bob'), ONCE);
    assert.deepEqual(await decision, { state: 'approved', approvalId: id, edited: undefined });
    assert.equal((await approvals.get('home', id))?.state, 'used');
    assert.equal(approvals.stats().waiting, 0);
    assert.deepEqual(
      world.events.map(({ name, event }) => [name, event.state]),
      [
        ['approval.requested', 'pending'],
        ['approval.decided', 'approved'],
      ],
    );
  });

  test('is denied with the approver’s reason', async () => {
    const approvals = testWorld().open();
    const { id, decision } = waiting(await approvals.ask(question()));
    await approvals.decide(id, approver('bob'), DENY);
    assert.deepEqual(await decision, {
      state: 'denied',
      approvalId: id,
      why: 'denied',
      reason: 'not on a Friday',
    });
  });

  test('is denied at its deadline, on a clock that no jump moves', async () => {
    const world = testWorld();
    const approvals = world.open();
    const { id, decision } = waiting(await approvals.ask(question({ entry: entry({ holdMs: 60_000 }) })));
    let ended: ApprovalDecision | null = null;
    void decision.then((outcome) => (ended = outcome));
    world.time.jump(3_600_000);
    world.time.advance(59_000);
    await settled();
    assert.equal(ended, null);
    world.time.advance(1_000);
    await settled();
    assert.deepEqual(ended, { state: 'denied', approvalId: id, why: 'deadline', reason: null });
    await assert.rejects(approvals.decide(id, approver('bob'), ONCE), { code: 'approval_gone' });
    assert.equal(world.events.at(-1)?.name, 'approval.expired');
  });

  test('ends with its stream, and nobody can approve it after', async () => {
    const approvals = testWorld().open();
    const { id, decision, cancel } = waiting(await approvals.ask(question()));
    cancel();
    cancel();
    assert.equal((await decision).state, 'denied');
    await settled();
    assert.equal((await approvals.get('home', id))?.state, 'withdrawn');
    await assert.rejects(approvals.decide(id, approver('bob'), ONCE), { code: 'approval_gone' });
  });

  test('two equal calls that wait share one question, and a single use lets one of them through', async () => {
    const world = testWorld();
    const approvals = world.open();
    const first = waiting(await approvals.ask(question()));
    const second = waiting(await approvals.ask(question()));
    assert.equal(first.id, second.id);
    assert.equal(world.events.length, 1);
    await approvals.decide(first.id, approver('bob'), ONCE);
    const outcomes = [await first.decision, await second.decision];
    assert.equal(outcomes.filter(({ state }) => state === 'approved').length, 1);
    assert.ok(outcomes.some((outcome) => outcome.state === 'denied' && outcome.why === 'used'));
  });

  test('is a pending question where the entry does not hold', async () => {
    const approvals = testWorld().open();
    assert.equal((await approvals.ask(question({ entry: entry({ hold: false }) }))).state, 'pending');
  });

  test('held calls are capped for each caller and in all', async () => {
    const approvals = testWorld().open({ limits: { heldPerPrincipalMax: 2, heldMax: 3 } });
    const ask = (principal: string, tool: string): Promise<ApprovalAnswer> =>
      approvals.ask(question({ requester: { principal }, subject: { kind: 'tool', tool } }));
    const answers = await Promise.all([ask('alice', 'A'), ask('alice', 'B'), ask('alice', 'C')]);
    assert.deepEqual(
      answers.map(({ state }) => state),
      ['waiting', 'waiting', 'refused'],
    );
    assert.equal((await ask('eve', 'A')).state, 'waiting');
    assert.deepEqual(await ask('mallory', 'A'), { state: 'refused', why: 'too_many' });
    assert.equal(approvals.stats().refused, 2);
  });

  test('is not held where the process stops while the question is written', async () => {
    const world = testWorld();
    const approvals = world.open({
      store: {
        ...world.store,
        askApproval: async (row, ask) => {
          const asked = await world.store.askApproval(row, ask);
          approvals.close();
          return asked;
        },
      },
    });
    assert.equal((await approvals.ask(question())).state, 'pending');
    assert.equal(approvals.stats().waiting, 0);
  });

  test('is denied where the store fails as it should be let through', async () => {
    const world = testWorld();
    const approvals = world.open({
      store: { ...world.store, useApproval: () => Promise.reject(new Error('disk full')) },
    });
    const { id, decision } = waiting(await approvals.ask(question()));
    await approvals.decide(id, approver('bob'), ONCE);
    assert.deepEqual(await decision, {
      state: 'denied',
      approvalId: id,
      why: 'unavailable',
      reason: null,
    });
  });
});

describe('a pending question', () => {
  test('asked again has the same id and tells nobody again; once approved, the same call passes once', async () => {
    const world = testWorld();
    const approvals = world.open();
    const notified = entry({ notify: [{ kind: 'slack', url: 'https://hooks.example/x' }] });
    const ask = (): Promise<ApprovalAnswer> => approvals.ask(question({ ...PENDING, entry: notified }));
    const id = idOf(await ask());
    assert.equal(idOf(await ask()), id);
    assert.equal(world.notices.length, 1);
    await approvals.decide(id, approver('bob'), ONCE);
    assert.deepEqual(await ask(), { state: 'approved', approvalId: id, edited: undefined });
    const next = idOf(await ask());
    assert.notEqual(next, id);
    assert.equal(world.notices.length, 2);
  });

  const others: Record<string, QuestionParts> = {
    'another principal': { requester: { principal: 'eve' } },
    'another device': { requester: { deviceId: 'dev_b' } },
    'no device': { requester: { deviceId: null } },
    'a token': { requester: { tokenId: 'tok_1' } },
    'another tool': { subject: { kind: 'tool', tool: 'Write' } },
    'a model of that name': { subject: { kind: 'model', model: 'Bash' } },
    'other arguments': { argumentsText: '{"command":"rm -rf /"}', arguments: { command: 'rm -rf /' } },
    'text that is no JSON': { arguments: undefined },
    'another tailnet': { tailnet: 'office' },
  };
  for (const [name, more] of Object.entries(others)) {
    test(`an approval does not pass ${name}`, async () => {
      const approvals = testWorld().open();
      const id = idOf(await approvals.ask(question(PENDING)));
      await approvals.decide(id, approver('bob'), { ...ONCE, scope: 'time' });
      assert.equal((await approvals.ask(question({ ...PENDING, ...more }))).state, 'pending');
      assert.equal((await approvals.ask(question(PENDING))).state, 'approved');
    });
  }

  test('the same arguments in another order and spacing are the same call', async () => {
    const approvals = testWorld().open();
    const ask = (argumentsText: string): Promise<ApprovalAnswer> =>
      approvals.ask(question({ ...PENDING, argumentsText, arguments: JSON.parse(argumentsText) }));
    const id = idOf(await ask('{"a":1,"b":[true,null]}'));
    assert.equal(idOf(await ask('{ "b": [true, null],\n "a": 1 }')), id);
  });

  test('numbers that a parser rounds to one value stay different calls', async () => {
    const approvals = testWorld().open();
    const ask = (argumentsText: string): Promise<ApprovalAnswer> =>
      approvals.ask(question({ ...PENDING, argumentsText, arguments: JSON.parse(argumentsText) }));
    const id = idOf(await ask('{"id":9007199254740992}'));
    assert.notEqual(idOf(await ask('{"id":9007199254740993}')), id);
    assert.notEqual(idOf(await ask('{"n":1e-400}')), idOf(await ask('{"n":0}')));
    assert.notEqual(
      idOf(await ask('{"q":"\\"","n":0.10000000000000001}')),
      idOf(await ask('{"q":"\\"","n":0.1}')),
    );
  });

  test('labels widen nothing: another agent of the same caller is the same caller', async () => {
    const approvals = testWorld().open();
    const id = idOf(await approvals.ask(question(PENDING)));
    await approvals.decide(id, approver('bob'), ONCE);
    const answer = await approvals.ask(
      question({ ...PENDING, requester: { agent: 'codex', sessionId: null } }),
    );
    assert.equal(answer.state, 'approved');
  });

  test('for a session: only the same requester in the session of that label', async () => {
    const approvals = testWorld().open();
    const id = idOf(await approvals.ask(question(PENDING)));
    await approvals.decide(id, approver('bob'), { ...ONCE, scope: 'session' });
    const state = async (requester: QuestionParts['requester']): Promise<string> =>
      (await approvals.ask(question({ ...PENDING, ...(requester === undefined ? {} : { requester }) })))
        .state;
    assert.equal(await state({}), 'approved');
    assert.equal(await state({}), 'approved');
    assert.equal(await state({ sessionId: 's2' }), 'pending');
    assert.equal(await state({ sessionId: null }), 'pending');
    assert.equal(await state({ principal: 'eve' }), 'pending');
    assert.equal(await state({ deviceId: 'dev_b' }), 'pending');
    assert.equal(await state({ tokenId: 'tok_1' }), 'pending');
  });

  test('for a time: until it is over, by the wall clock', async () => {
    const world = testWorld();
    const approvals = world.open();
    const id = idOf(await approvals.ask(question(PENDING)));
    await approvals.decide(id, approver('bob'), { ...ONCE, scope: 'time', durationMs: 60_000 });
    assert.equal((await approvals.ask(question(PENDING))).state, 'approved');
    world.time.jump(59_999);
    assert.equal((await approvals.ask(question(PENDING))).state, 'approved');
    world.time.jump(1);
    assert.equal((await approvals.ask(question(PENDING))).state, 'pending');
  });

  test('expires, is told as expired, and is asked anew', async () => {
    const world = testWorld();
    const approvals = world.open();
    approvals.start('home');
    const asked = question({ ...PENDING, entry: entry({ pendingMs: 60_000 }) });
    const id = idOf(await approvals.ask(asked));
    world.time.advance(90_000);
    await settled();
    assert.equal((await approvals.get('home', id))?.state, 'expired');
    assert.equal(world.events.at(-1)?.name, 'approval.expired');
    await assert.rejects(approvals.decide(id, approver('bob'), ONCE), { code: 'approval_gone' });
    assert.notEqual(idOf(await approvals.ask(asked)), id);
    approvals.close();
  });

  test('is swept in every tailnet that was started, not in the first alone', async () => {
    const world = testWorld();
    const approvals = world.open();
    approvals.start('home');
    approvals.start('work');
    const asked = question({ ...PENDING, tailnet: 'work', entry: entry({ pendingMs: 60_000 }) });
    const id = idOf(await approvals.ask(asked));
    world.time.advance(90_000);
    await settled();
    assert.equal((await approvals.get('work', id))?.state, 'expired');
    approvals.close();
  });

  test('that is due but not swept is expired all the same', async () => {
    const world = testWorld();
    const approvals = world.open();
    const asked = question({ ...PENDING, entry: entry({ pendingMs: 60_000 }) });
    const id = idOf(await approvals.ask(asked));
    world.time.jump(60_000);
    await assert.rejects(approvals.decide(id, approver('bob'), ONCE), { code: 'approval_gone' });
    assert.notEqual(idOf(await approvals.ask(asked)), id);
    assert.equal((await approvals.get('home', id))?.state, 'expired');
  });

  test('is capped for each caller and in all', async () => {
    const approvals = testWorld().open({ limits: { pendingPerPrincipalMax: 1, pendingMax: 2 } });
    const ask = (principal: string, tool: string): Promise<ApprovalAnswer> =>
      approvals.ask(question({ ...PENDING, requester: { principal }, subject: { kind: 'tool', tool } }));
    assert.equal((await ask('alice', 'A')).state, 'pending');
    assert.deepEqual(await ask('alice', 'B'), { state: 'refused', why: 'too_many' });
    assert.equal((await ask('eve', 'A')).state, 'pending');
    assert.deepEqual(await ask('mallory', 'A'), { state: 'refused', why: 'too_many' });
  });

  test('arguments that nobody could judge are refused', async () => {
    const approvals = testWorld().open({ limits: { argumentsMaxBytes: 10 } });
    assert.deepEqual(await approvals.ask(question()), { state: 'refused', why: 'too_large' });
    const whole = question({ ...PENDING, subject: { kind: 'request' }, arguments: undefined });
    assert.equal((await approvals.ask(whole)).state, 'pending');
  });

  test('of a budget is used by its id, one time', async () => {
    const approvals = testWorld().open();
    const subject = { kind: 'budget', bucket: 'user:alice', amount: 5_000_000_000, unit: 'usd' } as const;
    const id = idOf(
      await approvals.ask(question({ ...PENDING, subject, argumentsText: '', arguments: undefined })),
    );
    assert.equal(await approvals.useById('home', id), false);
    await approvals.decide(id, approver('bob'), ONCE);
    assert.equal(await approvals.useById('home', id), true);
    assert.equal(await approvals.useById('home', id), false);
  });
});

describe('restarts and further processes', () => {
  test('a held question survives its process as a pending one, and passes a retry once', async () => {
    const world = testWorld();
    const { id } = waiting(await world.open().ask(question()));
    const restarted = world.open();
    assert.equal((await restarted.get('home', id))?.state, 'pending');
    await restarted.decide(id, approver('bob'), ONCE);
    assert.equal((await restarted.ask(question())).state, 'approved');
    assert.equal((await restarted.ask(question(PENDING))).state, 'pending');
  });

  test('a retry after a restart waits on the same question', async () => {
    const world = testWorld();
    const { id } = waiting(await world.open().ask(question()));
    const restarted = world.open();
    const again = waiting(await restarted.ask(question()));
    assert.equal(again.id, id);
    await restarted.decide(id, approver('bob'), ONCE);
    assert.equal((await again.decision).state, 'approved');
  });

  test('a decision in one process lets a call in another through, within a second', async () => {
    const world = testWorld();
    const [holding, deciding] = [world.open(), world.open()];
    const { id, decision } = waiting(await holding.ask(question()));
    await deciding.decide(id, approver('bob'), ONCE);
    world.time.advance(1_000);
    await settled();
    assert.equal((await decision).state, 'approved');
    assert.equal(await deciding.useById('home', id), false);
  });

  test('two processes that use one approval at once: one gets it', async () => {
    const world = testWorld();
    const [one, two] = [world.open(), world.open()];
    const id = idOf(await one.ask(question(PENDING)));
    await two.decide(id, approver('bob'), ONCE);
    const answers = await Promise.all([one.ask(question(PENDING)), two.ask(question(PENDING))]);
    assert.deepEqual(answers.map(({ state }) => state).sort(), ['approved', 'pending']);
  });

  test('closing denies what waits', async () => {
    const approvals = testWorld().open();
    const { decision } = waiting(await approvals.ask(question()));
    approvals.close();
    const outcome = await decision;
    assert.ok(outcome.state === 'denied' && outcome.why === 'unavailable');
  });
});

describe('when rights end', () => {
  test('what matching callers asked is withdrawn: pending, held and approved', async () => {
    const world = testWorld();
    const approvals = world.open();
    const held = waiting(await approvals.ask(question()));
    const byToken = (tool: string): ReturnType<typeof question> =>
      question({ ...PENDING, subject: { kind: 'tool', tool }, requester: { tokenId: 'tok_1' } });
    const pending = idOf(await approvals.ask(byToken('A')));
    const approved = idOf(await approvals.ask(byToken('B')));
    await approvals.decide(approved, approver('bob'), { ...ONCE, scope: 'time' });
    const matching = (): Promise<number> =>
      approvals.withdraw('home', ({ tokenId }) => tokenId === 'tok_1', 'the token was revoked');
    assert.equal(await matching(), 2);
    assert.equal(await matching(), 0);
    assert.equal((await approvals.get('home', pending))?.state, 'withdrawn');
    assert.equal((await approvals.ask(byToken('B'))).state, 'pending');
    assert.equal(approvals.stats().waiting, 1);
    await approvals.withdrawOne('home', held.id, 'the caller took it back');
    const outcome = await held.decision;
    assert.ok(outcome.state === 'denied' && outcome.why === 'withdrawn');
  });
});

describe('what is kept', () => {
  test('arguments are sealed: no word of them is in the database', async () => {
    const world = testWorld();
    const approvals = world.open();
    const id = idOf(
      await approvals.ask(question({ argumentsText: '{"command":"hunter2-marker"}', mode: 'pending' })),
    );
    const row = world.database.prepare('SELECT * FROM approvals').get() ?? {};
    for (const [column, value] of Object.entries(row)) {
      const text = value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : String(value);
      assert.ok(!text.includes('hunter2-marker') && !text.includes('clean the build'), column);
    }
    const content = await approvals.content('home', id);
    assert.equal(content?.argumentsText, '{"command":"hunter2-marker"}');
    assert.equal(content?.excerpt, 'clean the build folder');
    assert.equal(content?.excerptWithheld, null);
  });

  test('a row moved onto another approval does not open', async () => {
    const world = testWorld();
    const approvals = world.open();
    const first = idOf(await approvals.ask(question(PENDING)));
    const second = idOf(await approvals.ask(question({ ...PENDING, subject: { kind: 'tool', tool: 'B' } })));
    world.database
      .prepare(
        'UPDATE approvals SET sealed_content = (SELECT sealed_content FROM approvals WHERE id = ?) WHERE id = ?',
      )
      .run(second, first);
    await assert.rejects(approvals.content('home', first), { code: 'crypto_open_failed' });
  });

  test('arguments are dropped after their time, records later', async () => {
    const world = testWorld();
    const approvals = world.open({ contentKeptMs: 60_000, rowsKeptMs: 120_000 });
    approvals.start('home');
    const id = idOf(await approvals.ask(question(PENDING)));
    await approvals.decide(id, approver('bob'), DENY);
    world.time.advance(90_000);
    await settled();
    assert.equal(await approvals.content('home', id), null);
    const record = await approvals.get('home', id);
    assert.equal(record?.preview, '');
    world.time.advance(60_000);
    await settled();
    assert.equal(await approvals.get('home', id), null);
    approvals.close();
  });

  test('lists are newest first, by state, and only what may be shown', async () => {
    const world = testWorld();
    const approvals = world.open();
    const ids: string[] = [];
    for (let i = 0; i < 7; i += 1) {
      world.time.advance(1);
      ids.unshift(
        idOf(await approvals.ask(question({ ...PENDING, subject: { kind: 'tool', tool: `T${i}` } }))),
      );
    }
    const odd = ({ subject }: { readonly subject: string }): boolean => Number(subject.slice(1)) % 2 === 1;
    const first = await approvals.list({ tailnet: 'home', states: ['pending'] }, { limit: 2 }, odd);
    assert.deepEqual(
      first.items.map(({ id }) => id),
      [ids[1], ids[3]],
    );
    assert.ok(first.nextCursor !== null);
    const second = await approvals.list({ tailnet: 'home' }, { limit: 5, cursor: first.nextCursor }, odd);
    assert.deepEqual(
      second.items.map(({ id }) => id),
      [ids[5]],
    );
    assert.equal((await approvals.list({ tailnet: 'office' }, { limit: 5 })).items.length, 0);
    assert.equal(
      (await approvals.list({ tailnet: 'home', states: ['denied'] }, { limit: 5 })).items.length,
      0,
    );
  });
});
