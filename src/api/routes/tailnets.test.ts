/** The policy of a tailnet over the API (issue 6): read with its tag, saved in person, refused with its failing tests. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { AppError } from '../../base/errors.ts';
import { caller, startTestApi, type TestApi, tokenCaller } from '../test-api.ts';
import type { TailnetsPort, TailnetView } from '../tailnets-port.ts';

const TAG = '"tag-of-the-policy"';
const HOME: TailnetView = {
  id: 'tn_1',
  name: 'home',
  kind: 'people',
  domain: 'home.postern.internal',
  keyExpiryDays: 180,
  deviceApproval: false,
  policy: null,
  policyTag: TAG,
  users: 1,
  devices: 0,
  online: 0,
  createdAt: 0,
};
const failures = [{ path: 'tests[0]', line: 4, message: 'alice to tag:web:22 should be accepted: denied' }];
const PATH = '/api/v1/tailnets/home';

const auditor = caller('local:2');
const admin = caller('local:4');
/** A token that was minted in person. */
const inPerson = tokenCaller('local:4', ['admin']);

const changes: unknown[] = [];
let t: TestApi;
before(async () => {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the part that is asked
  const tailnets = {
    get(name: string) {
      if (name === 'home') return HOME;
      throw new AppError('coordination_unknown', 'there is no such tailnet');
    },
    change(_name: string, change: Parameters<TailnetsPort['change']>[1]) {
      if (change.overPolicy !== undefined && change.overPolicy !== TAG)
        throw new AppError('network_policy_overtaken', 'somebody saved another policy');
      if (change.policy === 'failing')
        throw Object.assign(new AppError('network_policy_tests', 'line 4: a test fails'), { failures });
      changes.push(change);
      return Promise.resolve({ ...HOME, policyTag: '"next"' });
    },
  } as unknown as TailnetsPort;
  t = await startTestApi({ tailnets });
  t.world.access.set('local:2', { roles: new Set(['auditor']) });
  t.world.access.set('local:4', { roles: new Set(['admin']) });
});
after(() => t.close());

test('an auditor reads a tailnet with the tag of its policy; one that is not there is 404', async () => {
  const { status, headers, json } = await t.send(auditor, 'GET', PATH);
  assert.deepEqual([status, headers['etag'], json['policy_etag']], [200, TAG, TAG]);
  assert.equal((await t.send(auditor, 'GET', '/api/v1/tailnets/other')).status, 404);
});

test('a policy is saved in person only, over the one that was read; the log has its hash, not its text', async () => {
  const body = { policy: '{ "grants": [] }' };
  for (const who of [auditor, admin]) assert.equal((await t.send(who, 'PATCH', PATH, { body })).status, 403);
  const { status, headers } = await t.send(inPerson, 'PATCH', PATH, { body, headers: { 'if-match': TAG } });
  assert.deepEqual([status, headers['etag']], [200, '"next"']);
  assert.deepEqual(changes, [{ ...body, overPolicy: TAG }]);
  const row = t.world.store.audit.find(({ action }) => action === 'tailnet.change');
  assert.match(String(row?.facts['policy']), /^sha256:[0-9a-f]{64}$/);
  const overtaken = await t.send(inPerson, 'PATCH', PATH, { body, headers: { 'if-match': '"other"' } });
  assert.deepEqual([overtaken.status, overtaken.json['code']], [412, 'precondition_failed']);
});

test('a policy whose own tests fail is 422 with each of them', async () => {
  const { status, json } = await t.send(inPerson, 'PATCH', PATH, { body: { policy: 'failing' } });
  assert.deepEqual([status, json['code'], json['reason']], [422, 'document_refused', 'network_policy_tests']);
  assert.deepEqual(json['failures'], failures);
});

test('a policy of a million characters is taken, a longer one refused', async () => {
  const send = async (length: number): Promise<number> =>
    (await t.send(inPerson, 'PATCH', PATH, { body: { policy: ' '.repeat(length) } })).status;
  assert.equal(await send(1_000_000), 200);
  assert.equal(await send(1_000_001), 400);
});
