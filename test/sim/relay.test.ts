/**
 * The relay under clients that come, go, move between tailnets and read at their own pace, by a seed. A
 * failure prints it; `POSTERN_SIM_SEED` repeats it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemRandom } from '../../src/base/random.ts';
import { DEFAULT_RELAY_LIMITS } from '../../src/tailnet/derp/server/relay-limits.ts';
import { RelayHub } from '../../src/tailnet/derp/server/relay-hub.ts';
import { TestClient, VirtualClock } from '../../src/tailnet/derp/server/test-client.ts';
import { seededNumbers } from './network.ts';

const STEPS = 6000;
const CLIENTS_MAX = 24;
const TAILNETS = ['a', 'b', 'c'];
const TOTAL_MAX_BYTES = 60_000;

interface Live {
  readonly client: TestClient;
  /** Takes whatever comes at once. */
  readonly isFast: boolean;
  tailnets: readonly string[];
  /** The numbers of packets that a fast reader is still to get, by sender. */
  readonly due: Map<string, number[]>;
  readonly lastOf: Map<string, number>;
}

for (const seed of process.env['POSTERN_SIM_SEED']?.split(',').map(Number) ?? [1, 2, 3]) {
  test(`no packet crosses tailnets, order holds, fast readers lose nothing, memory is bounded (seed ${seed})`, () => {
    run(seed);
  });
}

function run(seed: number): void {
  const random = seededNumbers(seed);
  const pick = <Item>(items: readonly Item[]): Item | undefined => items[Math.floor(random() * items.length)];
  const live = new Map<string, Live>();
  const clock = new VirtualClock();
  const hub = new RelayHub({
    admission: {
      admit(nodeKey) {
        const found = live.get(nodeKey);
        return found === undefined ? null : { tailnets: found.tailnets };
      },
    },
    clock,
    random: systemRandom,
    limits: {
      ...DEFAULT_RELAY_LIMITS,
      clientQueueMaxBytes: 8000,
      tailnetQueueMaxBytes: 30_000,
      totalQueueMaxBytes: TOTAL_MAX_BYTES,
      writeStallMs: 30_000,
    },
    rate: null,
  });
  const someTailnets = (): string[] => {
    const chosen = TAILNETS.filter(() => random() < 0.45);
    return chosen.length > 0 ? chosen : ['a'];
  };
  const share = (one: Live, other: Live): boolean => one.tailnets.some((id) => other.tailnets.includes(id));
  let number = 0;
  let carried = 0;

  const join = (): void => {
    const client = new TestClient(hub);
    const joined: Live = {
      client,
      isFast: random() < 0.5,
      tailnets: someTailnets(),
      due: new Map(),
      lastOf: new Map(),
    };
    live.set(client.hex, joined);
    client.logIn();
    if (!joined.isFast) client.roomBytes = 1;
  };

  /** What has come, against what may have. */
  const look = (at: Live): void => {
    for (const line of at.client.told()) {
      const [kind, from = '', text = ''] = line.split(' ');
      if (kind !== 'packet') continue;
      carried += 1;
      const got = parseInt(text, 10);
      assert.ok(got > (at.lastOf.get(from) ?? -1), 'packets of a sender come in order and once');
      at.lastOf.set(from, got);
      assert.equal(text.split(':')[1], '1', 'sender and receiver shared a tailnet when it was sent');
      if (at.isFast) assert.equal(at.due.get(from)?.shift(), got, 'a fast reader misses nothing');
    }
  };

  const send = (): void => {
    const [from, to] = [pick([...live.values()]), pick([...live.values()])];
    if (from === undefined || to === undefined || !from.client.isOpen) return;
    const mayPass = share(from, to);
    for (let i = 1 + Math.floor(random() * 4); i > 0; i -= 1) {
      number += 1;
      if (to.isFast && mayPass) {
        const due = to.due.get(from.client.short) ?? [];
        due.push(number);
        to.due.set(from.client.short, due);
      }
      const padding = 'x'.repeat(Math.floor(random() * 1200));
      from.client.send(to.client, `${number}:${mayPass ? 1 : 0}:${padding}`);
    }
    look(to);
  };

  for (let step = 0; step < STEPS; step += 1) {
    const what = random();
    const one = pick([...live.values()]);
    if (what < 0.03 && live.size < CLIENTS_MAX) join();
    else if (what < 0.8) send();
    else if (one === undefined) continue;
    else if (what < 0.95) {
      if (!one.isFast) one.client.read(Math.floor(random() * 5000));
      look(one);
    } else if (what < 0.96) {
      live.delete(one.client.hex);
      if (random() < 0.5) hub.recheck(one.client.hex);
      else one.client.session?.end('closed');
      assert.equal(one.client.isOpen, false);
    } else if (what < 0.97) {
      one.tailnets = someTailnets();
      hub.recheck(one.client.hex);
    } else {
      clock.ms += 5000;
      hub.sweep();
      for (const [hex, { client }] of live) if (!client.isOpen) live.delete(hex);
    }
    assert.ok(hub.snapshot().queuedBytes <= TOTAL_MAX_BYTES);
  }
  for (const at of live.values()) {
    look(at);
    assert.equal([...at.due.values()].flat().length, 0, 'nothing is due');
    at.client.session?.end('closed');
  }
  assert.ok(carried > 1000, 'the run has carried packets');
  assert.deepEqual([hub.isEmpty, hub.snapshot().queuedBytes], [true, 0]);
}
