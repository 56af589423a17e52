import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import '../../../../test/property-seed.ts';
import { createPooledRandom, type Random } from '../../../base/random.ts';
import { X25519PrivateKey } from '../../../crypto/index.ts';
import { formatIpPort, type IpPort, parseIpPort } from '../../../wire/ip-port.ts';
import { type PathAction, PathFinder } from './path-finder.ts';
import { createUdpPath, isBetterPath, isReachable } from './path.ts';

function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return createPooledRandom((target) => {
    for (let index = 0; index < target.length; index += 1) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      target[index] = state >>> 24;
    }
  });
}

function at(text: string): IpPort {
  const found = parseIpPort(text);
  assert.ok(found !== null, text);
  return found;
}

interface Side {
  readonly finder: PathFinder;
  readonly nodeKey: string;
  readonly disco: string;
  /** Where it is seen from; null: no UDP gets out. */
  address: string | null;
  readonly events: string[];
}

/** Two nodes, a network that takes `delayMs` by UDP and 40 ms by the relay, and one clock. */
class World {
  now = 1000;
  delayMs = 10;
  /** Addresses that a datagram does not get to. */
  readonly blocked = new Set<string>();
  readonly sides: readonly [Side, Side];
  readonly #queue: { readonly at: number; readonly run: () => void }[] = [];

  constructor(seed: number, addresses: readonly [string | null, string | null]) {
    const random = seededRandom(seed);
    const make = (address: string | null): Side => {
      const node = X25519PrivateKey.generate(random);
      const disco = X25519PrivateKey.generate(random);
      const finder = new PathFinder({ discoKey: disco, random }, node.publicKey.bytes);
      const nodeKey = node.publicKey.bytes.toString('hex');
      return { finder, nodeKey, disco: disco.publicKey.bytes.toString('hex'), address, events: [] };
    };
    this.sides = [make(addresses[0]), make(addresses[1])];
    for (const [side, other] of this.#pairs()) this.meet(side, other, []);
  }

  #pairs(): readonly (readonly [Side, Side])[] {
    const [a, b] = this.sides;
    return [
      [a, b],
      [b, a],
    ];
  }

  meet(side: Side, other: Side, endpoints: readonly string[]): void {
    side.finder.setPeer(
      {
        nodeKey: other.nodeKey,
        discoKey: other.disco,
        homeDerp: 1,
        endpoints: endpoints.map(at),
        isWireguardOnly: false,
      },
      this.now,
    );
  }

  perform(side: Side, actions: readonly PathAction[]): void {
    const other = side === this.sides[0] ? this.sides[1] : this.sides[0];
    for (const action of actions) {
      switch (action.type) {
        case 'send_udp': {
          const { address } = side;
          if (address === null || action.to.key !== other.address || this.blocked.has(action.to.key)) break;
          this.#later(this.delayMs, () => {
            const source = { kind: 'udp', address: at(address) } as const;
            this.perform(other, other.finder.receive(action.datagram, source, this.now));
          });
          break;
        }
        case 'send_derp':
          this.#later(40, () => {
            const source = { kind: 'derp', region: action.region, peer: side.nodeKey } as const;
            this.perform(other, other.finder.receive(action.datagram, source, this.now));
          });
          break;
        case 'path':
          side.events.push(action.path?.key ?? 'relay');
          break;
        case 'pong':
          side.events.push(`pong ${action.path?.key ?? 'relay'} ${action.latencyMs}`);
          break;
        case 'want_endpoints':
          if (side.address !== null)
            this.perform(side, side.finder.setEndpoints([at(side.address)], this.now));
          break;
      }
    }
  }

  #later(delayMs: number, run: () => void): void {
    this.#queue.push({ at: this.now + delayMs, run });
  }

  /** Runs for `ms`, while both send a packet every `everyMs`. */
  run(ms: number, everyMs = 200): void {
    const end = this.now + ms;
    for (; this.now < end; this.now += 10) {
      for (const [side, other] of this.#pairs()) {
        if (this.now % everyMs === 0) side.finder.route(other.nodeKey, this.now);
        if (side.finder.nextWake() <= this.now) this.perform(side, side.finder.tick(this.now));
      }
      for (let index = 0; index < this.#queue.length;) {
        const item = this.#queue[index];
        if (item !== undefined && item.at <= this.now) {
          this.#queue.splice(index, 1);
          item.run();
        } else index += 1;
      }
    }
  }

  route(): { udp: string | null; derp: number } {
    const [a, b] = this.sides;
    const route = a.finder.route(b.nodeKey, this.now);
    return { udp: route?.udp?.key ?? null, derp: route?.derp ?? -1 };
  }
}

const A = '192.0.10.1:41641';
const B = '192.0.10.2:41641';

describe('the path finder', () => {
  test('packets begin through the relay and go directly once a ping was answered', () => {
    const world = new World(1, [A, B]);
    assert.deepEqual(world.route(), { udp: null, derp: 1 });
    world.run(1000);
    assert.deepEqual(world.route(), { udp: B, derp: 0 });
    assert.deepEqual(world.sides[0].events, [B]);
  });

  test('where UDP does not pass it stays with the relay', () => {
    const world = new World(2, [A, B]);
    world.blocked.add(A).add(B);
    world.run(30_000);
    assert.deepEqual(world.route(), { udp: null, derp: 1 });
  });

  test('a path that falls silent is doubted after 6.5 s, given up later, and found again', () => {
    const world = new World(3, [A, B]);
    world.run(2000);
    world.blocked.add(A).add(B);
    world.run(10_000);
    assert.deepEqual(world.route(), { udp: B, derp: 1 }, 'both ways');
    world.run(20_000);
    assert.deepEqual(world.route(), { udp: null, derp: 1 });
    world.blocked.clear();
    world.run(6000);
    assert.deepEqual(world.route(), { udp: B, derp: 0 });
  });

  test('a NAT that gives another port is followed', () => {
    const world = new World(4, [A, B]);
    world.run(2000);
    const [, b] = world.sides;
    b.address = '192.0.10.2:5555';
    world.run(15_000);
    assert.deepEqual(world.route(), { udp: '192.0.10.2:5555', derp: 0 });
  });

  test('an address that the map brings while packets wait for a path is tried at once', () => {
    const world = new World(11, [A, B]);
    const [a, b] = world.sides;
    a.finder.route(b.nodeKey, world.now);
    a.finder.tick(world.now);
    world.now += 10;
    assert.ok(a.finder.nextWake() > world.now, 'the next try of what is known is later');
    world.meet(a, b, ['192.0.10.9:2']);
    assert.equal(a.finder.nextWake(), world.now);
    const pings = a.finder.tick(world.now).filter(({ type }) => type === 'send_udp');
    assert.equal(pings.length, 1);
  });

  test('a change of our own network forgets what was measured, and finds anew', () => {
    const world = new World(5, [A, B]);
    world.run(2000);
    const [a] = world.sides;
    a.address = '192.0.11.1:41641';
    world.perform(a, a.finder.networkChanged(world.now));
    assert.equal(a.events.at(-1), 'relay');
    assert.equal(world.route().derp, 1);
    world.run(2000);
    assert.deepEqual(world.route(), { udp: B, derp: 0 });
  });

  test('a peer that nobody sends to is left in peace', () => {
    const world = new World(6, [A, B]);
    world.run(2000);
    world.run(50_000, Number.MAX_SAFE_INTEGER);
    for (const side of world.sides) assert.equal(side.finder.nextWake(), Infinity);
  });

  test('`ping` answers how: through the relay first, then directly', () => {
    const world = new World(7, [A, B]);
    const [a, b] = world.sides;
    world.perform(a, a.finder.ping(b.nodeKey, world.now));
    world.run(200, Number.MAX_SAFE_INTEGER);
    assert.match(a.events.join(), /pong relay 8\d/);
    world.run(2000);
    world.perform(a, a.finder.ping(b.nodeKey, world.now));
    world.run(200);
    assert.match(a.events.at(-1) ?? '', /^pong 192\.0\.10\.2:41641 /);
  });

  test('a stranger, a forged box, a wrong sender and a call over UDP are dropped and counted', () => {
    const world = new World(8, [A, B]);
    const [a, b] = world.sides;
    const random = seededRandom(99);
    const stranger = new PathFinder(
      { discoKey: X25519PrivateKey.generate(random), random },
      Buffer.from(b.nodeKey, 'hex'),
    );
    stranger.setPeer(
      { nodeKey: a.nodeKey, discoKey: a.disco, homeDerp: 1, endpoints: [at(A)], isWireguardOnly: false },
      0,
    );
    stranger.route(a.nodeKey, 0);
    const sent = stranger.tick(0).find((action) => action.type === 'send_udp');
    assert.ok(sent !== undefined);
    assert.deepEqual(a.finder.receive(sent.datagram, { kind: 'udp', address: at(B) }, 0), []);
    assert.equal(a.finder.drops.unknownSender, 1);
    const honest = b.finder.ping(a.nodeKey, 0).find((action) => action.type === 'send_derp');
    assert.ok(honest !== undefined);
    const altered = Buffer.from(honest.datagram);
    altered[altered.length - 1] = (altered.at(-1) ?? 0) ^ 1;
    a.finder.receive(altered, { kind: 'derp', region: 1, peer: b.nodeKey }, 0);
    a.finder.receive(honest.datagram, { kind: 'derp', region: 1, peer: 'f'.repeat(64) }, 0);
    assert.equal(a.finder.drops.forged, 2);
    const third = 'e'.repeat(64);
    a.finder.setPeer(
      { nodeKey: third, discoKey: b.disco, homeDerp: 1, endpoints: [], isWireguardOnly: false },
      0,
    );
    a.finder.receive(honest.datagram, { kind: 'derp', region: 1, peer: third }, 0);
    assert.equal(a.finder.drops.forged, 3, 'the relay and the ping name two peers with one disco key');
    assert.deepEqual(a.finder.receive(Buffer.alloc(3), { kind: 'udp', address: at(B) }, 0), []);
    assert.equal(a.finder.drops.malformed, 1);
  });

  test('a peer that is removed is unknown at once; an unknown one has no route', () => {
    const world = new World(9, [A, B]);
    world.run(1000);
    const [a, b] = world.sides;
    a.finder.removePeer(b.nodeKey);
    assert.equal(a.finder.route(b.nodeKey, world.now), null);
    assert.equal(a.finder.nextWake() === Infinity || a.finder.tick(world.now).length === 0, true);
  });

  test('any datagram is taken without an exception', () => {
    const world = new World(10, [A, B]);
    const [a, b] = world.sides;
    const head = Buffer.concat([Buffer.from('TS\u{1F4AC}'), Buffer.from(b.disco, 'hex')]);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.boolean(), (array, isKnown) => {
        const datagram = isKnown ? Buffer.concat([head, array]) : Buffer.from(array);
        assert.deepEqual(a.finder.receive(datagram, { kind: 'udp', address: at(B) }, 0), []);
      }),
    );
  });
});

test('a peer cannot have us send to this machine, to groups, or to a metadata service', () => {
  for (const text of [
    '127.0.0.1:1',
    '[::1]:1',
    '224.0.0.1:1',
    '169.254.169.254:80',
    '0.0.0.0:1',
    '8.8.8.8:0',
    '[fe80::1]:1',
  ]) {
    assert.equal(isReachable(at(text), false), false, text);
  }
  for (const text of ['192.168.1.1:1', '8.8.8.8:1', '[2600::1]:1', '[fd00::1]:1']) {
    assert.equal(isReachable(at(text), false), true, text);
  }
  assert.equal(isReachable(at('[64:ff9b::7f00:1]:1'), false), false, 'loopback behind a translator');
});

test('the better path is the faster one, the nearer one where they are alike, and small differences are none', () => {
  const measured = (text: string, latencyMs: number) => ({ path: createUdpPath(at(text)), latencyMs });
  assert.equal(isBetterPath(measured('8.8.8.8:1', 10), measured('9.9.9.9:1', 20)), true);
  assert.equal(isBetterPath(measured('8.8.8.8:1', 20), measured('9.9.9.9:1', 20.1)), false);
  assert.equal(isBetterPath(measured('192.168.0.1:1', 21), measured('9.9.9.9:1', 20)), true);
  assert.equal(isBetterPath(measured('8.8.8.8:1', 5), null), true);
  assert.equal(formatIpPort(at('[2600::1]:1')), '[2600::1]:1');
});
