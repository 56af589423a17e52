import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import '../../../../test/property-seed.ts';
import { systemRandom } from '../../../base/random.ts';
import { X25519PrivateKey } from '../../../crypto/index.ts';
import { DERP_FRAME, encodeDerpFrame } from '../../../wire/derp.ts';
import { RelayHub } from './relay-hub.ts';
import { DEFAULT_RELAY_LIMITS, type RelayLimits, type RelayRate } from './relay-limits.ts';
import { discoPacket, sendFrame, TestClient, type TestClientOptions, VirtualClock } from './test-client.ts';

interface Bed {
  readonly hub: RelayHub;
  readonly clock: VirtualClock;
  /** Tailnets by node key; whoever is not here is a stranger. */
  readonly members: Map<string, string[]>;
  /** A client that has logged in, as a device of these tailnets. */
  join(tailnets: string[], options?: TestClientOptions): TestClient;
  /** Time passes, with all looks that fall into it. */
  pass(seconds: number): void;
}

function createBed(limits: Partial<RelayLimits> = {}, rate: RelayRate | null = null): Bed {
  const clock = new VirtualClock();
  const members = new Map<string, string[]>();
  const hub = new RelayHub({
    admission: {
      admit(nodeKey) {
        const tailnets = members.get(nodeKey);
        return tailnets === undefined ? null : { tailnets };
      },
    },
    clock,
    random: systemRandom,
    limits: { ...DEFAULT_RELAY_LIMITS, ...limits },
    rate,
  });
  return {
    hub,
    clock,
    members,
    join(tailnets, options) {
      const client = new TestClient(hub, options);
      members.set(client.hex, tailnets);
      return client.logIn();
    },
    pass(seconds) {
      for (let i = 0; i < seconds; i += 5) {
        clock.ms += 5000;
        hub.sweep();
      }
    },
  };
}

describe('the login', () => {
  test('is answered with the version, and with the rate where there is one', () => {
    assert.deepEqual(createBed().join(['a']).serverInfo(), { version: 2 });
    const rate = { bytesPerSecond: 1000, burstBytes: 70_000 };
    assert.deepEqual(createBed({}, rate).join(['a']).serverInfo(), {
      version: 2,
      TokenBucketBytesPerSecond: 1000,
      TokenBucketBytesBurst: 70_000,
    });
  });

  test('of a stranger, and of a key without a tailnet, ends the connection', () => {
    const { hub, join } = createBed();
    const stranger = new TestClient(hub).logIn();
    const nobody = join([]);
    assert.deepEqual([stranger.ended, nobody.ended], ['destroy', 'destroy']);
    assert.equal(stranger.serverInfo(), null);
    assert.equal(hub.snapshot().refusedStrangers, 2);
    assert.ok(hub.isEmpty);
  });

  test('that was recorded lets nobody in: every connection has a key of its own', () => {
    const { hub, join } = createBed();
    const client = new TestClient(hub);
    const first = join(['a'], { key: client.key });
    const recorded = client.loginFrame();
    assert.ok(first.isOpen);
    const thief = new TestClient(hub);
    thief.say(recorded);
    assert.equal(thief.ended, 'destroy');
    assert.equal(hub.snapshot().failedLogins, 1);
    client.say(recorded);
    assert.ok(client.isOpen, 'on its own connection it is the login');
  });

  test('by another frame, a box that does not open, JSON that is none, or a low-order key is refused', () => {
    const { hub, members } = createBed();
    const sealed = new TestClient(hub, { info: {} }).loginFrame();
    members.set('00'.repeat(32), ['a']);
    const lowOrder = encodeDerpFrame(DERP_FRAME.clientInfo, Buffer.alloc(32), Buffer.alloc(60));
    const bad = [
      encodeDerpFrame(DERP_FRAME.ping, Buffer.alloc(8)),
      encodeDerpFrame(DERP_FRAME.sendPacket, Buffer.alloc(100)),
      encodeDerpFrame(DERP_FRAME.clientInfo, Buffer.alloc(20)),
      encodeDerpFrame(DERP_FRAME.clientInfo, Buffer.alloc(20_000)),
      lowOrder,
      sealed,
    ];
    for (const bytes of bad) {
      const client = new TestClient(hub);
      client.say(bytes);
      assert.equal(client.ended, 'destroy');
    }
    assert.equal(hub.snapshot().failedLogins, bad.length);
  });

  test('has 10 s', () => {
    const { hub, pass } = createBed();
    const slow = new TestClient(hub);
    slow.say(slow.loginFrame().subarray(0, 30));
    pass(5);
    assert.ok(slow.isOpen);
    pass(5);
    assert.equal(slow.ended, 'destroy');
    assert.equal(hub.snapshot().failedLogins, 1);
  });

  test('connections are bounded: not logged in, of one source, logged in, of one key', () => {
    const { hub, join } = createBed({
      loggingInMax: 3,
      loggingInPerSourceMax: 2,
      clientsMax: 3,
      clientsPerKeyMax: 2,
    });
    const open = [1, 2, 3].map(() => new TestClient(hub, { source: '192.0.2.1' }));
    assert.deepEqual(
      open.map(({ session }) => session !== null),
      [true, true, false],
    );
    assert.ok(new TestClient(hub, { source: '192.0.2.2' }).isOpen);
    assert.equal(new TestClient(hub, { source: '192.0.2.3' }).isOpen, false);
    for (const client of open) client.session?.end('closed');
    const key = X25519PrivateKey.generate(systemRandom);
    const [first, second, third] = [1, 2, 3].map(() => join(['a'], { key }));
    assert.deepEqual([first?.ended, second?.isOpen, third?.isOpen], ['destroy', true, true]);
    join(['a']);
    assert.equal(join(['a']).ended, 'destroy', 'there are three');
    assert.equal(hub.snapshot().refusedFull, 3);
    assert.equal(hub.snapshot().cutReplaced, 1);
  });
});

describe('packets', () => {
  test('reach the key they are for, in order and under the sender’s key, whatever it claims', () => {
    const { join, hub } = createBed();
    const [one, two, three] = [join(['a']), join(['a']), join(['a'])];
    one.say(
      Buffer.concat([sendFrame(two, '1'), sendFrame(two, '2'), sendFrame(three, '3'), sendFrame(two, '4')]),
    );
    assert.deepEqual(
      two.told(),
      ['1', '2', '4'].map((text) => `packet ${one.short} ${text}`),
    );
    assert.deepEqual(three.told(), [`packet ${one.short} 3`]);
    assert.equal(hub.snapshot().packets, 4);
  });

  test('between others that are dropped, or no packets, go out without them', () => {
    const { join } = createBed();
    const [one, two, foreign] = [join(['a']), join(['a']), join(['b'])];
    const ping = encodeDerpFrame(DERP_FRAME.ping, Buffer.alloc(8));
    const between = [sendFrame(foreign, 'no'), ping, sendFrame(Buffer.alloc(32, 9), 'no')];
    one.say(Buffer.concat(between.flatMap((frame, i) => [sendFrame(two, `${i}`), frame])));
    assert.deepEqual(
      two.told(),
      ['0', '1', '2'].map((text) => `packet ${one.short} ${text}`),
    );
    assert.deepEqual(foreign.told(), []);
  });

  test('do not cross tailnets, and the sender hears what it would of a key that is not there', () => {
    const { join, hub } = createBed();
    const [one, foreign] = [join(['a']), join(['b'])];
    one.send(foreign, 'secret');
    one.send(foreign, discoPacket());
    one.send(Buffer.alloc(32, 5), discoPacket());
    assert.deepEqual(foreign.told(), []);
    assert.deepEqual(one.told(), [`gone ${foreign.short} not_here`, 'gone 05050505 not_here']);
    assert.deepEqual([hub.snapshot().droppedForeign, hub.snapshot().droppedNotHere], [2, 1]);
  });

  test('a key of two tailnets reaches the peers of both, which stay apart', () => {
    const { join } = createBed();
    const [a, b, both] = [join(['a']), join(['b']), join(['a', 'b'])];
    both.send(a, 'x');
    both.send(b, 'y');
    a.send(b, 'no');
    b.send(a, 'no');
    a.send(both, 'from a');
    assert.deepEqual(a.told(), [`packet ${both.short} x`]);
    assert.deepEqual(b.told(), [`packet ${both.short} y`]);
    assert.deepEqual(both.told(), [`packet ${a.short} from a`]);
  });

  test('a key that moves to another tailnet is there from the next question on, on warm routes too', () => {
    const { join, hub, members } = createBed();
    const [one, two] = [join(['a']), join(['a'])];
    one.send(two, '1');
    members.set(two.hex, ['b']);
    hub.recheck(two.hex);
    one.send(two, '2');
    assert.deepEqual(two.told(), [`packet ${one.short} 1`]);
    members.set(two.hex, ['b', 'a']);
    hub.recheck();
    one.send(two, '3');
    assert.deepEqual(two.told(), [`packet ${one.short} 3`]);
  });

  test('"not here" is said for disco only, and five times between two looks', () => {
    const { join, pass } = createBed();
    const one = join(['a']);
    one.send(Buffer.alloc(32, 5), 'wireguard');
    assert.deepEqual(one.told(), []);
    for (let i = 0; i < 20; i += 1) one.send(Buffer.alloc(32, 5), discoPacket());
    assert.equal(one.told().length, 5);
    pass(5);
    one.send(Buffer.alloc(32, 5), discoPacket());
    assert.equal(one.told().length, 1);
  });

  test('when a key leaves, those who had packets of it are told, once, and no one else', () => {
    const { join } = createBed();
    const [one, two, three] = [join(['a']), join(['a']), join(['a'])];
    one.send(two, 'x');
    one.send(two, 'y');
    two.told();
    one.session?.end('closed');
    assert.deepEqual(two.told(), [`gone ${one.short} disconnected`]);
    assert.deepEqual(three.told(), []);
    two.send(one, discoPacket());
    assert.deepEqual(two.told(), [`gone ${one.short} not_here`]);
  });

  test('whoever has left the tailnet is not told that one of it leaves', () => {
    const { join, hub, members } = createBed();
    const [one, two] = [join(['a']), join(['a'])];
    one.send(two, 'x');
    two.told();
    members.set(two.hex, ['b']);
    hub.recheck(two.hex);
    one.session?.end('closed');
    assert.deepEqual(two.told(), []);
  });
});

describe('a key with several connections', () => {
  test('receives on the one that logged in or sent last, and on what is left', () => {
    const { join } = createBed();
    const key = X25519PrivateKey.generate(systemRandom);
    const [sender, first, second] = [join(['a']), join(['a'], { key }), join(['a'], { key })];
    sender.send(first, '1');
    first.send(sender, 'x');
    sender.send(first, '2');
    first.session?.end('closed');
    sender.send(first, '3');
    assert.deepEqual(second.told(), [`packet ${sender.short} 1`, `packet ${sender.short} 3`]);
    assert.deepEqual(first.told(), [`packet ${sender.short} 2`]);
    assert.deepEqual(sender.told(), [`packet ${first.short} x`], 'the key has not left');
  });

  test('is told when connections take packets from each other, and when that is over', () => {
    const { join } = createBed();
    const key = X25519PrivateKey.generate(systemRandom);
    const [sender, first, second] = [join(['a']), join(['a'], { key }), join(['a'], { key })];
    first.send(sender, 'x');
    second.send(sender, 'x');
    assert.deepEqual([first.told(), second.told()], [[], []]);
    for (let i = 0; i < 4; i += 1) [first, second][i % 2]?.send(sender, 'x');
    assert.deepEqual([first.told(), second.told()], [['health another device'], ['health another device']]);
    first.session?.end('closed');
    assert.deepEqual(second.told(), ['health ']);
  });
});

describe('who is no longer admitted', () => {
  test('is cut at once by `revoke` and `recheck`, on every connection, and at the next look otherwise', () => {
    const { join, hub, members, pass } = createBed();
    const key = X25519PrivateKey.generate(systemRandom);
    const [one, two] = [join(['a'], { key }), join(['a'], { key })];
    hub.revoke(one.hex);
    assert.deepEqual([one.ended, two.ended], ['destroy', 'destroy']);
    assert.equal(hub.isConnected(one.hex), false);
    const [three, four, five] = [join(['a']), join(['a']), join(['a'])];
    members.delete(three.hex);
    members.delete(four.hex);
    hub.recheck(three.hex);
    assert.deepEqual([three.ended, four.ended], ['destroy', null]);
    pass(5);
    assert.deepEqual([four.ended, five.ended], ['destroy', null]);
    assert.equal(hub.snapshot().cutRevoked, 4);
    hub.revoke('not a key');
    hub.recheck('ffff');
  });
});

describe('time', () => {
  test('every client hears something each minute; one that answers pings and is silent is cut after 150 s', () => {
    const { join, hub, pass } = createBed();
    const [answers, mute] = [join(['a']), join(['a'], { info: {} })];
    pass(70);
    assert.deepEqual([answers.told(), mute.told()], [['keep_alive', 'ping'], ['keep_alive']]);
    answers.say(encodeDerpFrame(DERP_FRAME.pong, Buffer.alloc(8)));
    pass(145);
    assert.deepEqual([answers.ended, mute.ended], [null, null]);
    pass(10);
    assert.deepEqual([answers.ended, mute.ended], ['destroy', null]);
    assert.equal(hub.snapshot().cutSilent, 1);
  });

  test('a client that takes nothing for as long as is allowed is cut', () => {
    const { join, hub, pass } = createBed({ writeStallMs: 10_000 });
    const [fast, slow] = [join(['a']), join(['a'])];
    slow.roomBytes = 10;
    fast.send(slow, 'x'.repeat(100));
    pass(10);
    assert.equal(slow.ended, null);
    slow.read(1000);
    fast.send(slow, 'x'.repeat(2000));
    pass(10);
    assert.equal(slow.ended, null, 'it had read in between');
    pass(5);
    assert.equal(slow.ended, 'destroy');
    assert.equal(hub.snapshot().cutSilent, 1);
  });
});

describe('a slow reader', () => {
  test('loses the oldest packets and no others; what waits is bounded; nobody else is slowed', () => {
    const { join, hub } = createBed({ clientQueueMaxBytes: 10_000 });
    const [sender, slow, fast] = [join(['a']), join(['a']), join(['a'])];
    slow.told();
    slow.roomBytes = 1;
    for (let i = 0; i < 100; i += 1) {
      sender.send(slow, `${i}`.padEnd(1000));
      sender.send(fast, `${i}`);
      assert.ok(hub.snapshot().queuedBytes <= 10_000);
    }
    assert.equal(fast.told().length, 100);
    slow.read(Infinity);
    const numbers = slow.told().map((line) => Number(line.split(' ')[2]));
    assert.equal(numbers[0], 0, 'it was written before the pipe was full');
    assert.deepEqual(numbers.slice(1), [92, 93, 94, 95, 96, 97, 98, 99]);
    assert.equal(hub.snapshot().droppedQueueFull, 91);
    assert.equal(hub.snapshot().queuedBytes, 0);
  });

  test('in one tailnet leaves the memory of another alone', () => {
    const { join, hub } = createBed({ tailnetQueueMaxBytes: 20_000, totalQueueMaxBytes: 40_000 });
    const flood = join(['a']);
    const readers = Array.from({ length: 10 }, () => join(['a']));
    for (const reader of readers) {
      reader.roomBytes = 1;
      for (let i = 0; i < 20; i += 1) flood.send(reader, 'x'.repeat(1000));
    }
    assert.ok(hub.snapshot().queuedBytes <= 20_000);
    const [calm, waiting] = [join(['b']), join(['b'])];
    waiting.roomBytes = 1;
    calm.send(waiting, '0');
    for (let i = 1; i <= 10; i += 1) calm.send(waiting, String(i).padEnd(1000));
    waiting.read(Infinity);
    assert.equal(waiting.told().length, 11);
    for (const reader of readers) reader.session?.end('closed');
    assert.equal(hub.snapshot().queuedBytes, 0, 'what waited for those who left is gone');
  });
});

describe('frames of a client', () => {
  test('home is noted; pings are answered once a chunk; unknown frames are passed over', () => {
    const { join, hub } = createBed();
    const one = join(['a']);
    one.say(encodeDerpFrame(DERP_FRAME.notePreferred, Buffer.of(1)));
    assert.equal(hub.snapshot().homes, 1);
    one.say(encodeDerpFrame(DERP_FRAME.notePreferred, Buffer.of(0)));
    assert.equal(hub.snapshot().homes, 0);
    const ping = encodeDerpFrame(DERP_FRAME.ping, Buffer.alloc(8, 3));
    one.say(Buffer.concat([ping, encodeDerpFrame(0x77, Buffer.alloc(500)), ping]));
    assert.deepEqual(one.told(), ['pong']);
    assert.ok(one.isOpen);
  });

  test('what only relays may say, bodies that are too short or too long: the end', () => {
    const bad = [
      ...[0x0a, 0x10, 0x11].map((type) => encodeDerpFrame(type, Buffer.alloc(64))),
      encodeDerpFrame(DERP_FRAME.sendPacket, Buffer.alloc(31)),
      encodeDerpFrame(DERP_FRAME.sendPacket, Buffer.alloc(32 + 65_537)),
      encodeDerpFrame(DERP_FRAME.notePreferred, Buffer.alloc(2)),
      encodeDerpFrame(DERP_FRAME.ping, Buffer.alloc(3)),
      encodeDerpFrame(0x77, Buffer.alloc(100_000)),
    ];
    const { join, hub } = createBed();
    for (const bytes of bad) {
      const client = join(['a']);
      client.say(bytes);
      assert.equal(client.ended, 'destroy');
    }
    assert.equal(hub.snapshot().cutProtocol, bad.length);
    assert.ok(hub.isEmpty);
  });

  test('whatever bytes come, before and after the login, nothing is thrown and nothing stays', () => {
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.array(fc.oneof(fc.uint8Array({ maxLength: 200 }), frameLike()), { maxLength: 20 }),
        (isLoggedIn, chunks) => {
          const { join, hub } = createBed();
          const client = isLoggedIn ? join(['a']) : new TestClient(hub);
          for (const chunk of chunks) client.say(chunk);
          client.session?.end('closed');
          assert.ok(hub.isEmpty);
          assert.equal(hub.snapshot().queuedBytes, 0);
        },
      ),
      { numRuns: 200 },
    );
  });
});

/** A header with a small length and a known type, and some body. */
function frameLike(): fc.Arbitrary<Uint8Array> {
  return fc
    .tuple(fc.constantFrom(...Object.values(DERP_FRAME)), fc.uint8Array({ maxLength: 100 }))
    .map(([type, body]) => encodeDerpFrame(type, body));
}

test('a close tells those who are connected when to come back', () => {
  const { join, hub } = createBed();
  const [one, early] = [join(['a']), new TestClient(hub)];
  hub.close(1500);
  assert.deepEqual(one.told(), ['restarting 1500']);
  assert.deepEqual([one.ended, early.ended], ['finish', 'finish']);
  assert.ok(hub.isEmpty);
});
