import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../../test/property-seed.ts';
import type { RouteEntry } from '../../policy/index.ts';
import { pickTargets, type PickedTargets, type Target } from './pick-target.ts';
import { fractionOf, stickyKey } from './sticky.ts';
import { nameOf, seededRandom, target, weightedRoute } from './test-routing.ts';

const ABC = ['a/m', 'b/m', 'c/m'];
const random = seededRandom(1);

/** Pauses by name; what is not named is well. */
function healthOf(pauses: Readonly<Record<string, number>>) {
  const pauseMs = ({ provider, model }: { provider: string; model: string }): number =>
    pauses[`${provider}/${model}`] ?? 0;
  return { pauseMs, isUsable: (subject: { provider: string; model: string }) => pauseMs(subject) === 0 };
}

function pick(
  names: readonly string[],
  route: RouteEntry | null,
  { session = null, pauses = {} }: { session?: string | null; pauses?: Record<string, number> } = {},
): PickedTargets<Target> {
  return pickTargets({
    candidates: names.map(target),
    route,
    health: healthOf(pauses),
    stickyKey: session === null ? null : stickyKey('local:1', session),
    random,
  });
}

const orderOf = (picked: PickedTargets<Target>): string[] => picked.targets.map(nameOf);

test('ordered targets are tried in the order of the document', () => {
  const ordered: RouteEntry = { ...weightedRoute({ 'a/m': 1, 'b/m': 1, 'c/m': 9 }), strategy: 'ordered' };
  for (const route of [null, ordered]) {
    const picked = pick(ABC, route, { session: 's' });
    assert.deepEqual(orderOf(picked), ABC);
    assert.equal(picked.usable, 3);
  }
});

test('targets in trouble come last, the one that may be usable first before the others', () => {
  const picked = pick(ABC, null, { pauses: { 'a/m': 9_000, 'b/m': 1_000 } });
  assert.deepEqual(orderOf(picked), ['c/m', 'b/m', 'a/m']);
  assert.equal(picked.usable, 1);
});

test('where all are in trouble the request is not refused: the first is worth one attempt', () => {
  const picked = pick(ABC, null, { pauses: { 'a/m': 9_000, 'b/m': 1_000, 'c/m': 5_000 } });
  assert.deepEqual(orderOf(picked), ['b/m', 'c/m', 'a/m']);
  assert.equal(picked.usable, 0);
  assert.equal(pick(['a/m'], null, { pauses: { 'a/m': 5 } }).usable, 0);
  assert.deepEqual(pick([], null), { targets: [], usable: 0 });
});

test('a weighted route divides requests by weight, with and without sessions', () => {
  const route = weightedRoute({ 'a/m': 6, 'b/m': 3, 'c/m': 1 });
  const total = 6_000;
  for (const withSession of [true, false]) {
    const first = new Map<string, number>();
    const second = new Map<string, number>();
    for (let i = 0; i < total; i += 1) {
      const [one = '', two = ''] = orderOf(
        pick(ABC, route, { session: withSession ? `session-${i}` : null }),
      );
      first.set(one, (first.get(one) ?? 0) + 1);
      if (one === 'a/m') second.set(two, (second.get(two) ?? 0) + 1);
    }
    const share = (name: string): number => (first.get(name) ?? 0) / total;
    assert.ok(Math.abs(share('a/m') - 0.6) < 0.03, `a has ${share('a/m')}`);
    assert.ok(Math.abs(share('b/m') - 0.3) < 0.03, `b has ${share('b/m')}`);
    assert.ok(Math.abs(share('c/m') - 0.1) < 0.02, `c has ${share('c/m')}`);
    // Without replacement: behind `a`, the others have their shares of what is left.
    const behind = (second.get('b/m') ?? 0) / (first.get('a/m') ?? 1);
    assert.ok(Math.abs(behind - 0.75) < 0.03, `b follows a in ${behind}`);
  }
});

test('a session keeps its target; another caller with the same session id is another session', () => {
  const route = weightedRoute({ 'a/m': 1, 'b/m': 1, 'c/m': 1 });
  const order = orderOf(pick(ABC, route, { session: 's1' }));
  for (let i = 0; i < 20; i += 1) {
    assert.deepEqual(orderOf(pick(ABC.toReversed(), route, { session: 's1' })), order);
  }
  assert.notEqual(stickyKey('local:1', '2s'), stickyKey('local:12', 's'));
  assert.equal(stickyKey('local:1', null), null);
});

test('`sticky: false` draws anew for each request', () => {
  const route = weightedRoute({ 'a/m': 1, 'b/m': 1 }, false);
  const firsts = new Set(
    Array.from({ length: 100 }, () => orderOf(pick(['a/m', 'b/m'], route, { session: 's' }))[0]),
  );
  assert.equal(firsts.size, 2);
});

test('a lost target moves its own sessions only, and they come back with it', () => {
  const names = ['a/m', 'b/m', 'c/m', 'd/m'];
  fc.assert(
    fc.property(
      fc.string(),
      fc.array(fc.double({ min: 0.01, max: 1000, noNaN: true }), { minLength: 4, maxLength: 4 }),
      fc.constantFrom(...names),
      (session, weights, lost) => {
        const route = weightedRoute(Object.fromEntries(names.map((name, i) => [name, weights[i] ?? 1])));
        const before = orderOf(pick(names, route, { session }));
        const rest = before.filter((name) => name !== lost);
        assert.deepEqual(orderOf(pick(names, route, { session, pauses: { [lost]: 1 } })), [...rest, lost]);
        assert.deepEqual(
          orderOf(
            pick(
              names.filter((name) => name !== lost),
              route,
              { session },
            ),
          ),
          rest,
        );
      },
    ),
  );
});

test('more weight takes sessions from others and gives none away', () => {
  const names = ['a/m', 'b/m', 'c/m'];
  for (let i = 0; i < 500; i += 1) {
    const session = `s${i}`;
    const [before] = orderOf(pick(names, weightedRoute({ 'a/m': 1, 'b/m': 1, 'c/m': 1 }), { session }));
    const [after] = orderOf(pick(names, weightedRoute({ 'a/m': 4, 'b/m': 1, 'c/m': 1 }), { session }));
    assert.ok(after === before || after === 'a/m');
  }
});

test('a fraction is never 0 or 1, whose draws would be none', () => {
  assert.ok(fractionOf(new Uint8Array(7)) > 0);
  assert.ok(fractionOf(new Uint8Array(7).fill(0xff)) < 1);
});
