import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createEventBus } from './bus.ts';

type Events = { readonly started: { readonly id: string }; readonly finished: { readonly cost: number } };

function never(error: unknown): void {
  assert.fail(`a listener threw: ${String(error)}`);
}

describe('in-process events', () => {
  test('a listener of one name gets that name only, and one of everything gets all, in order', () => {
    const bus = createEventBus<Events>(never);
    const costs: number[] = [];
    const names: string[] = [];
    bus.on('finished', ({ cost }) => costs.push(cost));
    bus.subscribe((name) => names.push(name));
    bus.publish('started', { id: 'a' });
    bus.publish('finished', { cost: 7 });
    assert.deepEqual(costs, [7]);
    assert.deepEqual(names, ['started', 'finished']);
  });

  test('an event that nobody listens to need not be built: counting the finished leaves the started out', () => {
    const bus = createEventBus<Events>(never);
    const endCounting = bus.on('finished', () => undefined);
    assert.equal(bus.hasListenersFor('started'), false);
    assert.equal(bus.hasListenersFor('finished'), true);
    const endViewing = bus.subscribe(() => undefined);
    assert.equal(bus.hasListenersFor('started'), true);
    endViewing();
    assert.equal(bus.hasListenersFor('started'), false);
    endCounting();
    assert.equal(bus.hasListenersFor('finished'), false);
  });

  test('one listener twice is two subscriptions, and ending one twice ends no other', () => {
    const bus = createEventBus<Events>(never);
    let calls = 0;
    const listener = (): void => void (calls += 1);
    const endFirst = bus.on('finished', listener);
    bus.on('finished', listener);
    endFirst();
    endFirst();
    bus.publish('finished', { cost: 1 });
    assert.equal(calls, 1);
    assert.equal(bus.hasListenersFor('finished'), true);
  });

  test('a subscription that ended and one made since do not meet', () => {
    const bus = createEventBus<Events>(never);
    const endFirst = bus.on('finished', () => undefined);
    endFirst();
    bus.on('finished', () => undefined);
    endFirst();
    assert.equal(bus.hasListenersFor('finished'), true);
  });

  test('a listener that throws is reported, and the others still hear', () => {
    const errors: unknown[] = [];
    const bus = createEventBus<Events>((error) => errors.push(error));
    const heard: string[] = [];
    bus.on('finished', () => {
      throw new Error('first');
    });
    bus.on('finished', () => heard.push('named'));
    bus.subscribe(() => {
      throw new Error('second');
    });
    bus.subscribe(() => heard.push('all'));
    bus.publish('finished', { cost: 1 });
    assert.deepEqual(heard, ['named', 'all']);
    assert.equal(errors.length, 2);
  });
});
