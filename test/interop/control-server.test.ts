/** Official clients of the newest version in tailnets of our own coordination server and relay. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../scenarios/ask.ts';
import { type ControlServerBed, startControlServerBed } from './control-server.ts';
import type { TailscaleDevice } from './device.ts';
import type { Machine } from './machines.ts';

const ALICE = 'alice@example.com';
const BOB = 'bob@example.com';
const HOME = 'home';
const WORK = 'work';
/** Only port 8000 of devices of alice's. */
const NARROW = `{ "grants": [{ "src": ["${BOB}"], "dst": ["${ALICE}"], "ip": ["tcp:8000"] }] }`;

let bed: ControlServerBed;
let one: TailscaleDevice;
let two: TailscaleDevice;

before(async () => {
  bed = await startControlServerBed();
  await bed.admin({ do: 'create', name: HOME, kind: 'people', users: [ALICE, BOB] });
  await bed.admin({ do: 'create', name: WORK, kind: 'people', users: [ALICE] });
  one = await bed.join('one', { authKey: await bed.key(HOME, { user: ALICE }) });
  two = await bed.join('two', { authKey: await bed.key(HOME, { user: BOB }) });
});

after(() => bed?.close());

async function answers(machine: Machine, url: string): Promise<boolean> {
  const result = await machine.exec(['curl', '-sS', '-o', '/dev/null', '--max-time', '1', url]);
  return result.code === 0;
}

function serve(device: TailscaleDevice, port: number): void {
  const script = `require('node:http').createServer((q, r) => r.end('hello')).listen(${port}, '::')`;
  device.machine.start([process.execPath, '-e', script]);
}

async function peersOf(device: TailscaleDevice): Promise<readonly string[]> {
  const peers: Record<string, unknown> = Object(Object(await device.status())['Peer']);
  return Object.values(peers)
    .map((peer) => String(Object(peer)['HostName']))
    .sort();
}

describe('two devices of one tailnet', () => {
  test('ping each other, over our relay and then directly', async () => {
    await one.reach(two);
    const pinged = await one.mustTailscale(['ping', '--c=10', '--timeout=3s', two.addresses[0]]);
    assert.match(pinged, /pong from two \(100\.[\d.]+\) via 10\.87\.0\.\d+:\d+/);
    const status = Object(await one.status());
    assert.equal(Object(status['Self'])['Relay'], 'own');
  });

  test('know each other as persons', async () => {
    const who = Object(JSON.parse(await one.mustTailscale(['whois', '--json', two.addresses[0]])));
    assert.equal(who.UserProfile.LoginName, BOB);
    assert.equal(who.Node.Name, 'two.home.bed.internal.');
  });

  test('reach each other by MagicDNS names, short and full', async () => {
    serve(one, 8000);
    for (const name of ['one', 'one.home.bed.internal', one.addresses[0]])
      await eventually(
        async () => ((await answers(two.machine, `http://${name}:8000/`)) ? true : null),
        `two reaches ${name}`,
      );
  });

  test('answer a ping and an echo of the server over their map streams', async () => {
    const ms = await bed.admin({ do: 'ping', tailnet: HOME, device: 'one' });
    assert.ok(typeof ms === 'number' && ms < 2000);
    assert.match(String(await bed.admin({ do: 'echo', tailnet: HOME, device: 'one' })), /200 OK[^]*hello$/);
  });

  test('a policy change is in force within a second: denied is denied, allowed goes on', async () => {
    serve(one, 8001);
    const [open, shut] = [`http://${one.addresses[0]}:8000/`, `http://${one.addresses[0]}:8001/`];
    await eventually(async () => ((await answers(two.machine, shut)) ? true : null), 'both ports at first');
    const begun = Date.now();
    await bed.admin({ do: 'change', tailnet: HOME, change: { policy: NARROW } });
    const filterOf = async (): Promise<string> => one.mustTailscale(['debug', 'netmap']);
    await eventually(
      async () => (/"First": 8000,\s*"Last": 8000/.test(await filterOf()) ? true : null),
      'the new filter',
    );
    assert.ok(Date.now() - begun < 1000, `${Date.now() - begun} ms`);
    assert.equal(await answers(two.machine, shut), false);
    assert.equal(await answers(two.machine, open), true);
    await bed.admin({ do: 'change', tailnet: HOME, change: { policy: null } });
    await eventually(async () => ((await answers(two.machine, shut)) ? true : null), 'both ports again');
  });
});

describe('the life of a device', () => {
  test('killed and started again under live clients: nobody signs in again, and a direct path stays', async () => {
    for (const [from, to] of [
      [one, two],
      [two, one],
    ] as const)
      assert.match(await from.mustTailscale(['ping', '--c=10', '--timeout=3s', to.addresses[0]]), /via 10\./);
    await bed.kill();
    await eventually(
      async () => ((await answers(two.machine, `http://${one.addresses[0]}:8000/`)) ? true : null),
      'without the server',
    );
    await bed.start();
    await eventually(
      async () => {
        const devices = [await bed.device(HOME, 'one'), await bed.device(HOME, 'two')];
        return devices.every(({ isOnline }) => isOnline) ? true : null;
      },
      'both are back',
      30_000,
    );
    assert.equal(Object(await one.status())['BackendState'], 'Running');
    await one.reach(two);
  });

  test('a key that expires makes the device sign in again, as itself; peers see it end', async () => {
    const before = await bed.device(HOME, 'two');
    await bed.admin({
      do: 'device',
      tailnet: HOME,
      device: 'two',
      change: { keyExpiry: Date.now() - 1000 },
    });
    await eventually(
      async () => (Object(await two.status())['BackendState'] === 'NeedsLogin' ? true : null),
      'two has to sign in',
    );
    await two.up(await bed.key(HOME, { user: BOB }));
    const now = await bed.device(HOME, 'two');
    assert.equal(now.id, before.id);
    assert.notEqual(now.nodeKey, before.nodeKey);
    await two.reach(one);
  });

  test('an ephemeral, tagged device is nobody’s, and forgotten once it is silent', async () => {
    const authKey = await bed.key(HOME, { tags: ['tag:ci'], ephemeral: true });
    const job = await bed.join('job', { authKey, userspace: true });
    await eventually(async () => ((await peersOf(one)).includes('job') ? true : null), 'one sees the job');
    const who = Object(JSON.parse(await one.mustTailscale(['whois', '--json', job.addresses[0]])));
    assert.deepEqual(who.Node.Tags, ['tag:ci']);
    assert.equal(who.UserProfile.LoginName, 'tagged-devices');
    await job.reach(one);
    await job.stopDaemon();
    await eventually(
      async () => ((await peersOf(one)).includes('job') ? null : true),
      'the job is gone',
      15_000,
    );
  });

  test('a used key, and a key of no tailnet, are refused in words', async () => {
    const authKey = await bed.key(HOME, { user: ALICE });
    const three = await bed.join('three', { authKey, relayOnly: true });
    await three.reach(one);
    await three.mustTailscale(['logout']);
    const again = await three.tailscale([
      'up',
      `--login-server=${bed.url}`,
      `--auth-key=${authKey}`,
      '--hostname=three',
      '--netfilter-mode=off',
      '--timeout=5s',
    ]);
    assert.notEqual(again.code, 0);
    assert.match(again.stderr, /this auth key is not valid/);
  });

  test('a person signs in: the device shows an address, an admin lets it in, a second later it runs', async () => {
    const four = await bed.join('four', { authKey: await bed.key(HOME, { user: ALICE, ephemeral: true }) });
    await four.mustTailscale(['logout']);
    const up = four.machine.start([
      bed.programs.tailscale,
      `--socket=${four.socketPath}`,
      'up',
      `--login-server=${bed.url}`,
      '--hostname=four',
      '--netfilter-mode=off',
      '--reset',
    ]);
    const url = await eventually(() => /http:\S+\/a\/(\S+)/.exec(up.log()), 'the address to visit');
    const page = await four.machine.exec(['curl', '-sS', url[0]]);
    assert.match(page.stdout, /postern device approve/);
    assert.match(page.stdout, /<b>four<\/b>/);
    assert.equal(await bed.admin({ do: 'approve', tailnet: HOME, code: url[1] ?? '', user: ALICE }), 'four');
    await eventually(
      async () => (Object(await four.status())['BackendState'] === 'Running' ? true : null),
      'four runs',
    );
    const who = Object(JSON.parse(await four.mustTailscale(['status', '--json'])));
    assert.equal(who.User[String(who.Self.UserID)].LoginName, ALICE);
  });

  test('a device that waits for approval sees nobody and is seen by nobody, until it is approved', async () => {
    await bed.admin({ do: 'change', tailnet: HOME, change: { deviceApproval: true } });
    const authKey = await bed.key(HOME, { user: BOB, preauthorized: false });
    const waiting = bed.join('five', { authKey, userspace: true }).catch((error: unknown) => error);
    await eventually(
      async () => (await bed.device(HOME, 'five').catch(() => null))?.isAuthorized === false || null,
      'five waits',
    );
    assert.ok(!(await peersOf(one)).includes('five'));
    await bed.admin({ do: 'device', tailnet: HOME, device: 'five', change: { isAuthorized: true } });
    const five = await waiting;
    assert.ok(!(five instanceof Error), String(five));
    await eventually(async () => ((await peersOf(one)).includes('five') ? true : null), 'one sees five');
    await bed.admin({ do: 'change', tailnet: HOME, change: { deviceApproval: false } });
  });
});

describe('routes', () => {
  test('a subnet router carries once its route is approved, and an exit node is offered', async () => {
    const router = await bed.join('router', {
      authKey: await bed.key(HOME, { user: ALICE }),
      up: ['--advertise-routes=10.99.0.0/24', '--advertise-exit-node'],
    });
    const routes = async (): Promise<unknown> => {
      const peers: Record<string, unknown> = Object(Object(await two.status())['Peer']);
      return Object(Object.values(peers).find((peer) => Object(peer)['HostName'] === 'router'));
    };
    await eventually(
      async () => (Object(await routes())['HostName'] === 'router' ? true : null),
      'the router',
    );
    assert.equal(Object(await routes())['PrimaryRoutes'], undefined);
    const approvedRoutes = ['10.99.0.0/24', '0.0.0.0/0', '::/0'];
    await bed.admin({ do: 'device', tailnet: HOME, device: 'router', change: { approvedRoutes } });
    await eventually(async () => {
      const { PrimaryRoutes, ExitNodeOption } = Object(await routes());
      return PrimaryRoutes?.[0] === '10.99.0.0/24' && ExitNodeOption === true ? true : null;
    }, 'the approved routes');
    await bed.admin({ do: 'remove', tailnet: HOME, device: 'router' });
    await eventually(
      async () => (Object(await router.status())['BackendState'] === 'NeedsLogin' ? true : null),
      'a removed device is told so',
    );
  });
});

describe('two tailnets', () => {
  test('one client has a profile in each: neither overwrites the other, and no peer is in both', async () => {
    const authKey = await bed.key(WORK, { user: ALICE });
    await one.mustTailscale([
      'login',
      `--login-server=${bed.url}`,
      `--auth-key=${authKey}`,
      '--hostname=one',
      '--timeout=30s',
    ]);
    await eventually(async () => {
      const self = Object(Object(await one.status())['Self']);
      return self['DNSName'] === 'one.work.bed.internal.' ? true : null;
    }, 'one is in the other tailnet');
    assert.deepEqual(await peersOf(one), []);
    assert.equal(
      (await one.tailscale(['ping', '--c=1', '--timeout=1s', two.addresses[0]])).code === 0,
      false,
    );
    const profiles = (await one.mustTailscale(['switch', '--list'])).trim().split('\n').slice(1);
    assert.equal(profiles.length, 2, profiles.join('\n'));
    const home = await bed.device(HOME, 'one');
    const work = await bed.device(WORK, 'one');
    assert.equal(home.machineKey, work.machineKey);
    assert.notEqual(home.ipv4, work.ipv4);
    assert.notEqual(home.userId, work.userId);
  });
});
