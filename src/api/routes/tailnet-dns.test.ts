/** DNS of a tailnet over the API: the whole is read and written, in the log, and what cannot be is refused. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { AppError } from '../../base/errors.ts';
import { caller, startTestApi, type TestApi, tokenCaller } from '../test-api.ts';
import type { TailnetDnsView, TailnetsPort } from '../tailnets-port.ts';

const auditor = caller('local:2');
const admin = caller('local:4');
/** A token that was minted in person. */
const inPerson = tokenCaller('local:4', ['admin']);
const PATH = '/api/v1/tailnets/home/dns';
const BODY = {
  magic_dns: false,
  resolvers: ['192.0.2.53'],
  split: { 'corp.example': ['192.0.2.54'] },
  search_domains: ['corp.example'],
  extra_records: [{ name: 'printer.corp.example', value: '192.0.2.9' }],
};

let current: TailnetDnsView = {
  magicDns: true,
  resolvers: [],
  split: {},
  searchDomains: [],
  extraRecords: [],
};
let t: TestApi;
before(async () => {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the part that is asked
  const tailnets = {
    dns(name: string) {
      if (name !== 'home') throw new AppError('coordination_unknown', 'there is no such tailnet');
      return current;
    },
    setDns(_name: string, dns: TailnetDnsView) {
      if (dns.resolvers.includes('x'))
        throw new AppError('coordination_invalid', 'a resolver is an IP address');
      current = dns;
      return Promise.resolve(dns);
    },
  } as unknown as TailnetsPort;
  t = await startTestApi({ tailnets });
  t.world.access.set('local:2', { roles: new Set(['auditor']) });
  t.world.access.set('local:4', { roles: new Set(['admin']) });
});
after(() => t.close());

test('an auditor reads it; a tailnet that is not there is 404', async () => {
  assert.equal((await t.send(auditor, 'GET', PATH)).json['magic_dns'], true);
  assert.equal((await t.send(auditor, 'GET', '/api/v1/tailnets/other/dns')).status, 404);
});

test('an admin writes all of it in person, and the log has how much; an auditor and an admin without presence do not', async () => {
  for (const who of [auditor, admin])
    assert.equal((await t.send(who, 'PUT', PATH, { body: BODY })).status, 403);
  const { status, json } = await t.send(inPerson, 'PUT', PATH, { body: BODY });
  assert.deepEqual([status, json], [200, BODY]);
  const row = t.world.store.audit.find(({ action }) => action === 'tailnet.dns.set');
  assert.deepEqual(row?.facts['resolvers'], 1);
  for (const wrong of [
    { ...BODY, split: { 'corp.example': [] } },
    { ...BODY, resolvers: ['x'] },
    { ...BODY, more: true },
    {},
  ])
    assert.equal((await t.send(inPerson, 'PUT', PATH, { body: wrong })).status, 400);
});
