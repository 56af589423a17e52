/**
 * A Postern that was started with `--lan` and nothing else: official clients join its own network, its relay
 * speaks TLS with the pinned certificate, and its gateway is in that network as the device `ai`.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type PosternProcess, startPostern } from '../postern-process.ts';
import { eventually } from '../scenarios/ask.ts';
import { startDevice, type TailscaleDevice } from './device.ts';
import { createMachineNetwork, type Machine, type MachineNetwork } from './machines.ts';
import { findPrograms } from './programs.ts';
import { askFrom } from './request.ts';

const BREAK_GLASS = 'break-glass-of-this-test-0123456789';
const ADMIN = { POSTERN_TOKEN: BREAK_GLASS };
const OWNER = 'root@postern.internal';

let folder = '';
let stateDir = '';
let network: MachineNetwork;
let machine: Machine;
let postern: PosternProcess;
let loginServer = '';
let laptop: TailscaleDevice;

async function cli(...words: readonly string[]): Promise<string> {
  const result = await postern.cli(words, ADMIN);
  assert.equal(result.code, 0, `postern ${words.join(' ')}: ${result.stderr}\n${postern.log()}`);
  return result.stdout.trim();
}

async function joinAs(name: string, authKey: string, relayOnly = false): Promise<TailscaleDevice> {
  const options = {
    programs: findPrograms(),
    controlUrl: loginServer,
    authKey,
    relayTls: true,
    relayOnly,
  };
  return startDevice(await network.add(name), options);
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-lan-'));
  network = await createMachineNetwork(folder);
  machine = await network.add('gate');
  stateDir = await mkdtemp(join(tmpdir(), 'postern-lan-state-'));
  postern = await startPostern({
    prefix: machine.prefix,
    stateDir,
    flags: ['--lan'],
    env: { POSTERN_ADMIN_TOKEN: BREAK_GLASS },
  });
  loginServer = String(JSON.parse(await cli('tailnet', '--json')).login_server);
});

after(async () => {
  await postern?.stop();
  await network?.close();
  await rm(folder, { recursive: true, force: true });
  await rm(stateDir, { recursive: true, force: true });
});

describe('a Postern that other devices join', () => {
  test('a device joins by `postern key create`, and another by the code that it shows', async () => {
    assert.match(loginServer, /^http:\/\/10\.87\.0\.1:\d+$/);
    laptop = await joinAs('laptop', await cli('key', 'create', '--user', OWNER));
    const phone = await joinAs('phone', await cli('key', 'create', '--user', OWNER, '--ephemeral'), true);
    await phone.mustTailscale(['logout']);
    const up = phone.machine.start([
      findPrograms().tailscale,
      `--socket=${phone.socketPath}`,
      'up',
      `--login-server=${loginServer}`,
      '--hostname=phone',
      '--netfilter-mode=off',
      '--reset',
    ]);
    const code = await eventually(() => /\/a\/(\w+)/.exec(up.log())?.[1] ?? null, 'the code');
    assert.match(await cli('device', 'approve', code), /^phone \([0-9a-f]{4}(-[0-9a-f]{4}){3}\) is in$/);
    await eventually(
      async () => (Object(await phone.status())['BackendState'] === 'Running' ? true : null),
      'phone runs',
    );
    const [v4, v6] = (Object(Object(await phone.status())['Self'])['TailscaleIPs'] as string[]).map(String);
    await laptop.reach({ name: 'phone', addresses: [v4 ?? '', v6 ?? ''] });
    const pinged = await laptop.mustTailscale(['ping', '--c=1', '--until-direct=false', v4 ?? '']);
    assert.match(pinged, /via DERP\(postern\)/, 'the relay, over TLS with the pinned certificate');
  });

  test('the gateway is the device `ai` of it, with no word from anybody: a call is its person’s, keyless', async () => {
    const messages = [{ role: 'user', content: 'hello from the laptop' }];
    const answer = await eventually(async () => {
      const asked = await askFrom(laptop.machine, 'http://ai/v1/chat/completions', {
        method: 'POST',
        body: { model: 'postern/echo', messages },
      });
      return asked.status === 200 || asked.status === 403 ? asked : null;
    }, 'the laptop reaches the gateway');
    assert.equal(answer.status, 200, answer.text);
    assert.match(answer.text, /You said: hello from the laptop/);
    const records = await eventually(async () => {
      const logs = await cli('logs', '--json');
      return logs.includes(OWNER) ? logs : null;
    }, 'the record');
    assert.match(records, /laptop/);
  });

  test('a device without a direct path reaches it through the relay of the same process', async () => {
    const far = await joinAs('far', await cli('key', 'create', '--user', OWNER), true);
    const answer = await eventually(async () => {
      const asked = await askFrom(far.machine, 'http://ai/api/v1/whoami');
      return asked.status === 200 ? asked : null;
    }, 'the far device reaches the gateway');
    assert.match(answer.text, /root@postern\.internal/);
    const { peers } = JSON.parse(await cli('up', '--status', '--json'));
    const path = peers.find(({ name }: { name: string }) => name === 'far')?.path;
    assert.equal(path, 'relay');
  });

  test('`postern down` closes the door, for the next start, too; `postern up` opens it again', async () => {
    await cli('down');
    assert.equal((await askFrom(laptop.machine, 'http://ai/healthz')).status, 0);
    await cli('up', '--timeout', '20');
    await eventually(async () => {
      const asked = await askFrom(laptop.machine, 'http://ai/healthz');
      return asked.status === 200 ? true : null;
    }, 'the door is open again');
  });

  test('stopped and started again, the devices come back by themselves', async () => {
    const { port } = new URL(loginServer);
    process.kill(postern.pid, 'SIGKILL');
    await postern.exited();
    postern = await startPostern({
      prefix: machine.prefix,
      stateDir,
      flags: ['--lan', '--listen', `localhost:${Number(port) - 1}`],
      env: { POSTERN_ADMIN_TOKEN: BREAK_GLASS },
    });
    await eventually(
      async () => {
        const { items } = JSON.parse(await cli('tailnet', 'devices', '--json'));
        const back = items.filter(({ online }: { online: boolean }) => online);
        return back.some(({ name }: { name: string }) => name === 'laptop') ? true : null;
      },
      'the laptop is back',
      30_000,
    );
    assert.equal(Object(await laptop.status())['BackendState'], 'Running');
  });
});
