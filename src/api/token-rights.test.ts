import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { BREAK_GLASS, startTestApi, tokenCaller, type TestApi } from './test-api.ts';

let t: TestApi;
beforeEach(async () => {
  t = await startTestApi();
});
afterEach(() => t.close());

describe('a token is never wider than its owner is now (DESIGN section 5)', () => {
  test("a person's metrics token ends with the right of the person", async () => {
    const token = tokenCaller('local:104', ['metrics']);
    t.world.access.set('local:104', { roles: new Set(['user']), readMetrics: true });
    assert.equal((await t.send(token, 'GET', '/metrics')).status, 200);
    t.world.access.set('local:104', { roles: new Set(['user']), readMetrics: false });
    assert.equal((await t.send(token, 'GET', '/metrics')).json['code'], 'role_missing');
    t.world.access.set('local:104', { roles: new Set(), readMetrics: false });
    assert.equal((await t.send(token, 'GET', '/metrics')).json['code'], 'role_missing');
  });

  test("a service's metrics token holds until it is revoked, and only with the scope", async () => {
    t.world.access.set('service:prometheus', { roles: new Set() });
    assert.equal(
      (await t.send(tokenCaller('service:prometheus', ['metrics']), 'GET', '/metrics')).status,
      200,
    );
    const other = await t.send(tokenCaller('service:prometheus', ['read']), 'GET', '/metrics');
    assert.equal(other.json['code'], 'scope_missing');
  });

  test('the break-glass token administers where tokens are taken, and nowhere else (section 4)', async () => {
    const headers = { authorization: `Bearer ${BREAK_GLASS}` };
    for (const [listener, status] of [
      ['loopback', 200],
      ['socket', 200],
      ['tailnet', 200],
      ['serve', 403],
    ] as const) {
      const answer = await t.send(null, 'GET', '/api/v1/audit', { headers, context: { listener } });
      assert.equal(answer.status, status, listener);
    }
  });
});
