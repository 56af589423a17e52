/** DNS settings of a tailnet as an official client takes them: split DNS, search domains, further names. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from '../scenarios/ask.ts';
import { type ControlServerBed, startControlServerBed } from './control-server.ts';
import type { TailscaleDevice } from './device.ts';

const HOME = 'home';
const ALICE = 'alice@example.com';

let bed: ControlServerBed;
let one: TailscaleDevice;
before(async () => {
  bed = await startControlServerBed();
  await bed.admin({ do: 'create', name: HOME, kind: 'people', users: [ALICE] });
  one = await bed.join('one', { authKey: await bed.key(HOME, { user: ALICE }) });
});
after(() => bed?.close());

/** What the client's own resolver answers. */
async function query(name: string): Promise<string> {
  const { stdout, stderr } = await one.tailscale(['dns', 'query', name]);
  return stdout + stderr;
}

test('a change of DNS is known to the client: a further name resolves, and split DNS has its resolver', async () => {
  assert.match(await query('one.home.bed.internal'), new RegExp(one.addresses[0].replaceAll('.', '\\.')));
  assert.doesNotMatch(await query('wiki.corp.example'), /100\.64\.0\.99/);
  await bed.admin({
    do: 'change',
    tailnet: HOME,
    change: {
      dns: {
        magicDns: true,
        resolvers: [],
        split: { 'office.example': ['10.87.0.250'] },
        searchDomains: ['corp.example'],
        extraRecords: [{ name: 'wiki.corp.example', value: '100.64.0.99' }],
      },
    },
  });
  await eventually(
    async () => (/100\.64\.0\.99/.test(await query('wiki.corp.example')) ? true : null),
    'the further name resolves',
  );
  const status = await one.mustTailscale(['dns', 'status', '--all']);
  assert.match(status, /office\.example\.?\s+->\s+10\.87\.0\.250/);
  assert.match(status, /corp\.example/);
});

test('without MagicDNS the names of devices and the further ones are gone', async () => {
  await bed.admin({
    do: 'change',
    tailnet: HOME,
    change: {
      dns: { magicDns: false, resolvers: [], split: {}, searchDomains: [], extraRecords: [] },
    },
  });
  await eventually(
    async () => (/100\.64\.0\.99/.test(await query('wiki.corp.example')) ? null : true),
    'the further name is gone',
  );
  assert.match(await one.mustTailscale(['dns', 'status']), /MagicDNS: disabled tailnet-wide/);
});
