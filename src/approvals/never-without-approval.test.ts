/**
 * The machine under random asks, decisions, expiries, withdrawals, clock jumps, restarts and crashes
 * between a step and its answer, in two processes over one store. Whatever happens:
 * nothing runs without the approval of another person, twice where it was approved once, after its
 * time, in another session, or for another caller, tool or arguments.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../test/property-seed.ts';
import type { ApprovalStore } from '../store/approval-shapes.ts';
import type { ApprovalAnswer, ApprovalQuestion, ApprovalRecord, ApprovalScope } from './approval.ts';
import type { Approvals } from './approvals.ts';
import { approver, entry, question, settled, testWorld } from './test-approvals.ts';

const CALLERS = [
  { principal: 'alice', label: 'alice@example.com', deviceId: 'd1', tokenId: null },
  { principal: 'alice', label: 'alice@example.com', deviceId: 'd2', tokenId: null },
  { principal: 'alice', label: 'alice@example.com', deviceId: 'd1', tokenId: 'tok_1' },
  { principal: 'bob', label: 'bob@example.com', deviceId: 'd1', tokenId: null },
] as const;
const TOOLS = ['Bash', 'Write'] as const;
const ARGUMENTS = ['{"a":1}', '{"a":2}'] as const;
const SESSIONS = ['s1', 's2', null] as const;
const PEOPLE = ['alice', 'bob', 'carol', 'dave', 'eve'] as const;
const SCOPES: readonly ApprovalScope[] = ['once', 'session', 'time'];

const nth = (length: number): fc.Arbitrary<number> => fc.nat(length - 1);
/** Mostly the first, so that questions meet again. */
const mostlyFirst = (length: number): fc.Arbitrary<number> =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, nth(length));
const Step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('ask' as const),
      caller: mostlyFirst(CALLERS.length),
      tool: mostlyFirst(TOOLS.length),
      args: mostlyFirst(ARGUMENTS.length),
      session: mostlyFirst(SESSIONS.length),
      hold: fc.boolean(),
      process: nth(2),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('decide' as const),
      which: mostlyFirst(4),
      by: nth(PEOPLE.length),
      deny: nth(5).map((n) => n === 0),
      scope: nth(SCOPES.length),
      edit: nth(5).map((n) => n === 0),
      process: nth(2),
    }),
  },
  fc.record({ do: fc.constant('cancel' as const), which: mostlyFirst(4) }),
  fc.record({ do: fc.constant('withdraw' as const), which: mostlyFirst(4), process: nth(2) }),
  fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(1_000, 20_000, 70_000, 400_000) }),
  fc.record({ do: fc.constant('jump' as const), ms: fc.constantFrom(-300_000, 90_000) }),
  fc.record({ do: fc.constant('crash' as const), process: nth(2) }),
  fc.record({ do: fc.constant('lose' as const), process: nth(2) }),
);

/** Something that ran. */
interface Run {
  readonly approvalId: string;
  readonly question: ApprovalQuestion;
}

/** A use that the store gave. When a process hears of it is another matter: a step may come between. */
interface Use {
  readonly approvalId: string;
  readonly at: number;
}

/** What one person allowed. */
interface Granted {
  readonly record: ApprovalRecord;
  readonly by: readonly string[];
}

class Model {
  readonly world = testWorld();
  readonly runs: Run[] = [];
  readonly uses: Use[] = [];
  readonly asked: { readonly id: string; readonly question: ApprovalQuestion }[] = [];
  readonly cancels: (() => void)[] = [];
  readonly granted = new Map<string, Granted>();
  /** The next answer of the store is lost: the change is made, and the process never hears of it. */
  readonly losing = [false, false];
  readonly processes: Approvals[] = [0, 1].map((index) => this.start(index));

  start(index: number): Approvals {
    // An approver who asks is still not their own approver.
    this.world.approvers.add('alice');
    const lossy = (): ApprovalStore => {
      const maybeLost = <Args extends readonly unknown[], Value>(call: (...args: Args) => Promise<Value>) => {
        return async (...args: Args): Promise<Value> => {
          const value = await call(...args);
          if (this.losing[index] !== true) return value;
          this.losing[index] = false;
          return new Promise<Value>(() => undefined);
        };
      };
      const { store } = this.world;
      return {
        ...store,
        askApproval: maybeLost(async (row, ask) => {
          const at = this.world.time.clock.now();
          const asked = await store.askApproval(row, ask);
          if (asked.kind === 'used') this.uses.push({ approvalId: asked.row.id, at });
          return asked;
        }),
        useApproval: maybeLost(async (use) => {
          const at = this.world.time.clock.now();
          const used = await store.useApproval(use);
          if (used !== null) this.uses.push({ approvalId: used.id, at });
          return used;
        }),
        replaceApproval: maybeLost(store.replaceApproval),
      };
    };
    const opened = this.world.open({ store: lossy() });
    opened.start('home');
    return opened;
  }

  /** Nothing that follows comes from the old process: its timers and promises are gone with it. */
  crash(index: number): void {
    this.processes[index]?.close();
    this.losing[index] = false;
    this.processes[index] = this.start(index);
  }

  async took(asked: ApprovalQuestion, answer: ApprovalAnswer): Promise<void> {
    if (answer.state === 'approved') this.ran(answer.approvalId, asked);
    if (answer.state === 'pending') this.asked.push({ id: answer.id, question: asked });
    if (answer.state !== 'waiting') return;
    this.asked.push({ id: answer.id, question: asked });
    this.cancels.push(answer.cancel);
    void answer.decision.then((decision) => {
      if (decision.state === 'approved') this.ran(decision.approvalId, asked);
    });
  }

  ran(approvalId: string, asked: ApprovalQuestion): void {
    this.runs.push({ approvalId, question: asked });
  }
}

async function apply(
  model: Model,
  step: typeof Step extends fc.Arbitrary<infer Value> ? Value : never,
): Promise<void> {
  const { world, processes } = model;
  switch (step.do) {
    case 'ask': {
      const text = ARGUMENTS[step.args] ?? '{}';
      const asked = question({
        requester: { ...CALLERS[step.caller], sessionId: SESSIONS[step.session] ?? null },
        subject: { kind: 'tool', tool: TOOLS[step.tool] ?? '' },
        argumentsText: text,
        arguments: JSON.parse(text),
        entry: entry({ quorum: step.tool + 1, holdMs: 60_000, pendingMs: 300_000, maxDurationMs: 200_000 }),
        mode: step.hold ? 'hold' : 'pending',
      });
      void processes[step.process]?.ask(asked).then((answer) => model.took(asked, answer));
      break;
    }
    case 'decide': {
      const target = model.asked.at(-1 - step.which);
      if (target === undefined) break;
      const who = approver(PEOPLE[step.by] ?? '');
      const record = await world.open().get('home', target.id);
      const verdict = step.deny
        ? ({ verdict: 'deny', reason: null } as const)
        : ({
            verdict: 'approve',
            scope: SCOPES[step.scope] ?? 'once',
            seenEdits: record?.edits ?? 0,
            reason: null,
            ...(step.edit ? { edited: { a: 'edited' } } : {}),
          } as const);
      void processes[step.process]?.decide(target.id, who, verdict).catch(() => undefined);
      break;
    }
    case 'cancel':
      model.cancels.at(-1 - step.which)?.();
      break;
    case 'withdraw': {
      const target = model.asked.at(-1 - step.which);
      if (target !== undefined) void processes[step.process]?.withdrawOne('home', target.id, 'withdrawn');
      break;
    }
    case 'advance':
      world.time.advance(step.ms);
      break;
    case 'jump':
      world.time.jump(step.ms);
      break;
    case 'crash':
      model.crash(step.process);
      break;
    case 'lose':
    default:
      model.losing[step.process] = true;
  }
}

/** What was approved, as the store says after each step; once seen it is not unseen. */
async function noteGrants(model: Model): Promise<void> {
  const reader = model.world.open();
  const { items } = await reader.list({ tailnet: 'home', states: ['approved', 'used'] }, { limit: 500 });
  for (const record of items) {
    const by = record.votes.filter(({ verdict }) => verdict === 'approve').map(({ principal }) => principal);
    model.granted.set(record.id, { record, by });
  }
}

function check({ runs, uses, granted }: Model): void {
  for (const { approvalId, at } of uses)
    assert.ok(at < (granted.get(approvalId)?.record.validUntil ?? 0), 'used after its time');
  const times = new Map<string, number>();
  for (const run of runs) {
    const grant = granted.get(run.approvalId);
    assert.ok(grant !== undefined, 'ran without an approval');
    const { record, by } = grant;
    const { requester, subject, arguments: value } = run.question;
    assert.equal(record.principal, requester.principal);
    assert.equal(record.deviceId, requester.deviceId);
    assert.equal(record.tokenId, requester.tokenId);
    assert.ok(subject.kind === 'tool' && record.subject === subject.tool);
    assert.ok(record.preview === '' || record.preview === JSON.stringify(value));
    assert.ok(new Set(by).size >= record.terms.quorum, 'ran with too few approvals');
    assert.ok(!by.includes(requester.principal), 'ran by self-approval');
    assert.ok(
      by.every((who) => who !== 'eve'),
      'ran by somebody who is no approver',
    );
    if (record.sessionBound) assert.equal(record.sessionId, requester.sessionId);
    const ran = (times.get(run.approvalId) ?? 0) + 1;
    times.set(run.approvalId, ran);
    assert.ok(ran <= uses.filter(({ approvalId }) => approvalId === record.id).length, 'ran without a use');
    if (record.once) assert.equal(ran, 1, 'ran twice for one approval');
  }
}

test('never without approval, never twice for once, never for others (issue "Approvals", Proof)', async () => {
  let ran = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(Step, { minLength: 5, maxLength: 50, size: 'max' }), async (steps) => {
      const model = new Model();
      for (const step of steps) {
        await apply(model, step);
        // Not to its end each time: steps overlap.
        if (step.do !== 'ask' && step.do !== 'decide') await settled();
        else await Promise.resolve();
        await noteGrants(model);
      }
      await settled();
      await noteGrants(model);
      check(model);
      ran += model.runs.length;
      for (const process of model.processes) process.close();
      model.world.database.close();
    }),
    { numRuns: 120 },
  );
  assert.ok(ran > 100, `only ${ran} runs: the test no longer reaches what it checks`);
});
