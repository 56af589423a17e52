/** The bed itself: what the tests that stand on it take for granted. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../scenarios/ask.ts';
import { type BedUser, type TailnetBed, type TailscaleDevice, startTailnetBed } from './tailnet-bed.ts';

let bed: TailnetBed;
let alice: BedUser;
let one: TailscaleDevice;
let other: TailscaleDevice;

before(async () => {
  bed = await startTailnetBed();
  alice = await bed.headscale.addUser('alice');
  one = await bed.join('one', { user: alice });
  other = await bed.join('other', { user: alice });
  await one.reach(other);
});

after(() => bed?.close());

/** `direct 10.87.0.3:41641` or `relay "bed"` in `tailscale status`. */
async function pathTo(from: TailscaleDevice, to: TailscaleDevice): Promise<string> {
  const lines = (await from.mustTailscale(['status'])).split('\n');
  const line = lines.find((candidate) => candidate.startsWith(`${to.addresses[0]} `)) ?? '';
  return /\b(direct|relay) \S+/.exec(line)?.[0].replace(/[,;]$/, '') ?? line;
}

describe('the tailnet bed', () => {
  test('devices find each other directly, by the addresses of their machines', async () => {
    await one.mustTailscale(['ping', '--c=10', '--timeout=2s', other.addresses[0]]);
    assert.equal(await pathTo(one, other), `direct ${other.machine.address}:41641`);
  });

  test('`relayOnly` leaves the relay alone', async () => {
    const far = await bed.join('far', { user: alice, relayOnly: true });
    await far.reach(one);
    assert.equal(await pathTo(far, one), 'relay "bed"');
  });

  test('a machine without its cable is reached by nobody, and again with it', async () => {
    const ping = async (): Promise<number> =>
      (await one.tailscale(['ping', '--c=1', '--timeout=1s', '--until-direct=false', other.addresses[0]]))
        .code;
    await other.machine.setCable(false);
    await eventually(async () => ((await ping()) === 0 ? null : true), 'it is gone');
    await other.machine.setCable(true);
    await one.reach(other);
  });

  test('no machine has a way out, and none changes what is the real machine’s', async () => {
    const connect = `require('node:net').connect({ host: '203.0.113.1', port: 443, timeout: 2000 })
      .on('connect', () => process.exit(0)).on('error', () => process.exit(7)).on('timeout', () => process.exit(7));`;
    assert.equal((await one.machine.exec([process.execPath, '-e', connect])).code, 7);
    const resolver = (await one.machine.exec(['cat', '/etc/resolv.conf'])).stdout;
    assert.match(resolver, /nameserver 100\.100\.100\.100/);
  });

  test('an ephemeral device that leaves is forgotten', async () => {
    const brief = await bed.join('brief', { user: alice, ephemeral: true });
    await brief.mustTailscale(['logout']);
    await eventually(
      async () => ((await bed.headscale.nodes()).every(({ name }) => name !== 'brief') ? true : null),
      'headscale has forgotten it',
    );
  });

  test('`close` ends every program and removes every file', async () => {
    const second = await startTailnetBed();
    const user = await second.headscale.addUser('bob');
    const device = await second.join('lonely', { user });
    const folder = dirname(device.machine.folder);
    const held = device.machine.prefix[2] ?? '';
    assert.ok(existsSync(`/proc/${held}`) && existsSync(folder));
    await second.close();
    assert.equal(existsSync(`/proc/${held}`), false, 'the namespace has no process');
    assert.equal(existsSync(folder), false, 'the folder is gone');
  });
});
