/** Official clients through our relay: over TLS with a pinned certificate, and only where they may. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../scenarios/ask.ts';
import type { TailscaleDevice } from './device.ts';
import { type RelayBed, startRelayBed } from './relay-bed.ts';

const BODY_BYTES = 20 * 1024 * 1024;
const SERVE = `const body = Buffer.alloc(64 * 1024, 7);
require('node:http').createServer((request, response) => {
  let left = ${BODY_BYTES};
  const more = () => {
    while (left > 0) { left -= body.length; if (!response.write(body)) return response.once('drain', more); }
    response.end();
  };
  more();
}).listen(8000, '0.0.0.0');`;

let bed: RelayBed;
let one: TailscaleDevice;
let other: TailscaleDevice;

before(async () => {
  bed = await startRelayBed();
  [one, other] = await Promise.all([bed.join('one'), bed.join('other')]);
  await bed.setMembers([
    [one, ['a']],
    [other, ['a']],
  ]);
  await one.reach(other);
});

after(() => bed?.close());

/** Whether one `tailscale ping` is answered, and what it says. */
async function ping(from: TailscaleDevice, to: TailscaleDevice): Promise<{ ok: boolean; said: string }> {
  const words = ['ping', '--c=1', '--timeout=2s', '--until-direct=false', to.addresses[0]];
  const { code, stdout, stderr } = await from.tailscale(words);
  return { ok: code === 0, said: stdout + stderr };
}

describe('our relay', () => {
  test('carries pings between official clients, which know it as their home', async () => {
    const { ok, said } = await ping(one, other);
    assert.ok(ok, said);
    assert.match(said, /via DERP\(own\)/);
    const { relay } = await bed.report();
    assert.equal(relay['clients'], 2);
    assert.equal(relay['homes'], 2);
    assert.equal(Object((await one.status())['Self']).Relay, 'own');
  });

  test('its STUN server tells clients from where they are seen', async () => {
    const report = JSON.parse(await one.mustTailscale(['netcheck', '--format=json']));
    assert.equal(report.UDP, true);
    assert.match(String(report.GlobalV4), new RegExp(`^${one.machine.address.replaceAll('.', '\\.')}:\\d+$`));
    assert.equal(report.PreferredDERP, 900);
    assert.ok(Number((await bed.report()).stun['answered']) > 0);
  });

  test('carries TCP: a download of 20 MiB by curl', async () => {
    other.machine.start([process.execPath, '-e', SERVE]);
    const url = `http://${other.addresses[0]}:8000/`;
    const words = [
      'curl',
      '-sS',
      '--retry',
      '5',
      '--retry-connrefused',
      '-o',
      '/dev/null',
      '-w',
      '%{size_download}',
      url,
    ];
    const said = await eventually(
      async () => {
        const result = await one.machine.exec(words);
        return result.code === 0 ? result.stdout : null;
      },
      'curl has its answer',
      40_000,
    );
    assert.equal(Number(said), BODY_BYTES);
  });

  test('a stranger is refused, whatever its control server says of it', async () => {
    const stranger = await bed.join('stranger');
    await eventually(
      async () => (Number((await bed.report()).relay['refusedStrangers']) > 0 ? true : null),
      'the relay refuses it',
    );
    assert.equal((await ping(stranger, one)).ok, false);
    const allowed = await verify(await bed.nodeKey(one));
    const refused = await verify(await bed.nodeKey(stranger));
    assert.deepEqual([allowed, refused], [{ Allow: true }, { Allow: false }]);
  });

  test('devices of two tailnets do not reach each other; back in one, they do', async () => {
    await bed.setMembers([
      [one, ['a']],
      [other, ['b']],
    ]);
    await eventually(async () => ((await ping(one, other)).ok ? null : true), 'they are apart', 20_000);
    assert.ok(Number((await bed.report()).relay['droppedForeign']) > 0);
    await bed.setMembers([
      [one, ['a']],
      [other, ['b', 'a']],
    ]);
    await one.reach(other);
  });

  test('a device that is removed is cut within seconds, and stays out', async () => {
    const before = Number((await bed.report()).relay['cutRevoked']);
    await bed.setMembers([[one, ['a']]]);
    await eventually(
      async () => (Number((await bed.report()).relay['cutRevoked']) > before ? true : null),
      'it is cut',
      10_000,
    );
    await delay(1000);
    assert.equal((await bed.report()).relay['clients'], 1);
    assert.equal((await ping(one, other)).ok, false);
  });
});

async function verify(nodeKey: string): Promise<unknown> {
  const body = JSON.stringify({ NodePublic: `nodekey:${nodeKey}`, Source: '10.87.0.9' });
  const words = ['curl', '-sk', '--data', body, `https://${bed.relayAt}/verify`];
  return JSON.parse((await one.machine.exec(words)).stdout);
}
