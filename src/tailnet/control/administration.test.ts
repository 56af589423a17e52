import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ALLOW_ALL } from './control-bed.fixture.ts';
import { keyOf, openCoordinatorBed } from './coordinator-bed.fixture.ts';
import { DEFAULT_DNS } from './records.ts';

test('a tailnet has a name that is a DNS label and nobody else’s', async () => {
  const bed = await openCoordinatorBed();
  await bed.add('home');
  for (const name of ['', 'Home', 'a.b', '-a', 'x'.repeat(64)])
    await assert.rejects(bed.admin.createTailnet({ name, kind: 'people' }), /a tailnet name has/);
  await assert.rejects(bed.admin.createTailnet({ name: 'home', kind: 'people' }), /already/);
  assert.throws(() => bed.admin.tailnet('other'), /no such tailnet/);
});

test('a policy that does not compile makes no tailnet and changes none', async () => {
  const compiler = {
    compile(): never {
      throw new Error('line 1');
    },
  };
  const bed = await openCoordinatorBed({ compiler });
  await assert.rejects(bed.admin.createTailnet({ name: 'x', kind: 'people', policy: '{' }), /line 1/);
  const [tailnet] = bed.admin.tailnets();
  assert.equal(tailnet, undefined);
});

test('an auth key is for a known user or has tags, for at most 90 days', async () => {
  const bed = await openCoordinatorBed();
  const home = await bed.add('home');
  const wrong = [
    [{ userId: null }, /for a user or has tags/],
    [{ tags: ['tag:x'], userId: 3 }, /for a user or has tags/],
    [{ userId: 999 }, /no such user/],
    [{ tags: ['x'] }, /a tag is/],
    [{ lifeMs: 91 * 86_400_000 }, /at most 90 days/],
    [{ lifeMs: Number.NaN }, /at most 90 days/],
  ] as const;
  for (const [more, words] of wrong) await assert.rejects(bed.key(home, more), words);
  await assert.rejects(bed.admin.revokeAuthKey(home, 'ak_other'), /no such auth key/);
});

test('users, DNS settings, days and devices are checked', async () => {
  const bed = await openCoordinatorBed();
  const home = await bed.add('home');
  const user = { displayName: 'A', role: 'member' } as const;
  await assert.rejects(bed.admin.addUser(home, { ...user, login: 'alice' }), /a login is like/);
  await assert.rejects(bed.admin.addUser(home, { ...user, login: 'Alice@Example.com' }), /already/);
  const dns = [
    { resolvers: ['dns.example.com'] },
    { split: { 'bad name': ['192.0.2.1'] } },
    { searchDomains: ['a..b'] },
    { extraRecords: [{ name: 'x.test', value: 'y' }] },
  ];
  for (const change of dns)
    await assert.rejects(bed.admin.changeTailnet(home, { dns: { ...DEFAULT_DNS, ...change } }));
  await assert.rejects(bed.admin.changeTailnet(home, { keyExpiryDays: -1 }), /0 \(never\) to 3650/);
  const authKey = await bed.key(home, { isReusable: true });
  const a = bed.join(keyOf('ma'), { nodeKey: keyOf('na'), authKey });
  bed.join(keyOf('mb'), { nodeKey: keyOf('nb'), authKey });
  for (const change of [
    { name: 'box-1' },
    { name: 'B' },
    { tags: [] },
    { tags: ['x'] },
    { approvedRoutes: ['x'] },
  ])
    await assert.rejects(bed.admin.changeDevice(home, a, change));
  assert.throws(() => bed.admin.device(home, 'nobody'), /no such device/);
  assert.throws(() => bed.admin.login('none'), /no device waits/);
});

test('a stored policy that compiles no more stops no start, denies everything, and can be replaced', async () => {
  let isBroken = false;
  const compiler = {
    compile(...asked: Parameters<typeof ALLOW_ALL.compile>) {
      if (isBroken) throw new Error('line 1');
      return ALLOW_ALL.compile(...asked);
    },
  };
  const bed = await openCoordinatorBed({ compiler });
  const home = await bed.add('home');
  const authKey = await bed.key(home, { isReusable: true });
  const a = bed.join(keyOf('ma'), { nodeKey: keyOf('na'), authKey });
  bed.join(keyOf('mb'), { nodeKey: keyOf('nb'), authKey });
  await bed.coordinator.ledger.durable();
  isBroken = true;
  const later = await bed.reopen();
  const again = later.admin.tailnet('home');
  assert.equal(again.rules.peersOf(a.id).size, 0);
  await assert.rejects(later.admin.changeTailnet(again, { policy: '{' }), /line 1/);
  isBroken = false;
  await later.admin.changeTailnet(again, { policy: '{}' });
  assert.equal(again.rules.peersOf(a.id).size, 1);
});
