/**
 * The door `tailscaled` and the tailnet listener (DESIGN sections 4 and 5) with the official tailscaled
 * on every side and Headscale as their control: what WhoIs really says, and when it says so.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../scenarios/ask.ts';
import {
  CAPABILITY,
  EVERY_MODEL,
  type GatewayUnderTest,
  originsOf,
  startGateway,
  tailscaledFlags,
} from './gateway.ts';
import { startSocketRelay } from './socket-relay.ts';
import { type BedUser, type TailnetBed, type TailscaleDevice, startTailnetBed } from './tailnet-bed.ts';

let bed: TailnetBed;
let alice: BedUser;
let bob: BedUser;
let host: TailscaleDevice;
let gateway: GatewayUnderTest;
let laptop: TailscaleDevice;
let origin = '';

/** Everybody reaches everything; `users` may use every model, by the network's own policy. */
function policyFor(users: readonly string[]): object {
  const app = { [CAPABILITY]: [EVERY_MODEL] };
  return {
    tagOwners: { 'tag:gateway': [alice.login], 'tag:ci': [alice.login], 'tag:runner': [alice.login] },
    grants: [
      { src: ['*'], dst: ['*'], ip: ['*'] },
      ...(users.length === 0 ? [] : [{ src: users, dst: ['tag:gateway'], app }]),
    ],
  };
}

before(async () => {
  bed = await startTailnetBed();
  [alice, bob] = [await bed.headscale.addUser('alice'), await bed.headscale.addUser('bob')];
  await bed.headscale.setPolicy(policyFor(['*']));
  host = await bed.join('gateway', { tags: ['tag:gateway'] });
  [origin] = originsOf(host);
  laptop = await bed.join('alice-laptop', { user: alice });
  await laptop.reach(host);
  gateway = await startGateway(host, { flags: tailscaledFlags(host) });
});

after(async () => {
  await gateway?.stop();
  await bed?.close();
});

/** A device that is there for one test. */
async function joinOne(name: string, options: Parameters<TailnetBed['join']>[1]): Promise<TailscaleDevice> {
  const device = await bed.join(name, options);
  await device.reach(host);
  return device;
}

describe('who calls, by the real WhoIs', () => {
  test('a person’s device: user, device and door; over IPv4, IPv6, and by both MagicDNS names', async () => {
    const names = [...originsOf(host), `http://${host.dnsName}`, 'http://gateway'];
    for (const name of names) {
      const answer = await gateway.whoami(laptop.machine, name);
      assert.equal(answer.status, 200, `${name}: ${answer.text}`);
      const { principal, door, user, device } = answer.json();
      assert.deepEqual(
        { principal, door, user },
        {
          principal: `tailscale:userid:${alice.id}`,
          door: 'tailscaled',
          user: { id: alice.id, login: alice.login, display_name: alice.displayName },
        },
        name,
      );
      const { id } = await bed.headscale.node('alice-laptop');
      assert.deepEqual(device, { id: String(id), name: 'alice-laptop', tags: [] });
    }
  });

  test('another person’s device, which only the relay reaches, is that person’s', async () => {
    const phone = await joinOne('bob-phone', { user: bob, relayOnly: true });
    const [hers, his] = [
      (await gateway.whoami(laptop.machine, origin)).json(),
      (await gateway.whoami(phone.machine, origin)).json(),
    ];
    assert.equal(hers['principal'], `tailscale:userid:${alice.id}`);
    assert.equal(his['principal'], `tailscale:userid:${bob.id}`);
  });

  test('a tagged device is itself and no person', async () => {
    const runner = await joinOne('runner', { tags: ['tag:runner', 'tag:ci'] });
    const answer = (await gateway.whoami(runner.machine, origin)).json();
    const { id } = await bed.headscale.node('runner');
    assert.deepEqual(
      [answer['principal'], answer['user'], answer['device']],
      [`tailscale:nodeid:${id}`, null, { id: String(id), name: 'runner', tags: ['tag:ci', 'tag:runner'] }],
    );
  });

  test('a device that routes for others stands for nobody, once its route is approved', async () => {
    const router = await joinOne('router', { user: alice, up: ['--advertise-routes=198.51.100.0/24'] });
    const asItself = (await gateway.whoami(router.machine, origin)).json();
    assert.equal(asItself['principal'], `tailscale:userid:${alice.id}`);
    await bed.headscale.approveRoutes('router', ['198.51.100.0/24']);
    const refused = await eventually(async () => {
      const answer = await gateway.whoami(router.machine, origin);
      return answer.status === 200 ? null : answer;
    }, 'the router is nobody');
    assert.deepEqual([refused.status, refused.json()['code']], [401, 'identity_required']);
  });

  test('this host, by its own tailnet addresses, is `local`', async () => {
    for (const own of originsOf(host)) {
      const answer = (await gateway.whoami(host.machine, own)).json();
      assert.deepEqual([answer['door'], answer['principal']], ['local', 'local:0'], own);
    }
  });

  test('a stranger on the same wire, outside of the tailnet, is nobody at the tailnet’s address', async () => {
    const stranger = await bed.addMachine('stranger');
    await stranger.exec(['ip', 'route', 'add', '100.64.0.0/10', 'via', host.machine.address]);
    assert.equal((await gateway.whoami(stranger, origin)).status, 401);
    const chat = await gateway.chat(stranger, origin);
    assert.deepEqual([chat.status, chat.headers['x-postern-reason']], [401, 'no_identity'], chat.text);
  });

  test('a name that is not this device’s is 421', async () => {
    const answer = await gateway.whoami(laptop.machine, origin, {
      headers: ['Host', 'gateway.evil.example'],
    });
    assert.equal(answer.status, 421);
  });
});

describe('what a caller may, by the network’s own policy', () => {
  test('an `app` grant of the network’s policy opens models, and nothing else does', async () => {
    const phone = await joinOne('bob-tablet', { user: bob });
    await bed.headscale.setPolicy(policyFor([alice.login]));
    await eventually(
      async () => ((await gateway.chat(phone.machine, origin)).status === 200 ? null : true),
      'bob’s capability is gone',
    );
    const his = await gateway.chat(phone.machine, origin);
    assert.match(his.text, /"code":"/);
    assert.ok([403, 404].includes(his.status), his.text);
    const hers = await gateway.chat(laptop.machine, origin);
    assert.equal(hers.status, 200, hers.text);
    assert.match(hers.text, /hello from afar/);
  });

  test('a capability that the policy takes away ends the open stream within a second of its arrival', async () => {
    await bed.headscale.setPolicy(policyFor([alice.login, bob.login]));
    const stream = await eventually(
      () => gateway.openStream(laptop.machine, origin, 'capability').catch(() => null),
      'alice has the capability',
    );
    await bed.headscale.setPolicy(policyFor([bob.login]));
    const tookMs = await gateway.untilCut('capability');
    assert.ok(tookMs < 3000, `it took ${tookMs} ms`);
    await stream.ended;
    assert.match(stream.text(), /access_revoked/);
    await bed.headscale.setPolicy(policyFor(['*']));
  });
});

describe('a right that ends, ends the open stream (DESIGN section 5)', () => {
  const endings: readonly (readonly [string, (device: TailscaleDevice) => Promise<unknown>])[] = [
    ['the device is removed', ({ name }) => bed.headscale.removeNode(name)],
    ['the device’s key is expired by the administrator', ({ name }) => bed.headscale.expireNode(name)],
    ['the person logs the device out', (device) => device.mustTailscale(['logout'])],
    ['the device is tagged, and is nobody’s', ({ name }) => bed.headscale.setTags(name, ['tag:ci'])],
  ];
  for (const [index, [what, endIt]] of endings.entries()) {
    test(what, async (t) => {
      const name = `leaving-${index}`;
      const device = await joinOne(name, { user: alice });
      const [id, others] = [`leaving${index}`, `staying${index}`];
      const staying = await gateway.openStream(laptop.machine, origin, others);
      const leaving = await gateway.openStream(device.machine, origin, id);
      const since = performance.now();
      await endIt(device);
      await gateway.untilCut(id);
      const tookMs = Math.round(performance.now() - since);
      t.diagnostic(`cut ${tookMs} ms after the command began`);
      assert.ok(tookMs < 4000, `it took ${tookMs} ms`);
      assert.ok(await gateway.isOpen(others), 'the stream of the same person’s other device goes on');
      await Promise.all([staying.stop(), leaving.stop()]);
    });
  }

  test('the key expires by itself, at its time', async () => {
    const device = await joinOne('short-lived', { user: alice });
    const at = new Date(Date.now() + 6000);
    await bed.headscale.expireNode('short-lived', at);
    const stream = await gateway.openStream(device.machine, origin, 'shortlived');
    assert.ok(Date.now() < at.getTime(), 'the stream was open before');
    await gateway.untilCut('shortlived', 15_000);
    assert.ok(Date.now() >= at.getTime(), 'and until then');
    await stream.stop();
  });
});

describe('a tailscaled that is away', () => {
  test('while the LocalAPI does not answer, new callers are refused, and open streams end after 15 s', async (t) => {
    const socketPath = `${host.socketPath}.relay`;
    const relay = await startSocketRelay(socketPath, host.socketPath);
    t.after(() => relay.stop());
    const flags = ['--tailscaled', '--tailscaled-socket', socketPath, '--tailscaled-http-port', '8090'];
    const second = await startGateway(host, { flags });
    t.after(() => second.stop());
    const at = `${origin}:8090`;
    const stream = await second.openStream(laptop.machine, at, 'unchecked');
    await relay.stop();
    const silentSince = performance.now();
    const phone = await joinOne('bob-desktop', { user: bob });
    assert.equal((await second.whoami(phone.machine, at)).status, 401);
    const chat = await second.chat(phone.machine, at);
    assert.deepEqual([chat.status, chat.headers['x-postern-reason']], [403, 'no_identity'], chat.text);
    assert.match(second.postern.log(), /tailscaled cannot be reached/);
    await second.untilCut('unchecked', 20_000);
    const tookMs = performance.now() - silentSince;
    assert.ok(tookMs > 13_000, `a short silence is forgiven; it took ${tookMs} ms`);
    await stream.ended;
    assert.match(stream.text(), /access_revoked/);
    await relay.start();
    assert.equal((await second.whoami(phone.machine, at)).status, 200, 'it answers again, and so do we');
  });

  test('a tailscaled that was stopped and started again is followed', async () => {
    await host.stopDaemon();
    await host.startDaemon();
    const answer = await eventually(
      async () => {
        const asked = await gateway.whoami(laptop.machine, origin);
        return asked.status === 200 ? asked : null;
      },
      `alice is known again; ${gateway.postern.log()}`,
      30_000,
    );
    assert.equal(answer.json()['principal'], `tailscale:userid:${alice.id}`);
  });

  test('while the network’s control is away, who is known stays known', async () => {
    await bed.headscale.stop();
    const answer = await gateway.whoami(laptop.machine, origin);
    await bed.headscale.start();
    assert.equal(answer.json()['principal'], `tailscale:userid:${alice.id}`);
  });
});

describe('a tailscaled without a network device', () => {
  test('hands peers on to loopback: they are themselves, and this machine’s users stay `local`', async (t) => {
    const small = await bed.join('small-gateway', { tags: ['tag:gateway'], userspace: true });
    await laptop.reach(small);
    const second = await startGateway(small, { flags: tailscaledFlags(small) });
    t.after(() => second.stop());
    const { port } = new URL(second.postern.url);
    for (const at of [...originsOf(small), `http://${small.dnsName}`]) {
      const answer = await second.whoami(laptop.machine, `${at}:${port}`);
      assert.equal(answer.json()['principal'], `tailscale:userid:${alice.id}`, `${at}: ${answer.text}`);
    }
    const own = await second.whoami(small.machine, second.postern.url);
    assert.equal(own.json()['principal'], 'local:0', own.text);
    const chat = await second.chat(laptop.machine, `${originsOf(small)[0]}:${port}`);
    assert.equal(chat.status, 200, chat.text);
    const stream = await second.openStream(laptop.machine, `${originsOf(small)[0]}:${port}`, 'userspace');
    await bed.headscale.setPolicy(policyFor([bob.login]));
    await second.untilCut('userspace');
    await stream.stop();
  });
});
