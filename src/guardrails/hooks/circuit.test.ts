import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Circuit } from './circuit.ts';
import { bound, hooksFor, requestOf, says, startHook, stoppedClock } from './hook-server.fixture.ts';

const random = { bytes: (count: number) => new Uint8Array(count) };
const failure = (principal: string, bodyCanCause = true) => ({ principal, bodyCanCause });

describe('circuits (issue: circuit breaker)', () => {
  test('open after so many failures in a row, let one probe through, and close when it succeeds', () => {
    const clock = stoppedClock();
    const circuit = new Circuit({ clock, random });
    assert.equal(circuit.failed(failure('a'), 3), false);
    circuit.succeeded();
    for (const principal of ['a', 'b']) assert.equal(circuit.failed(failure(principal), 3), false);
    assert.equal(circuit.failed(failure('a'), 3), true);
    assert.equal(circuit.state, 'open');
    assert.equal(circuit.admit(), false);
    clock.move(7_500);
    assert.equal(circuit.state, 'half_open');
    assert.equal(circuit.admit(), true);
    assert.equal(circuit.admit(), false, 'one probe at a time');
    assert.equal(circuit.succeeded(), true);
    assert.equal(circuit.state, 'closed');
    assert.equal(circuit.retryAt, null);
  });

  test('a probe that fails doubles the pause, up to five minutes; one that is abandoned lets the next try', () => {
    const clock = stoppedClock();
    const circuit = new Circuit({ clock, random });
    circuit.failed(failure('a', false), 1);
    const pauses: number[] = [];
    for (let i = 0; i < 8; i += 1) {
      pauses.push((circuit.retryAt ?? 0) - clock.now());
      clock.move(pauses.at(-1) ?? 0);
      assert.equal(circuit.admit(), true);
      circuit.abandoned();
      assert.equal(circuit.admit(), true);
      circuit.failed(failure('a'), 1);
    }
    assert.deepEqual(pauses, [7_500, 15_000, 30_000, 60_000, 120_000, 225_000, 225_000, 225_000]);
  });

  test('one caller cannot open it by bodies that the hook chokes on', () => {
    const circuit = new Circuit({ clock: stoppedClock(), random });
    for (let i = 0; i < 100; i += 1) assert.equal(circuit.failed(failure('mallory'), 3), false);
    assert.equal(circuit.admit(), true);
    assert.equal(circuit.failed(failure('alice'), 3), true);
  });

  test('while open, nothing is sent and the fail policy holds at once', async (t) => {
    const { hooks, log } = hooksFor(t);
    const gone = await startHook(t, says({}));
    const bad = { url: gone.url, breakAfter: 2 } as const;
    await hooks.preRequest([bound(bad)], requestOf({ principal: 'alice' }));
    await hooks.preRequest([bound(bad)], requestOf({ principal: 'bob' }));
    const open = await hooks.preRequest([bound(bad)], requestOf());
    assert.equal(open.action, 'allow');
    assert.equal(open.calls[0]?.fault, 'hook_circuit_open');
    const closed = await hooks.preRequest([bound({ ...bad, failPolicy: 'fail_closed' })], requestOf());
    assert.ok(closed.action === 'unavailable' && closed.fault === 'hook_circuit_open');
    assert.equal(gone.calls.length, 2);
    assert.equal(hooks.stats().hooks[0]?.circuit, 'open');
    assert.equal(log.length, 1);
    const moved = await startHook(t, says({ action: 'block' }));
    const there = await hooks.preRequest([bound({ ...bad, url: moved.url })], requestOf());
    assert.equal(there.action, 'block', 'another address has another circuit');
  });

  test('a hook that cannot be connected to opens it whoever asks', async (t) => {
    const { hooks } = hooksFor(t);
    const refused = bound({ url: 'http://127.0.0.1:1/', breakAfter: 2 });
    for (let i = 0; i < 3; i += 1) await hooks.preRequest([refused], requestOf());
    assert.deepEqual(hooks.stats().hooks[0]?.faults, { hook_unreachable: 2, hook_circuit_open: 1 });
  });
});
