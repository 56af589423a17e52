/**
 * Tailscale's official Go client against our API v2, over a Postern that official devices join: a whole life of a
 * tailnet, from an OAuth client to its removal, and what another tailnet's credential gets of it.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { hmacSha256 } from '../../src/crypto/index.ts';
import { type PosternProcess, startPostern } from '../postern-process.ts';
import { eventually } from '../scenarios/ask.ts';
import { startDevice, type TailscaleDevice } from './device.ts';
import { createMachineNetwork, type Machine, type MachineNetwork, type RunningProgram } from './machines.ts';
import { findPrograms } from './programs.ts';
import { askFrom } from './request.ts';

const BREAK_GLASS = 'break-glass-of-this-test-0123456789';
/** Everybody reaches everybody, and tag:server is known. */
const POLICY = `{
  // Kept as it was written.
  "tagOwners": { "tag:server": ["autogroup:admin"], "tag:edge": ["autogroup:admin"] },
  "grants": [{ "src": ["*"], "dst": ["*"], "ip": ["*"] }],
}`;

/** Prints its port, then a line of JSON for every delivery. */
const RECEIVER = `require('node:http').createServer((q, r) => {
  let body = '';
  q.on('data', (d) => { body += d; }).on('end', () => {
    console.log(JSON.stringify({ signature: q.headers['tailscale-webhook-signature'], body }));
    r.end();
  });
}).listen(0, '127.0.0.1', function () { console.log('port ' + this.address().port); })`;

interface Answer {
  readonly result: ReturnType<typeof Object>;
  readonly error: { readonly status: number; readonly message: string; readonly data?: unknown } | null;
}

interface Credential {
  readonly credential: string;
  /** Default: the credential's own. */
  readonly tailnet?: string;
}

let folder = '';
let network: MachineNetwork;
let machine: Machine;
let postern: PosternProcess;
let loginServer = '';
let server: TailscaleDevice;
let receiver: RunningProgram;
let webhook: Answer['result'];
const organization: Credential = { credential: BREAK_GLASS };
let staging: Credential = organization;
let production: Credential = organization;
let stagingId = '';
let deviceId = '';

async function ask(from: Credential, call: string, given: object = {}): Promise<Answer> {
  const words = [postern.url, from.credential, from.tailnet ?? '-', call, JSON.stringify(given)];
  const ended = await machine.exec([findPrograms().apiClient, ...words]);
  assert.equal(ended.code, 0, ended.stderr);
  const { result = null, error = null } = Object(JSON.parse(ended.stdout));
  return { result: Object(result), error };
}

async function must(from: Credential, call: string, given: object = {}): Promise<Answer['result']> {
  const { result, error } = await ask(from, call, given);
  assert.equal(error, null, `${call}: ${JSON.stringify(error)}\n${postern.log()}`);
  return result;
}

async function refused(from: Credential, call: string, given: object = {}): Promise<number> {
  const { error } = await ask(from, call, given);
  assert.ok(error !== null, `${call} was let through`);
  return error.status;
}

/** Data of the events of this type that came, each with a signature that this secret made. */
function received(type: string, secret: string): readonly unknown[] {
  const found: unknown[] = [];
  for (const line of receiver
    .log()
    .split('\n')
    .filter((text) => text.startsWith('{'))) {
    const { signature, body } = Object(JSON.parse(line));
    const [, time, mac] = /^t=(\d+),v1=(\w+)$/.exec(String(signature)) ?? [];
    const expected = Buffer.from(hmacSha256(Buffer.from(secret), `${time}.${body}`)).toString('hex');
    for (const event of JSON.parse(body) as { type: string; data: unknown }[])
      if (event.type === type && mac === expected) found.push(event.data);
  }
  return found;
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-api-'));
  network = await createMachineNetwork(folder);
  machine = await network.add('gate');
  postern = await startPostern({
    prefix: machine.prefix,
    flags: ['--lan'],
    env: { POSTERN_ADMIN_TOKEN: BREAK_GLASS },
  });
  const told = await postern.cli(['tailnet', '--json'], { POSTERN_TOKEN: BREAK_GLASS });
  loginServer = String(Object(JSON.parse(told.stdout))['login_server']);
});

after(async () => {
  await postern?.stop();
  await network?.close();
  await rm(folder, { recursive: true, force: true });
});

describe('the official API client', () => {
  test('makes tailnets with clients of their own, and lists them', async () => {
    const made = async (Name: string): Promise<Credential> => {
      const { id, oauthClient, dnsName } = await must(organization, 'tailnets.create', { Name });
      assert.match(String(dnsName), /^[a-z-]+\.postern\.internal$/);
      if (Name === 'Staging') stagingId = String(id);
      return { credential: `${Object(oauthClient).id}:${Object(oauthClient).secret}` };
    };
    staging = await made('Staging');
    production = await made('Production');
    const listed = Object.values(await must(organization, 'tailnets.list')).map((found) => Object(found).id);
    assert.ok(listed.includes(stagingId));
    assert.equal(
      await refused(staging, 'tailnets.list'),
      403,
      'a tailnet’s own client is not the organization',
    );
    assert.equal(await refused({ credential: 'psta_unknown' }, 'devices.list'), 401);
  });

  test('saves a policy by its ETag; an overtaken one is a 412, and one whose tests fail changes nothing', async () => {
    const { etag } = await must(staging, 'policy.get');
    await must(staging, 'policy.set', { Text: POLICY, ETag: 'ts-default' });
    assert.equal(await refused(staging, 'policy.set', { Text: '{}', ETag: etag }), 412);
    const raw = await must(staging, 'policy.raw');
    assert.equal(raw.text, POLICY, 'with its comments');
    const { acl } = await must(staging, 'policy.get');
    assert.deepEqual(Object(acl).tagOwners['tag:server'], ['autogroup:admin']);
    const failing = POLICY.replace(
      '"grants"',
      '"tests": [{ "src": "tag:server", "deny": ["tag:edge:22"] }], "grants"',
    );
    const { error } = await ask(staging, 'policy.set', { Text: failing, ETag: raw.etag });
    assert.equal(error?.status, 400);
    assert.match(JSON.stringify(error?.data), /tag:server/);
    assert.equal((await must(staging, 'policy.raw')).etag, raw.etag);
    await must(staging, 'policy.validate', { Text: POLICY });
    assert.match(String((await ask(staging, 'policy.validate', { Text: failing })).error?.message), /failed/);
    const again = await must(staging, 'policy.set', { ACL: Object(acl), ETag: raw.etag });
    assert.notEqual(again.etag, raw.etag, 'the client’s own shape of it is another text');
    await must(staging, 'policy.set', { Text: POLICY, ETag: again.etag });
  });

  test('makes a webhook, whose deliveries bear a signature as documented; a rotated secret signs the next', async () => {
    receiver = machine.start([process.execPath, '-e', RECEIVER]);
    const port = await eventually(
      () => /port (\d+)/.exec(receiver.log())?.[1] ?? null,
      'the receiver listens',
    );
    const made = await must(staging, 'webhooks.create', {
      URL: `http://127.0.0.1:${port}/hook`,
      List: ['categoryTailnetManagement'],
    });
    const ID = made.endpointId;
    await must(staging, 'webhooks.test', { ID });
    await eventually(() => received('test', made.secret)[0] === null || null, 'the test event');
    webhook = await must(staging, 'webhooks.rotate', { ID });
    await must(staging, 'webhooks.test', { ID });
    await eventually(() => received('test', webhook.secret)[0] === null || null, 'the next test event');
    assert.equal(received('test', made.secret).length, 1);
    assert.deepEqual((await must(staging, 'webhooks.get', { ID })).subscriptions, [
      'categoryTailnetManagement',
    ]);
    assert.equal(Object.values(await must(staging, 'webhooks.list')).length, 1);
    assert.deepEqual(Object.values(await must(production, 'webhooks.list')), []);
    assert.equal(await refused(production, 'webhooks.delete', { ID }), 404);
    const never = { ID, List: ['userNeedsApproval'] };
    assert.equal(await refused(staging, 'webhooks.update', never), 400, 'what never happens here');
  });

  test('makes an auth key by which an official device joins, and finds the device', async () => {
    assert.equal(await refused(staging, 'keys.create', { Preauthorized: true }), 400, 'a key without a tag');
    const key = await must(staging, 'keys.create', {
      Tags: ['tag:server'],
      Preauthorized: true,
      Seconds: 3600,
      Description: 'of the test',
    });
    server = await startDevice(await network.add('server'), {
      programs: findPrograms(),
      controlUrl: loginServer,
      authKey: String(key.key),
      relayTls: true,
      up: ['--advertise-routes=10.1.0.0/24'],
    });
    const [device] = Object.values(await must(staging, 'devices.list')).map(Object);
    deviceId = String(device.nodeId);
    assert.equal(device.name, server.dnsName);
    assert.deepEqual(device.addresses, [...server.addresses]);
    assert.deepEqual([device.hostname, device.tags, device.authorized], ['server', ['tag:server'], true]);
    assert.equal(Object(await must(staging, 'devices.get', { ID: device.id })).nodeId, deviceId);
    const told = await eventually(
      () => received('nodeCreated', webhook.secret)[0] ?? null,
      'the webhook hears',
    );
    assert.deepEqual(told, { nodeID: deviceId, deviceName: server.dnsName, managedBy: 'tag:server' });
    const kept = await must(staging, 'keys.get', { ID: key.id });
    assert.equal(kept.key, '', 'told once');
    await must(staging, 'keys.delete', { ID: key.id });
    assert.equal(Object(await must(staging, 'keys.get', { ID: key.id })).invalid, true);
  });

  test('tags, renames and routes it, and the device sees it', async () => {
    await must(staging, 'devices.tag', { ID: deviceId, Tags: ['tag:server', 'tag:edge'] });
    await must(staging, 'devices.rename', { ID: deviceId, Name: 'edge-1' });
    const self = async (): Promise<ReturnType<typeof Object>> => Object((await server.status())['Self']);
    await eventually(async () => {
      const { DNSName, Tags } = await self();
      return DNSName === 'edge-1.staging.postern.internal.' && Tags.length === 2 ? true : null;
    }, 'the device has its new name and tags');
    const routes = await must(staging, 'devices.routes', { ID: deviceId });
    assert.deepEqual(routes, { advertisedRoutes: ['10.1.0.0/24'], enabledRoutes: [] });
    await must(staging, 'devices.setRoutes', { ID: deviceId, List: ['10.1.0.0/24'] });
    await eventually(
      async () => ((await self())['PrimaryRoutes']?.includes('10.1.0.0/24') === true ? true : null),
      'it carries the route',
    );
    await must(staging, 'devices.key', { ID: deviceId, On: true });
    await must(staging, 'devices.authorize', { ID: deviceId, On: false });
    await eventually(
      async () => (Object(await server.status())['BackendState'] === 'NeedsMachineAuth' ? true : null),
      'it waits for approval',
    );
    await must(staging, 'devices.authorize', { ID: deviceId, On: true });
    assert.equal(await refused(staging, 'devices.tag', { ID: deviceId, Tags: ['server'] }), 400);
  });

  test('sets every part of DNS and reads it back', async () => {
    await must(staging, 'dns.setNameservers', { List: ['9.9.9.9'] });
    await must(staging, 'dns.setSearchPaths', { List: ['corp.example.com'] });
    await must(staging, 'dns.setSplit', { Split: { 'corp.example.com': ['10.1.0.53'] } });
    assert.deepEqual(
      await must(staging, 'dns.updateSplit', { Split: { 'lab.example.com': ['10.1.0.54'] } }),
      {
        'corp.example.com': ['10.1.0.53'],
        'lab.example.com': ['10.1.0.54'],
      },
    );
    assert.deepEqual(Object.values(await must(staging, 'dns.nameservers')), ['9.9.9.9']);
    assert.deepEqual(Object.values(await must(staging, 'dns.searchPaths')), ['corp.example.com']);
    assert.deepEqual(await must(staging, 'dns.preferences'), { magicDNS: true });
    const whole = await must(staging, 'dns.configuration');
    assert.deepEqual(whole.nameservers, [{ address: '9.9.9.9' }]);
    await must(staging, 'dns.configure', {
      DNS: { nameservers: [{ address: '1.1.1.1' }], preferences: { magicDNS: true } },
    });
    assert.deepEqual(await must(staging, 'dns.split'), {});
    assert.equal(await refused(staging, 'dns.setNameservers', { List: ['not an address'] }), 400);
  });

  test('changes settings, of which the untold ones stay', async () => {
    await must(staging, 'settings.update', { Settings: { devicesKeyDurationDays: 30 } });
    await must(staging, 'settings.update', { Settings: { devicesApprovalOn: true } });
    const { devicesKeyDurationDays, devicesApprovalOn } = await must(staging, 'settings.get');
    assert.deepEqual([devicesKeyDurationDays, devicesApprovalOn], [30, true]);
    assert.equal(
      await refused(staging, 'settings.update', { Settings: { networkFlowLoggingOn: true } }),
      400,
    );
  });

  test('people of a tailnet are listed; one of machines has none', async () => {
    const [owner] = Object.values(await must(organization, 'users.list')).map(Object);
    assert.equal(owner.role, 'owner');
    assert.equal((await must(organization, 'users.get', { ID: owner.id })).loginName, owner.loginName);
    assert.deepEqual(Object.values(await must(staging, 'users.list')), []);
    assert.equal(await refused(staging, 'users.get', { ID: owner.id }), 404);
  });

  test('a narrow client does what its scopes say, and makes nothing wider', async () => {
    const made = await must(staging, 'keys.createClient', {
      Scopes: ['devices:core:read', 'auth_keys'],
      Tags: ['tag:server'],
    });
    const narrow = { credential: `${made.id}:${made.key}` };
    assert.equal(Object.values(await must(narrow, 'devices.list')).length, 1);
    await must(narrow, 'keys.create', { Tags: ['tag:server'] });
    assert.equal(await refused(narrow, 'keys.create', { Tags: ['tag:edge'] }), 400);
    assert.equal(await refused(narrow, 'devices.rename', { ID: deviceId, Name: 'mine' }), 403);
    assert.equal(await refused(narrow, 'policy.raw'), 403);
    const wider = { ID: made.id, Scopes: ['policy_file:read', 'devices:core:read'], Description: 'reads' };
    assert.deepEqual((await must(staging, 'keys.setClient', wider)).scopes, wider.Scopes);
    assert.equal((await must(narrow, 'policy.raw')).text, POLICY);
    assert.equal(await refused(narrow, 'keys.createClient', { Scopes: ['all'] }), 403);
    await must(staging, 'keys.delete', { ID: made.id });
    const { error } = await ask(narrow, 'devices.list');
    assert.match(String(error?.message), /invalid_client|401/, 'a revoked client gets no token');
  });

  test('another tailnet’s credential finds nothing of it, by name or by id', async () => {
    assert.deepEqual(Object.values(await must(production, 'devices.list')), []);
    for (const call of ['devices.get', 'devices.routes', 'devices.delete'])
      assert.equal(await refused(production, call, { ID: deviceId }), 404, call);
    for (const call of [
      'devices.list',
      'policy.raw',
      'keys.list',
      'dns.split',
      'settings.get',
      'tailnets.delete',
    ]) {
      assert.equal(await refused({ ...production, tailnet: stagingId }, call), 404, call);
      assert.equal(await refused({ ...production, tailnet: 'no-such-tailnet' }, call), 404, call);
    }
    assert.equal(
      Object.values(await must({ ...organization, tailnet: stagingId }, 'devices.list')).length,
      1,
    );
  });

  test('removes the device and the tailnet: nothing of both is left', async () => {
    await must(staging, 'devices.delete', { ID: deviceId });
    await eventually(
      async () => (Object(await server.status())['BackendState'] === 'NeedsLogin' ? true : null),
      'the device is out',
    );
    await eventually(() => received('nodeDeleted', webhook.secret)[0] ?? null, 'the webhook hears of it');
    const span = 'start=2020-01-01T00:00:00Z&end=2100-01-01T00:00:00Z';
    const log = await askFrom(
      machine,
      `${postern.url}/api/v2/tailnet/${stagingId}/logging/configuration?${span}`,
      {
        headers: ['authorization', `Bearer ${BREAK_GLASS}`],
      },
    );
    const actions = Object(JSON.parse(log.text)).logs.map((entry: { action: string }) => entry.action);
    assert.equal(actions[0], 'tailnet.device.remove');
    assert.ok(actions.includes('tailnet.webhook.create'));
    await must({ ...organization, tailnet: stagingId }, 'tailnets.delete');
    const { error } = await ask(staging, 'devices.list');
    assert.ok(error !== null, 'its client went with it');
    const left = Object.values(await must(organization, 'tailnets.list')).map((found) => Object(found).id);
    assert.ok(!left.includes(stagingId));
  });
});
