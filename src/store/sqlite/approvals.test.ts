import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ApprovalAsk, ApprovalRow } from '../approval-shapes.ts';
import * as approvals from './approvals.ts';
import { NOON, openTestStore, withDatabase, withFolder, withStore } from './rows.fixture.ts';

const USE: ApprovalAsk = { uses: true, pendingPerPrincipalMax: 10, pendingMax: 20 };

function row(id: string, given: Partial<ApprovalRow> = {}): ApprovalRow {
  return {
    id,
    tailnet: 'home',
    state: 'pending',
    revision: 1,
    binding: 'b1',
    principal: 'local:1000',
    label: 'alice',
    deviceId: null,
    tokenId: 'tok_1',
    agent: null,
    sessionId: 's1',
    subjectKind: 'budget',
    subject: 'user:alice',
    amount: 5_000_000_000,
    unit: 'usd',
    entry: 'default',
    terms: {
      approvers: ['group:sre'],
      quorum: 1,
      selfApprove: false,
      holdMs: 1,
      pendingMs: 2,
      scopes: ['once'],
      maxDurationMs: 3,
      allowEdit: true,
    },
    rule: null,
    requestId: null,
    provider: null,
    model: null,
    held: true,
    sealedPreview: Uint8Array.of(1),
    sealedContent: Uint8Array.of(2, 3),
    sealedEdit: null,
    edits: 0,
    votes: [],
    createdAt: NOON,
    expiresAt: NOON + 1_000,
    decidedAt: null,
    reason: null,
    once: false,
    sessionBound: false,
    validUntil: null,
    usedAt: null,
    ...given,
  };
}

const approved = (id: string, given: Partial<ApprovalRow> = {}): ApprovalRow =>
  row(id, {
    state: 'approved',
    revision: 2,
    decidedAt: NOON,
    once: true,
    validUntil: NOON + 1_000,
    ...given,
  });

test('an approval is stored and read as it was given, through the threads', async () => {
  await withStore(async (store) => {
    const first = row('apr_1');
    assert.deepEqual(await store.askApproval(first, USE), { kind: 'opened', row: first, lapsed: null });
    assert.deepEqual(await store.getApproval('home', 'apr_1'), first);
    assert.equal(await store.getApproval('office', 'apr_1'), null);
    assert.deepEqual(await store.settledApprovals('home', ['apr_1', 'apr_2']), [{ id: 'apr_2', row: null }]);
    assert.equal(await store.replaceApproval(approved('apr_1'), 1), true);
    assert.equal((await store.settledApprovals('home', ['apr_1'])).length, 1);
    assert.deepEqual((await store.listApprovals({ tailnet: 'home' }, { limit: 10 })).items, [
      approved('apr_1'),
    ]);
    const use = { tailnet: 'home', binding: 'b1', sessionId: null, now: NOON };
    const uses = await Promise.all([store.useApproval(use), store.useApproval(use), store.useApproval(use)]);
    assert.deepEqual(
      uses.map((used) => used?.state ?? null),
      ['used', null, null],
    );
  });
});

test('a row changes only from the revision that was read, and who asked for what never', () => {
  withDatabase((database) => {
    approvals.askApproval(database, row('apr_1'), USE);
    const forged = approved('apr_1', { principal: 'eve', binding: 'b2', subject: 'user:eve', deviceId: 'd' });
    assert.equal(approvals.replaceApproval(database, forged, 7), false);
    assert.equal(approvals.replaceApproval(database, forged, 1), true);
    assert.deepEqual(approvals.getApproval(database, 'home', 'apr_1'), approved('apr_1'));
  });
});

test('one pending row for one binding in one tailnet; a late one makes room', () => {
  withDatabase((database) => {
    approvals.askApproval(database, row('apr_1'), USE);
    assert.equal(approvals.askApproval(database, row('apr_2'), USE).kind, 'joined');
    assert.equal(approvals.askApproval(database, row('apr_3', { tailnet: 'office' }), USE).kind, 'opened');
    const later = approvals.askApproval(database, row('apr_4', { createdAt: NOON + 1_000 }), USE);
    assert.ok(later.kind === 'opened' && later.lapsed?.id === 'apr_1' && later.lapsed.state === 'expired');
  });
});

test('room is counted for each principal and in all, in the same transaction', () => {
  withDatabase((database) => {
    const tight = { ...USE, pendingPerPrincipalMax: 1, pendingMax: 2 };
    const ask = (id: string, principal: string): string =>
      approvals.askApproval(database, row(id, { principal, binding: id }), tight).kind;
    assert.deepEqual(
      [ask('1', 'a'), ask('2', 'a'), ask('3', 'b'), ask('4', 'c')],
      ['opened', 'too_many', 'opened', 'too_many'],
    );
  });
});

test('what stands for many calls is used before a single use; telling uses nothing', () => {
  withDatabase((database) => {
    for (const [id, once] of [
      ['apr_1', true],
      ['apr_2', false],
    ] as const) {
      approvals.askApproval(database, row(id, { binding: id }), USE);
      approvals.replaceApproval(database, approved(id, { once }), 1);
      database.exec("UPDATE approvals SET binding = 'b1'");
    }
    assert.equal(approvals.askApproval(database, row('apr_3'), { ...USE, uses: false }).kind, 'stands');
    const use = { tailnet: 'home', binding: 'b1', sessionId: null, now: NOON };
    for (let i = 0; i < 3; i += 1) assert.equal(approvals.useApproval(database, use)?.id, 'apr_2');
    assert.equal(approvals.useApproval(database, { ...use, now: NOON + 1_000 }), null);
  });
});

test('a session-bound approval needs its session, and none is not one', () => {
  withDatabase((database) => {
    approvals.askApproval(database, row('apr_1', { sessionId: null }), USE);
    approvals.replaceApproval(database, approved('apr_1', { sessionBound: true, once: false }), 1);
    const use = { tailnet: 'home', id: 'apr_1', now: NOON };
    assert.equal(approvals.useApproval(database, { ...use, sessionId: null }), null);
    database.exec("UPDATE approvals SET session_id = 's1'");
    assert.equal(approvals.useApproval(database, { ...use, sessionId: null }), null);
    assert.equal(approvals.useApproval(database, { ...use, sessionId: 's2' }), null);
    assert.equal(approvals.useApproval(database, { ...use, sessionId: 's1' })?.id, 'apr_1');
  });
});

test('texts are forgotten before rows, and neither while something waits or stands', () => {
  withDatabase((database) => {
    approvals.askApproval(database, row('waits'), USE);
    approvals.askApproval(database, row('stands', { binding: 'b2' }), USE);
    approvals.replaceApproval(database, approved('stands', { validUntil: NOON + 500 }), 1);
    approvals.askApproval(database, row('ended', { binding: 'b3' }), USE);
    approvals.replaceApproval(database, row('ended', { state: 'denied', revision: 2, decidedAt: NOON }), 1);
    const kept = (id: string): boolean | null => {
      const found = approvals.getApproval(database, 'home', id);
      return found === null ? null : found.sealedContent !== null;
    };
    const forget = (contentBefore: number, rowsBefore: number): (boolean | null)[] => {
      approvals.forgetApprovals(database, 'home', { contentBefore, rowsBefore });
      return ['waits', 'stands', 'ended'].map(kept);
    };
    assert.deepEqual(forget(NOON, NOON), [true, true, true]);
    assert.deepEqual(forget(NOON + 1, NOON), [true, true, false]);
    assert.deepEqual(forget(NOON + 501, NOON + 1), [true, false, null]);
    assert.deepEqual(forget(NOON + 10_000, NOON + 10_000), [true, null, null]);
  });
});

test('of two processes over one file that use one approval at once, one gets it', async () => {
  await withFolder(async (folder) => {
    const file = join(folder, 'postern.db');
    const stores = [await openTestStore(file), await openTestStore(file)];
    const [first] = stores;
    try {
      for (let round = 0; round < 10; round += 1) {
        const id = `apr_${round}`;
        await first?.askApproval(row(id, { binding: id }), USE);
        await first?.replaceApproval(approved(id), 1);
        const use = { tailnet: 'home', id, sessionId: null, now: NOON };
        const uses = await Promise.all([...stores, ...stores].map((store) => store.useApproval(use)));
        assert.equal(uses.filter((used) => used !== null).length, 1);
      }
    } finally {
      for (const store of stores) await store.close();
    }
  });
});
