import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type CoordinatorBed, hostOf, keyOf, openCoordinatorBed } from './coordinator-bed.fixture.ts';
import { approveLogin, type RegisterAnswer } from './registration.ts';

const MACHINE = keyOf('machine');
const NODE = keyOf('node-1');
const DAY_MS = 86_400_000;

function why(answer: RegisterAnswer): string {
  return answer.type === 'refused' ? answer.why : `not refused: ${answer.type}`;
}

describe('auth keys', () => {
  test('one for one device joins one, and never another; a restart of that device is no second use', async () => {
    const bed = await openCoordinatorBed();
    const home = await bed.add('home');
    const authKey = await bed.key(home);
    const node = bed.join(MACHINE, { nodeKey: NODE, authKey });
    assert.equal(node.userId, home.users()[0]?.id);
    assert.equal(node.keyExpiry, bed.coordinator.now() + 180 * DAY_MS);
    assert.equal(bed.join(MACHINE, { nodeKey: NODE, authKey }).id, node.id);
    const other = bed.ask(keyOf('other'), { nodeKey: keyOf('node-2'), authKey });
    assert.match(why(other), /not valid: it is unknown, expired, revoked or used/);
  });

  test('a reusable one joins many; names get numbers, addresses and ids are nobody else’s', async () => {
    const bed = await openCoordinatorBed();
    const authKey = await bed.key(await bed.add('home'), { isReusable: true });
    const nodes = Array.from({ length: 20 }, (_, at) =>
      bed.join(keyOf(`m${at}`), { nodeKey: keyOf(`n${at}`), authKey }),
    );
    assert.deepEqual(
      nodes.slice(0, 3).map(({ name }) => name),
      ['box', 'box-1', 'box-2'],
    );
    for (const field of ['id', 'stableId', 'ipv4', 'ipv6'] as const)
      assert.equal(new Set(nodes.map((node) => node[field])).size, 20);
    assert.ok(nodes.every(({ ipv4 }) => /^100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\./.test(ipv4)));
  });

  test('expired, revoked, unknown and used are refused in the same words', async () => {
    const bed = await openCoordinatorBed();
    const home = await bed.add('home');
    const [expired, revoked] = [await bed.key(home, { lifeMs: 1000 }), await bed.key(home)];
    await bed.admin.revokeAuthKey(home, home.keys().at(-1)?.id ?? '');
    bed.pass(2000);
    const words = [expired, revoked, 'pst_auth_unknown', ''].map((authKey, at) =>
      why(bed.ask(keyOf(`m${at}`), { nodeKey: keyOf(`n${at}`), authKey })),
    );
    assert.equal(new Set(words).size, 1);
    assert.match(words[0] ?? '', /not valid/);
  });

  test('tags of a key make a device nobody’s, and its key does not expire', async () => {
    const bed = await openCoordinatorBed();
    const authKey = await bed.key(await bed.add('home'), { tags: ['tag:ci', 'tag:x'], isReusable: true });
    const node = bed.join(MACHINE, { nodeKey: NODE, authKey, host: hostOf('ci', { tags: ['tag:x'] }) });
    assert.deepEqual([node.userId, node.tags, node.keyExpiry], [null, ['tag:ci', 'tag:x'], null]);
    const wrong = bed.ask(keyOf('m2'), {
      nodeKey: keyOf('n2'),
      authKey,
      host: hostOf('ci', { tags: ['tag:admin'] }),
    });
    assert.match(why(wrong), /tags are not permitted: tag:admin/);
  });

  test('a person’s key gives the tags that the policy lets the person give, and no other', async () => {
    const bed = await openCoordinatorBed();
    const authKey = await bed.key(await bed.add('home'), { isReusable: true });
    const own = bed.join(MACHINE, { nodeKey: NODE, authKey, host: hostOf('a', { tags: ['tag:own'] }) });
    assert.deepEqual([own.userId, own.tags], [null, ['tag:own']]);
    for (const tag of ['tag:other', 'own', 'tag:', 'tag:own\n'])
      assert.match(
        why(bed.ask(keyOf('m2'), { nodeKey: keyOf('n2'), authKey, host: hostOf('a', { tags: [tag] }) })),
        /not permitted/,
      );
  });

  test('where new devices are approved, only a preauthorized key spares the approval', async () => {
    const bed = await openCoordinatorBed();
    const home = await bed.add('home');
    await bed.admin.changeTailnet(home, { deviceApproval: true });
    assert.equal(bed.join(MACHINE, { nodeKey: NODE, authKey: await bed.key(home) }).isAuthorized, false);
    const authKey = await bed.key(home, { isPreauthorized: true });
    assert.equal(bed.join(keyOf('m2'), { nodeKey: keyOf('n2'), authKey }).isAuthorized, true);
  });
});

describe('keys of a device', () => {
  async function joined(): Promise<{ bed: CoordinatorBed; id: number }> {
    const bed = await openCoordinatorBed();
    const authKey = await bed.key(await bed.add('home'));
    return { bed, id: bed.join(MACHINE, { nodeKey: NODE, authKey }).id };
  }

  test('an expired one asks for a new one, and the device that signs in again is who it was', async () => {
    const { bed, id } = await joined();
    const [home] = bed.admin.tailnets();
    assert.ok(home !== undefined);
    bed.pass(181 * DAY_MS);
    assert.equal(bed.ask(MACHINE, { nodeKey: NODE }).type, 'key_expired');
    const [next, authKey] = [keyOf('node-2'), await bed.key(home)];
    const again = bed.join(MACHINE, { nodeKey: next, oldNodeKey: NODE, authKey });
    assert.equal(again.id, id);
    assert.equal(bed.coordinator.device(MACHINE, NODE), null, 'the old key is nobody’s');
    assert.equal(bed.coordinator.holder(NODE), null);
    assert.ok((again.keyExpiry ?? 0) > bed.coordinator.now());
  });

  test('logging out ends it at once, however long ago the device says (section 4)', async () => {
    const { bed, id } = await joined();
    assert.equal(bed.ask(MACHINE, { nodeKey: NODE, expiry: 123_000 }).type, 'key_expired');
    const node = bed.admin.tailnets()[0]?.node(id);
    assert.equal(node?.keyExpiry, bed.coordinator.now());
    assert.equal(bed.ask(MACHINE, { nodeKey: NODE }).type, 'key_expired');
    assert.equal(bed.ask(MACHINE, { nodeKey: keyOf('stranger'), expiry: 123_000 }).type, 'key_expired');
  });

  test('another machine with a known node key gets nothing, not even with a good auth key', async () => {
    const { bed } = await joined();
    const [home] = bed.admin.tailnets();
    assert.ok(home !== undefined);
    const authKey = await bed.key(home);
    assert.equal(bed.ask(keyOf('thief'), { nodeKey: NODE, authKey }).type, 'key_expired');
    assert.equal(home.nodes().length, 1);
  });

  test('an ephemeral device is forgotten when it logs out, or when it stays silent', async () => {
    const bed = await openCoordinatorBed({ ephemeralSilenceMs: 60_000 });
    const home = await bed.add('home');
    const authKey = await bed.key(home, { isEphemeral: true, isReusable: true });
    bed.join(MACHINE, { nodeKey: NODE, authKey });
    bed.ask(MACHINE, { nodeKey: NODE, expiry: 123_000 });
    assert.equal(home.nodes().length, 0);
    bed.join(MACHINE, { nodeKey: keyOf('n2'), authKey });
    bed.pass(59_000);
    assert.equal(home.nodes().length, 1, 'between registration and first poll it stays');
    bed.pass(2000);
    assert.equal(home.nodes().length, 0);
  });

  test('a new host name renames the device, unless an admin named it', async () => {
    const { bed, id } = await joined();
    const [home] = bed.admin.tailnets();
    assert.ok(home !== undefined);
    assert.equal(bed.join(MACHINE, { nodeKey: NODE, host: hostOf('Desk of Ann.local') }).name, 'desk-of-ann');
    const node = home.node(id);
    assert.ok(node !== null);
    await bed.admin.changeDevice(home, node, { name: 'desk' });
    assert.equal(bed.join(MACHINE, { nodeKey: NODE, host: hostOf('other') }).name, 'desk');
  });
});

describe('people who sign in', () => {
  test('a device without a key waits under a code until an admin lets it in, as that person’s', async () => {
    const bed = await openCoordinatorBed();
    const home = await bed.add('home');
    const asked = bed.ask(MACHINE, { nodeKey: NODE });
    assert.ok(asked.type === 'login');
    const { login } = asked;
    const wait = bed.ask(MACHINE, { nodeKey: NODE, followup: login.id });
    assert.equal(wait.type, 'wait');
    await bed.admin.approve(login, home, home.users()[0]?.id ?? 0);
    assert.deepEqual(await login.outcome, { type: 'approved' });
    assert.equal(bed.join(MACHINE, { nodeKey: NODE }).userId, home.users()[0]?.id);
  });

  test('the code of another machine or key is none', async () => {
    const bed = await openCoordinatorBed();
    await bed.add('home');
    const { login } = bed.ask(MACHINE, { nodeKey: NODE }) as Extract<RegisterAnswer, { type: 'login' }>;
    for (const [machine, nodeKey] of [
      [keyOf('thief'), NODE],
      [MACHINE, keyOf('n2')],
    ] as const)
      assert.equal(bed.ask(machine, { nodeKey, followup: login.id }).type, 'login');
  });

  test('nobody signs in to a tailnet of machines, by no way, and it has no users', async () => {
    const bed = await openCoordinatorBed();
    const farm = await bed.add('farm', 'machines');
    const home = await bed.add('home');
    assert.match(why(bed.ask(MACHINE, { nodeKey: NODE, tailnet: 'required:farm' })), /nobody can sign in/);
    assert.match(why(bed.ask(MACHINE, { nodeKey: NODE, tailnet: 'required:none' })), /nobody can sign in/);
    const { login } = bed.ask(MACHINE, { nodeKey: NODE }) as Extract<RegisterAnswer, { type: 'login' }>;
    const userId = home.users()[0]?.id ?? 0;
    assert.equal(
      approveLogin(bed.coordinator, login, { tailnet: farm, userId, by: 'admin' }).type,
      'refused',
    );
    const user = { login: 'a@example.com', displayName: 'A', role: 'member' } as const;
    await assert.rejects(bed.admin.addUser(farm, user), /no users/);
    const node = bed.join(keyOf('m2'), {
      nodeKey: keyOf('n2'),
      authKey: await bed.key(farm, { tags: ['tag:ci'] }),
    });
    const again = bed.ask(keyOf('m2'), { nodeKey: keyOf('n3'), oldNodeKey: node.nodeKey });
    assert.match(why(again), /nobody can sign in/, 'nor by renewing a key there');
  });

  test('a login that names a tailnet is approved for no other, and for no foreign user', async () => {
    const bed = await openCoordinatorBed();
    const [home, work] = [await bed.add('home'), await bed.add('work')];
    const { login } = bed.ask(MACHINE, { nodeKey: NODE, tailnet: 'required:work' }) as Extract<
      RegisterAnswer,
      { type: 'login' }
    >;
    const [homeUser, workUser] = [home.users()[0]?.id ?? 0, work.users()[0]?.id ?? 0];
    await assert.rejects(bed.admin.approve(login, home, homeUser), /another tailnet/);
    await assert.rejects(bed.admin.approve(login, work, homeUser), /no such user/);
    await bed.admin.approve(login, work, workUser);
    assert.equal(work.nodes().length, 1);
  });

  test('logins are few for a machine, few in all, and forgotten after 15 minutes', async () => {
    const bed = await openCoordinatorBed();
    for (let at = 0; at < 10; at += 1) bed.ask(MACHINE, { nodeKey: keyOf(`n${at}`) });
    assert.equal(bed.admin.logins().length, 4);
    for (let at = 0; at < 1100; at += 1) bed.ask(keyOf(`m${at}`), { nodeKey: keyOf(`k${at}`) });
    assert.equal(bed.admin.logins().length, 1000);
    const [oldest] = bed.admin.logins();
    bed.pass(15 * 60_000);
    assert.equal(bed.admin.logins().length, 0);
    assert.deepEqual(await oldest?.outcome, { type: 'forgotten' });
  });
});

describe('what lasts', () => {
  test('a registration is in the store before the device is told, and after a restart it is known', async () => {
    const bed = await openCoordinatorBed();
    const home = await bed.add('home');
    const node = bed.join(MACHINE, { nodeKey: NODE, authKey: await bed.key(home) });
    await bed.coordinator.ledger.durable();
    const later = await bed.reopen();
    assert.deepEqual(later.admin.tailnet('home').node(node.id), { ...node, lastSeen: node.lastSeen });
    assert.equal(later.ask(MACHINE, { nodeKey: NODE }).type, 'registered');
    const next = later.join(keyOf('m2'), {
      nodeKey: keyOf('n2'),
      authKey: await later.key(later.admin.tailnet('home')),
    });
    assert.ok(next.id > node.id);
  });

  test('an id is never given out again, not after a removal and a restart', async () => {
    const bed = await openCoordinatorBed();
    const home = await bed.add('home');
    const node = bed.join(MACHINE, { nodeKey: NODE, authKey: await bed.key(home) });
    await bed.admin.removeDevice(home, node);
    const later = await bed.reopen();
    const again = later.join(MACHINE, {
      nodeKey: NODE,
      authKey: await later.key(later.admin.tailnet('home')),
    });
    assert.ok(again.id > node.id);
    assert.notEqual(again.stableId, node.stableId);
  });

  test('a store that fails is told to whoever waits, and gets everything with the next write', async () => {
    const bed = await openCoordinatorBed();
    const home = await bed.add('home');
    const authKey = await bed.key(home);
    bed.store.fault = new Error('disk full');
    bed.join(MACHINE, { nodeKey: NODE, authKey });
    await assert.rejects(bed.coordinator.ledger.durable(), /disk full/);
    bed.store.fault = null;
    await bed.coordinator.ledger.durable();
    const later = await bed.reopen();
    assert.equal(later.ask(MACHINE, { nodeKey: NODE }).type, 'registered');
    assert.match(why(later.ask(keyOf('m2'), { nodeKey: keyOf('n2'), authKey })), /not valid/);
  });

  test('a stored record of another shape, or in another tailnet’s row, stops the start', async () => {
    const bed = await openCoordinatorBed();
    const home = await bed.add('home');
    bed.join(MACHINE, { nodeKey: NODE, authKey: await bed.key(home) });
    await bed.coordinator.ledger.durable();
    const row = [...bed.store.rows].find(([, { kind }]) => kind === 'node');
    assert.ok(row !== undefined);
    for (const change of [{ tailnet: 'tn_other' }, { body: '{}' }]) {
      bed.store.rows.set(row[0], { ...row[1], ...change });
      await assert.rejects(bed.reopen(), /has its own shape/);
    }
  });
});
