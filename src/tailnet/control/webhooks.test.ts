/** Webhooks of tailnets: which change is which event, whom it is told, and what their secrets are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CoordinatorBed, hostOf, keyOf, openCoordinatorBed } from './coordinator-bed.fixture.ts';
import { WEBHOOK_CATEGORY, type WebhookEvent } from './webhook-events.ts';
import { changeUser, removeUser } from './users.ts';

const DAY_MS = 86_400_000;
const HOOK = { url: 'https://example.com/hook', format: '', createdBy: 'test' } as const;

function listen({ admin }: CoordinatorBed): { readonly told: () => string[]; readonly all: WebhookEvent[] } {
  const all: WebhookEvent[] = [];
  let seen = 0;
  admin.webhooks.open((webhook, _secret, event) => void all.push({ ...event, message: webhook.id }));
  const told = (): string[] => {
    const news = all.slice(seen).map(({ type }) => type);
    seen = all.length;
    return news;
  };
  return { told, all };
}

test('devices: created, waiting, approved, a day from their end, expired, deleted; once each', async () => {
  const bed = await openCoordinatorBed();
  const work = await bed.add('work');
  const old = bed.join(keyOf('old'), {
    nodeKey: keyOf('o'),
    authKey: await bed.key(work),
    host: hostOf('old'),
  });
  const { told, all } = listen(bed);
  await bed.admin.webhooks.create(work.id, { ...HOOK, events: [WEBHOOK_CATEGORY] });
  assert.deepEqual(told(), [], 'what was there before is no news');
  await bed.admin.changeTailnet(work, { deviceApproval: true });
  const key = await bed.key(work, { isPreauthorized: false });
  const node = bed.join(keyOf('m'), { nodeKey: keyOf('n'), authKey: key, host: hostOf('laptop') });
  assert.deepEqual(told(), ['nodeCreated', 'nodeNeedsApproval']);
  assert.deepEqual(all[0]?.data, {
    nodeID: node.stableId,
    deviceName: 'laptop.work.test.internal',
    managedBy: work.users()[0]?.login,
  });
  await bed.admin.changeDevice(work, node, { isAuthorized: true });
  assert.deepEqual(told(), ['nodeApproved']);
  const approved = bed.admin.device(work, 'laptop');
  await bed.admin.changeDevice(work, approved, { keyExpiry: bed.coordinator.now() + DAY_MS + 5000 });
  await bed.admin.changeDevice(work, bed.admin.device(work, 'old'), { keyExpiry: null });
  bed.pass(4000);
  assert.deepEqual(told(), []);
  bed.pass(2000);
  bed.pass(1000);
  assert.deepEqual(told(), ['nodeKeyExpiringInOneDay']);
  bed.pass(DAY_MS);
  assert.deepEqual(told(), ['nodeKeyExpired']);
  await bed.admin.removeDevice(work, bed.admin.device(work, 'laptop'));
  assert.deepEqual(told(), ['nodeDeleted']);
  assert.equal(work.node(old.id)?.id, old.id);
});

test('people and the policy: created, another role, suspended, let back, deleted; the policy of before and of now', async () => {
  const bed = await openCoordinatorBed();
  const work = await bed.add('work');
  const { told, all } = listen(bed);
  await bed.admin.webhooks.create(work.id, { ...HOOK, events: [WEBHOOK_CATEGORY] });
  const { id } = await bed.admin.addUser(work, {
    login: 'bo@example.com',
    displayName: 'Bo',
    role: 'member',
  });
  const user = () => {
    const found = work.user(id);
    assert.ok(found !== null);
    return found;
  };
  await changeUser(bed.coordinator, work, user(), { role: 'admin' });
  await changeUser(bed.coordinator, work, user(), { isSuspended: true });
  await changeUser(bed.coordinator, work, user(), { isSuspended: false });
  await removeUser(bed.coordinator, work, user());
  const expected = ['userCreated', 'userRoleUpdated', 'userSuspended', 'userRestored', 'userDeleted'];
  assert.deepEqual(told(), expected);
  assert.deepEqual(all[1]?.data, { user: 'bo@example.com', oldRoles: ['member'], newRoles: ['admin'] });
  await bed.admin.changeTailnet(work, { policy: '{ "acls": [] }' });
  await bed.admin.changeTailnet(work, { keyExpiryDays: 3 });
  assert.deepEqual(told(), ['policyUpdate']);
  assert.deepEqual(all.at(-1)?.data, { oldPolicy: '', newPolicy: '{ "acls": [] }' });
});

test('an event goes to the webhooks of its own tailnet that asked for it, and to nobody when the tailnet goes', async () => {
  const bed = await openCoordinatorBed();
  const [work, other] = [await bed.add('work'), await bed.add('other')];
  const { told, all } = listen(bed);
  const { webhooks } = bed.admin;
  const wants = await webhooks.create(work.id, { ...HOOK, events: ['nodeCreated'] });
  await webhooks.create(work.id, { ...HOOK, events: ['policyUpdate'] });
  await webhooks.create(other.id, { ...HOOK, events: [WEBHOOK_CATEGORY] });
  bed.join(keyOf('m'), { nodeKey: keyOf('n'), authKey: await bed.key(work), host: hostOf('laptop') });
  assert.deepEqual(told(), ['nodeCreated']);
  assert.equal(all[0]?.message, wants.id);
  await webhooks.setEvents(wants, ['nodeDeleted']);
  await bed.admin.deleteTailnet(work);
  assert.deepEqual(told(), []);
  assert.deepEqual(webhooks.list(work.id), []);
});

test('a secret is the webhook’s own, another after rotation, and the same after a restart', async () => {
  const bed = await openCoordinatorBed();
  const work = await bed.add('work');
  const { webhooks } = bed.admin;
  const one = await webhooks.create(work.id, { ...HOOK, events: ['nodeCreated'] });
  const two = await webhooks.create(work.id, { ...HOOK, events: ['nodeCreated'] });
  const rotated = await webhooks.rotate(one);
  const secrets = [one, two, rotated].map((webhook) => webhooks.secretOf(webhook).reveal());
  assert.equal(new Set(secrets).size, 3);
  for (const secret of secrets) {
    assert.match(secret, /^pstw_\w{40,}$/);
    assert.ok(!JSON.stringify(await bed.store.listControlRecords()).includes(secret));
  }
  const again = await bed.reopen();
  const kept = again.admin.webhooks.get(work.id, one.id);
  assert.ok(kept !== null);
  assert.equal(again.admin.webhooks.secretOf(kept).reveal(), secrets[2]);
});

test('an address that is none, an event that is none, and the hundred-and-first webhook are refused', async () => {
  const bed = await openCoordinatorBed();
  const work = await bed.add('work');
  const { webhooks } = bed.admin;
  for (const url of [
    '',
    'ftp://example.com',
    'https://user:word@example.com',
    `https://e.com/${'a'.repeat(2000)}`,
  ])
    await assert.rejects(webhooks.create(work.id, { ...HOOK, url, events: ['nodeCreated'] }), /endpointUrl/);
  for (const events of [[], ['subnetIPForwardingNotEnabled'], ['nodeCreated', 'nothing']])
    await assert.rejects(webhooks.create(work.id, { ...HOOK, events }), /subscriptions/);
  const made = await webhooks.create(work.id, { ...HOOK, events: ['nodeCreated'] });
  await assert.rejects(webhooks.setEvents(made, ['nothing']), /subscriptions/);
  for (let i = 1; i < 100; i += 1) await webhooks.create(work.id, { ...HOOK, events: ['nodeCreated'] });
  await assert.rejects(webhooks.create(work.id, { ...HOOK, events: ['nodeCreated'] }), /at most 100/);
});
