import assert from 'node:assert/strict';
import { type TestContext, describe, test } from 'node:test';
import * as fc from 'fast-check';
import { silentLogger } from '../../base/log.ts';
import type { DoorAnswer, Revocation } from '../door.ts';
import { connection, fakeSocket, manualClock } from '../test-callers.ts';
import { type TailscaledDoor, type TailscaledDoorOptions, createTailscaledDoor } from './door.ts';
import { type FakePeer, person, startFakeTailscaled, tagged } from './fake-local-api.ts';
import { createLocalApi } from './local-api.ts';
import { readWhois } from './whois.ts';

async function setUp(
  t: TestContext,
  options: Partial<TailscaledDoorOptions> & { readonly timeoutMs?: number } = {},
) {
  const daemon = await startFakeTailscaled();
  const clock = manualClock();
  const api = createLocalApi({ socketPath: daemon.socketPath, timeoutMs: options.timeoutMs ?? 2000 });
  /* Checks happen when a test asks for them, unless it is about the timer. */
  const door = createTailscaledDoor({
    api,
    tailnet: 'default',
    clock,
    logger: silentLogger,
    recheckMs: 1_000_000,
    ...options,
  });
  t.after(async () => {
    door.close();
    await daemon.close();
  });
  const revocations: Revocation[] = [];
  door.onRevoked((revocation) => revocations.push(revocation));
  return { daemon, door, clock, revocations };
}

async function who(door: TailscaledDoor, socket = fakeSocket('100.64.0.9')): Promise<DoorAnswer> {
  return door.identify(connection('tailnet', socket), []);
}

function told(answer: DoorAnswer): string {
  return answer.kind === 'caller'
    ? answer.caller.principal
    : answer.kind === 'refused'
      ? `refused: ${answer.code}`
      : 'none';
}

/** Waits for a condition that an event of a real socket brings about. */
async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 5000;
  while (!condition()) {
    assert.ok(Date.now() < deadline, 'the condition never held');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function alice(more: Parameters<typeof person>[0] = { address: '100.64.0.9' }): FakePeer {
  return person(more);
}

describe('the door `tailscaled` (DESIGN section 5)', () => {
  test('names the person and the device behind an address, with groups and capabilities', async (t) => {
    const { daemon, door } = await setUp(t);
    const caps = {
      'tailscale.com/cap/aperture': [{ role: 'user' }, { models: ['*/*'] }],
      'example.com/cap/flag': null,
    };
    daemon.peers.set(
      '100.64.0.9',
      person({ address: '100.64.0.9', caps, profile: { Groups: ['eng@example.com', 'group:ops'] } }),
    );
    const answer = await who(door);
    assert.ok(answer.kind === 'caller');
    assert.deepEqual(answer.caller, {
      principal: 'tailscale:userid:7001',
      tailnet: 'default',
      door: 'tailscaled',
      via: null,
      device: {
        stableId: 'nAlice1CNTRL',
        name: 'laptop',
        addresses: ['100.64.0.9'],
        tags: [],
        shared: false,
      },
      user: { id: '7001', login: 'alice@example.com', displayName: 'Alice' },
      groups: ['group:eng@example.com', 'group:ops'],
      capabilities: new Map<string, unknown[]>([
        ['tailscale.com/cap/aperture', caps['tailscale.com/cap/aperture']],
        ['example.com/cap/flag', []],
      ]),
      token: null,
    });
    assert.deepEqual(daemon.whoisCalls, ['100.64.0.9:40000'], 'asked with the port');
  });

  test('a tagged device is itself and no person', async (t) => {
    const { daemon, door } = await setUp(t);
    daemon.peers.set('100.64.0.9', tagged('100.64.0.9', 'nCi1', ['tag:prod', 'tag:ci']));
    const answer = await who(door);
    assert.ok(answer.kind === 'caller');
    assert.deepEqual(
      [answer.caller.principal, answer.caller.user, answer.caller.device?.tags],
      ['tailscale:nodeid:nCi1', null, ['tag:ci', 'tag:prod']],
    );
  });

  test('two people whose ids differ beyond 53 bits stay two', async (t) => {
    const { daemon, door } = await setUp(t);
    daemon.peers.set(
      '100.64.0.9',
      person({ address: '100.64.0.9', stableId: 'n1', userId: 9_007_199_254_740_993n }),
    );
    daemon.peers.set(
      '100.64.0.10',
      person({ address: '100.64.0.10', stableId: 'n2', userId: 9_007_199_254_740_992n }),
    );
    assert.equal(told(await who(door)), 'tailscale:userid:9007199254740993');
    assert.equal(told(await who(door, fakeSocket('100.64.0.10'))), 'tailscale:userid:9007199254740992');
  });

  const refused: readonly (readonly [string, Record<string, unknown>, string])[] = [
    ['shared in from another network', { Sharer: 9001 }, 'refused: device_shared_in'],
    ['whose key has expired', { KeyExpiry: '2026-11-22T00:00:00Z' }, 'refused: device_expired'],
    ['marked expired', { Expired: true }, 'refused: device_expired'],
    ['whose profile is another person’s', { User: 1 }, 'refused: identity_unavailable'],
    ['without a stable id', { StableID: '' }, 'refused: identity_unavailable'],
    ['with malformed tags', { Tags: ['admin'] }, 'refused: identity_unavailable'],
  ];
  for (const [what, node, answer] of refused) {
    test(`refuses a device ${what}`, async (t) => {
      const { daemon, door } = await setUp(t);
      daemon.peers.set('100.64.0.9', person({ address: '100.64.0.9', node }));
      assert.equal(told(await who(door)), answer);
    });
  }

  test('a key without expiry (the zero time) has not expired', async (t) => {
    const { daemon, door } = await setUp(t);
    daemon.peers.set(
      '100.64.0.9',
      person({ address: '100.64.0.9', node: { KeyExpiry: '0001-01-01T00:00:00Z' } }),
    );
    assert.equal(told(await who(door)), 'tailscale:userid:7001');
  });

  test('the placeholder profile of tagged devices is never a person', async (t) => {
    const { daemon, door } = await setUp(t);
    daemon.peers.set('100.64.0.9', person({ address: '100.64.0.9', login: 'tagged-devices' }));
    assert.equal(told(await who(door)), 'refused: identity_unavailable');
  });

  test('a subnet router, or a device that the operator lists, carries others and stands for no person', async (t) => {
    const { daemon, door } = await setUp(t, { sharedDevices: ['bridge'] });
    daemon.peers.set(
      '100.64.0.9',
      person({ address: '100.64.0.9', node: { AllowedIPs: ['100.64.0.9/32', '192.168.7.0/24'] } }),
    );
    daemon.peers.set(
      '100.64.0.10',
      person({ address: '100.64.0.10', stableId: 'n2', node: { ComputedName: 'bridge' } }),
    );
    daemon.peers.set(
      '100.64.0.11',
      person({
        address: '100.64.0.11',
        stableId: 'n3',
        node: { AllowedIPs: ['100.64.0.11/32', '0.0.0.0/0', '::/0'] },
      }),
    );
    for (const address of ['100.64.0.9', '100.64.0.10']) {
      const answer = await who(door, fakeSocket(address));
      assert.ok(answer.kind === 'caller');
      assert.deepEqual([answer.caller.user, answer.caller.device?.shared], [null, true]);
    }
    assert.equal(
      told(await who(door, fakeSocket('100.64.0.11'))),
      'tailscale:userid:7001',
      'an exit node sends traffic away, not here',
    );
  });

  test('an own address falls to the door `local`', async (t) => {
    const { daemon, door } = await setUp(t);
    for (const address of ['100.64.0.1', 'fd7a:115c:a1e0::1', '::ffff:100.64.0.1']) {
      assert.deepEqual(await who(door, fakeSocket(address)), {
        kind: 'none',
        why: 'the source is an own address of this machine',
      });
    }
    assert.deepEqual(daemon.whoisCalls, []);
    assert.equal(door.self?.dnsName, 'gateway.tail1.ts.net');
  });

  test('a loopback source is a peer only if a userspace daemon handed it on', async (t) => {
    const { daemon, door } = await setUp(t);
    daemon.peers.set('127.0.0.1:40001', alice());
    assert.equal(told(await who(door, fakeSocket('127.0.0.1', 40_001))), 'tailscale:userid:7001');
    assert.equal(told(await who(door, fakeSocket('127.0.0.1', 40_002))), 'none');
  });

  test('asks once for many connections of a peer, and gives one object', async (t) => {
    const { daemon, door } = await setUp(t);
    daemon.peers.set('100.64.0.9', alice());
    const sockets = Array.from({ length: 20 }, (_, i) => fakeSocket('100.64.0.9', 40_000 + i));
    const answers = await Promise.all(sockets.map((socket) => who(door, socket)));
    assert.equal(new Set(answers).size, 1);
    assert.equal(daemon.whoisCalls.length, 1);
    const again = door.identify(connection('tailnet', sockets[0] ?? fakeSocket('')), []);
    assert.equal(again, answers[0], 'without a promise');
  });

  test('a daemon that is away, slow or answers nonsense is no identity, and is asked again', async (t) => {
    const { daemon, door } = await setUp(t, { timeoutMs: 1_000 });
    daemon.peers.set('100.64.0.9', alice());
    for (const broken of [
      { status: 500, body: 'x' },
      { status: 403, body: 'denied' },
      { status: 200, body: 'not json' },
      { status: 200, body: '{}' },
      { status: 200, body: '[]' },
    ]) {
      daemon.broken = broken;
      assert.equal(
        told(await who(door, fakeSocket('100.64.0.8'))),
        'refused: identity_unavailable',
        broken.body,
      );
      await door.recheck();
    }
    daemon.broken = null;
    const socket = fakeSocket('100.64.0.9');
    daemon.hang = true;
    assert.equal(told(await who(door, socket)), 'refused: identity_unavailable');
    daemon.hang = false;
    assert.equal(told(await who(door, socket)), 'tailscale:userid:7001');
    const away = createTailscaledDoor({
      api: createLocalApi({ socketPath: '/nonexistent.sock' }),
      tailnet: 'default',
      clock: manualClock(),
      logger: silentLogger,
    });
    assert.equal(told(await who(away)), 'refused: identity_unavailable');
    away.close();
  });
});

describe('revocation by the door `tailscaled`', () => {
  test('a removed device loses its open streams, and its connection its identity', async (t) => {
    const { daemon, door, revocations } = await setUp(t);
    daemon.peers.set('100.64.0.9', alice());
    daemon.peers.set('100.64.0.10', person({ address: '100.64.0.10', stableId: 'nBob', userId: 7002 }));
    const [socket, bobs] = [fakeSocket('100.64.0.9'), fakeSocket('100.64.0.10')];
    const [answer, bob] = await Promise.all([who(door, socket), who(door, bobs)]);
    assert.ok(answer.kind === 'caller' && bob.kind === 'caller');
    daemon.peers.delete('100.64.0.9');
    await door.recheck();
    assert.deepEqual(
      revocations.map((revocation) => [revocation.matches(answer.caller), revocation.matches(bob.caller)]),
      [[true, false]],
    );
    assert.equal(told(await who(door, socket)), 'none');
    assert.equal(told(await who(door, bobs)), 'tailscale:userid:7002');
  });

  test('a device that got another owner or tags is another caller', async (t) => {
    const { daemon, door, revocations } = await setUp(t);
    daemon.peers.set('100.64.0.9', alice());
    const socket = fakeSocket('100.64.0.9');
    await who(door, socket);
    daemon.peers.set('100.64.0.9', tagged('100.64.0.9', 'nAlice1CNTRL', ['tag:ci']));
    await door.recheck();
    assert.equal(revocations.length, 1);
    assert.equal(told(await who(door, socket)), 'tailscale:nodeid:nAlice1CNTRL');
  });

  test('changed capabilities reach the next request; the same ones keep the object', async (t) => {
    const { daemon, door, revocations } = await setUp(t);
    daemon.peers.set('100.64.0.9', person({ address: '100.64.0.9', caps: { a: [1] } }));
    const socket = fakeSocket('100.64.0.9');
    const changed: string[] = [];
    door.onChanged((caller) => changed.push(JSON.stringify([...caller.capabilities])));
    const before = await who(door, socket);
    await door.recheck();
    assert.equal(await who(door, socket), before);
    assert.deepEqual(changed, []);
    daemon.peers.set('100.64.0.9', person({ address: '100.64.0.9', caps: { a: [2] } }));
    await door.recheck();
    const after = await who(door, socket);
    assert.ok(after.kind === 'caller');
    assert.deepEqual(after.caller.capabilities.get('a'), [2]);
    assert.deepEqual(changed, ['[["a",[2]]]']);
    assert.equal(revocations.length, 0);
  });

  test('comes with the daemon’s notification, without waiting for the timer', async (t) => {
    const { daemon, door, revocations } = await setUp(t);
    daemon.peers.set('100.64.0.9', alice());
    door.start();
    await daemon.watched();
    const answer = await who(door);
    assert.equal(answer.kind, 'caller');
    daemon.peers.delete('100.64.0.9');
    const started = performance.now();
    daemon.notify({ PeersRemoved: [5001] });
    await until(() => revocations.length === 1);
    assert.ok(performance.now() - started < 1000);
  });

  test('comes within a second by the timer alone', async (t) => {
    const { daemon, door, revocations } = await setUp(t, { recheckMs: 700 });
    daemon.peers.set('100.64.0.9', alice());
    await who(door);
    daemon.peers.delete('100.64.0.9');
    const started = performance.now();
    await until(() => revocations.length === 1);
    assert.ok(performance.now() - started < 1000);
  });

  test('a daemon that is away keeps identities for 15 s, then takes them', async (t) => {
    const { daemon, door, clock, revocations } = await setUp(t);
    daemon.peers.set('100.64.0.9', alice());
    const socket = fakeSocket('100.64.0.9');
    await who(door, socket);
    daemon.broken = { status: 500, body: '' };
    clock.advance(14_999);
    await door.recheck();
    assert.equal(told(await who(door, socket)), 'tailscale:userid:7001');
    clock.advance(1);
    await door.recheck();
    assert.equal(told(await who(door, socket)), 'refused: identity_unavailable');
    assert.equal(revocations.length, 1);
    daemon.broken = null;
    await door.recheck();
    assert.equal(told(await who(door, socket)), 'tailscale:userid:7001');
  });

  test('peers without open connections are not asked about', async (t) => {
    const { daemon, door } = await setUp(t);
    daemon.peers.set('100.64.0.9', alice());
    const [first, second] = [fakeSocket('100.64.0.9', 1), fakeSocket('100.64.0.9', 2)];
    await Promise.all([who(door, first), who(door, second)]);
    first.end();
    await door.recheck();
    assert.equal(daemon.whoisCalls.length, 2);
    second.end();
    await door.recheck();
    assert.equal(daemon.whoisCalls.length, 2);
  });
});

test('the LocalAPI gives a certificate with its key, or says why not', async (t) => {
  const daemon = await startFakeTailscaled();
  t.after(() => daemon.close());
  const api = createLocalApi({ socketPath: daemon.socketPath });
  t.after(() => api.close());
  const pem = (label: string): string => `-----BEGIN ${label}-----\nAAAA\n-----END ${label}-----\n`;
  const pair = { cert: pem('CERTIFICATE') + pem('CERTIFICATE'), key: pem('EC PRIVATE KEY') };
  daemon.certificates.set('gateway.tail1.ts.net', pair);
  const given = await api.certificate('gateway.tail1.ts.net');
  assert.deepEqual([given.cert.match(/BEGIN/g)?.length, given.key], [2, pair.key]);
  await assert.rejects(api.certificate('other.test'), {
    code: 'local_api_refused',
    detail: /invalid domain/,
  });
  for (const broken of [
    { cert: pair.cert, key: '' },
    { cert: '', key: pair.key },
    { cert: pair.cert, key: pair.key + pair.key },
  ]) {
    daemon.certificates.set('gateway.tail1.ts.net', broken);
    await assert.rejects(api.certificate('gateway.tail1.ts.net'), { code: 'local_api_malformed' });
  }
});

test('whois answers of any shape are an answer, never a throw', () => {
  const context = { tailnet: 'default', now: 0, sharedDevices: new Set<string>() };
  const shape = fc.oneof(
    fc.jsonValue(),
    fc.record({
      Node: fc.oneof(
        fc.jsonValue(),
        fc.record({
          StableID: fc.string(),
          Tags: fc.jsonValue(),
          User: fc.jsonValue(),
          Addresses: fc.jsonValue(),
          KeyExpiry: fc.jsonValue(),
        }),
      ),
      UserProfile: fc.jsonValue(),
      CapMap: fc.jsonValue(),
    }),
  );
  fc.assert(
    fc.property(shape, (value) => {
      assert.ok(['caller', 'none', 'refused'].includes(readWhois(value, context).kind));
    }),
  );
});
