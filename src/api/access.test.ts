import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Caller } from '../identity/caller.ts';
import type { RouteAccess } from './access.ts';
import { CONSOLE_PATHS } from './console/addresses.ts';
import type { RegisteredRoute } from './router.ts';
import {
  type Answer,
  BREAK_GLASS,
  caller,
  type SendOptions,
  startTestApi,
  type TestApi,
  tokenCaller,
} from './test-api.ts';

/** Not built in these tests, and tested with the console. */
const CONSOLE_PAGES: ReadonlySet<string> = new Set(CONSOLE_PATHS);
const nobody = caller('local:100');
const user = caller('local:101');
const auditor = caller('local:102');
const admin = caller('local:103');

let t: TestApi;
before(async () => {
  t = await startTestApi();
  t.world.access.set('local:101', { roles: new Set(['user']) });
  t.world.access.set('local:102', { roles: new Set(['auditor']) });
  t.world.access.set('local:103', { roles: new Set(['admin', 'user']) });
  t.world.access.set('local:104', { roles: new Set(['admin']), readMetrics: true, readPricing: true });
});
after(() => t.close());

function send(as: Caller | null, route: RegisteredRoute, options: SendOptions = {}): Promise<Answer> {
  const path = route.path.replaceAll(/\{\w+(?:\{[^}]*\})?\}/g, 'x');
  const isWrite = route.method !== 'get';
  return t.send(as, route.method.toUpperCase(), path, isWrite ? { body: {}, ...options } : options);
}

const name = (route: RegisteredRoute): string => `${route.method.toUpperCase()} ${route.path}`;

/** Callers who are just below what a route asks, and the code that each must get. */
function lesserCallers(access: RouteAccess): (readonly [who: string, Caller | null, code: string])[] {
  const lesser: (readonly [string, Caller | null, string])[] = [['nobody known', null, 'identity_required']];
  const byRole: Record<RouteAccess['role'], readonly [string, Caller][]> = {
    public: [],
    known: [],
    user: [['no role', nobody]],
    auditor: [
      ['no role', nobody],
      ['a user', user],
    ],
    admin: [
      ['no role', nobody],
      ['a user', user],
      ['an auditor', auditor],
    ],
    metrics: [
      ['no role', nobody],
      ['a user', user],
      ['an admin', admin],
    ],
    pricing: [
      ['no role', nobody],
      ['a user', user],
      ['an admin', admin],
    ],
  };
  for (const [who, as] of byRole[access.role]) lesser.push([who, as, 'role_missing']);
  const others = {
    use: ['read', 'admin', 'metrics'],
    read: ['use', 'metrics'],
    admin: ['use', 'read', 'metrics'],
    metrics: ['use', 'read', 'admin'],
  } as const;
  if (access.scope !== null)
    lesser.push([
      'a token without the scope',
      tokenCaller('local:104', others[access.scope]),
      'scope_missing',
    ]);
  if (access.presence) lesser.push(['an admin without presence', caller('local:104'), 'presence_required']);
  return lesser;
}

describe('authorisation (DESIGN sections 5 and 12)', () => {
  test('every route refuses every lesser caller, before it reads the body', async () => {
    for (const route of t.api.routes) {
      if (route.access.role === 'public') continue;
      for (const [who, as, code] of lesserCallers(route.access)) {
        const answer = await send(as, route, route.method === 'get' ? {} : { raw: '{not json' });
        assert.equal(answer.json['code'], code, `${name(route)} as ${who}: ${answer.text}`);
        assert.equal(answer.headers['content-type'], 'application/problem+json', name(route));
      }
    }
  });

  test('only liveness and readiness need no identity', () => {
    const open = t.api.routes.filter((route) => route.access.role === 'public').map((route) => route.path);
    assert.deepEqual(open, ['/healthz', '/readyz']);
  });

  test('every write of others than oneself needs presence and the scope admin', () => {
    const writes = t.api.routes.filter((route) => route.method !== 'get' && route.access.role === 'admin');
    const checks = writes.filter((route) => !route.access.presence).map(name);
    assert.deepEqual(checks.sort(), [
      'POST /aperture/config:validate',
      'POST /api/v1/config/diff',
      'POST /api/v1/config/edit',
      'POST /api/v1/config/validate',
      'POST /api/v1/tailnets/{tailnet}/policy/check',
      'POST /api/v1/tailnets/{tailnet}/policy/explain',
    ]);
    assert.deepEqual(
      writes.filter((route) => route.access.presence && route.access.scope !== 'admin'),
      [],
    );
  });

  test('without identity a socket answers 403, a listener that takes tokens 401 with a challenge', async () => {
    const overSocket = await t.send(null, 'GET', '/api/v1/whoami', { context: { listener: 'socket' } });
    assert.equal(overSocket.status, 403);
    const overLoopback = await t.send(null, 'GET', '/api/v1/whoami');
    assert.equal(overLoopback.status, 401);
    assert.match(String(overLoopback.headers['www-authenticate']), /Bearer/);
    assert.equal((await t.send(null, 'GET', '/api/v1/no-such-path')).status, 401);
  });

  test('presence_required names the page: on this machine localhost, over HTTPS the own origin', async () => {
    const here = await t.send(caller('local:104'), 'POST', '/api/v1/keys', { body: {} });
    assert.equal(here.json['presence_url'], `http://localhost:${t.port}/presence`);
    const there = await t.send(caller('local:104'), 'POST', '/api/v1/keys', {
      body: {},
      headers: { host: 'ai.example.ts.net' },
      context: { secure: true, listener: 'tailnet' },
    });
    assert.equal(there.json['presence_url'], 'https://ai.example.ts.net/presence');
  });

  test('the break-glass token acts as the operator, and only the exact text does', async () => {
    const right = await t.send(null, 'GET', '/api/v1/whoami', {
      headers: { authorization: `Bearer ${BREAK_GLASS}` },
    });
    assert.equal(right.json['principal'], 'operator');
    assert.equal(right.json['presence'], 'break-glass');
    for (const text of [`Bearer ${BREAK_GLASS}x`, BREAK_GLASS, 'Bearer ', `Basic ${BREAK_GLASS}`]) {
      assert.equal(
        (await t.send(null, 'GET', '/api/v1/whoami', { headers: { authorization: text } })).status,
        401,
        text,
      );
    }
  });

  test('the operator is refused by no route for want of role, scope or presence', async () => {
    for (const route of t.api.routes) {
      if (
        route.path === '/api/v1/events' ||
        CONSOLE_PAGES.has(route.path) ||
        route.access.role === 'metrics' ||
        route.access.role === 'pricing'
      )
        continue;
      const answer = await send(null, route, {
        headers: { 'x-postern-authorization': `Bearer ${BREAK_GLASS}` },
      });
      assert.ok(
        !['identity_required', 'role_missing', 'scope_missing', 'presence_required'].includes(
          String(answer.json['code']),
        ),
        `${name(route)}: ${answer.text}`,
      );
      assert.ok(answer.status < 500, `${name(route)}: ${answer.text}`);
    }
  });
});

describe('writes and browsers (DESIGN section 4)', () => {
  const FOREIGN = [
    ['origin', 'https://evil.example'],
    ['origin', 'null'],
    ['sec-fetch-site', 'cross-site'],
    ['sec-fetch-site', 'same-site'],
  ] as const;
  const asOperator = { authorization: `Bearer ${BREAK_GLASS}` };

  test('no write is taken from another origin or as a form', async () => {
    for (const route of t.api.routes.filter((candidate) => candidate.method !== 'get')) {
      for (const [header, value] of FOREIGN) {
        const answer = await send(null, route, { headers: { ...asOperator, [header]: value } });
        assert.equal(answer.json['code'], 'origin_foreign', `${name(route)} ${header}: ${value}`);
      }
      for (const type of [
        'application/x-www-form-urlencoded',
        'text/plain',
        'multipart/form-data; boundary=x',
        'application/jsonx',
      ]) {
        const answer = await send(null, route, { headers: { ...asOperator, 'content-type': type } });
        assert.equal(answer.status, 415, `${name(route)} ${type}`);
      }
    }
  });

  test('no GET changes anything: every write has another method', () => {
    const verbs = /\/(promote|retire|revoke|rollback|approve|confirm|poll|redeem|claim)$/;
    assert.deepEqual(
      t.api.routes.filter(
        (route) => route.method === 'get' && verbs.test(route.path) && route.path !== '/claim',
      ),
      [],
    );
  });

  test('every answer says nosniff, no-store and a closed content policy, and none grants CORS', async () => {
    for (const route of t.api.routes) {
      if (route.path === '/api/v1/events' || CONSOLE_PAGES.has(route.path)) continue;
      const { headers } = await send(admin, route, { headers: { origin: `http://localhost:${t.port}` } });
      assert.equal(headers['x-content-type-options'], 'nosniff', name(route));
      assert.equal(headers['cache-control'], 'no-store', name(route));
      assert.match(
        String(headers['content-security-policy']),
        /default-src 'none'.*frame-ancestors 'none'/,
        name(route),
      );
      assert.match(String(headers['x-postern-request-id']), /^req_/, name(route));
      assert.deepEqual(
        Object.keys(headers).filter((header) => header.startsWith('access-control-')),
        [],
        name(route),
      );
    }
  });

  test('a body over the limit is 413, and malformed JSON 400', async () => {
    const large = await t.send(admin, 'POST', '/api/v1/tokens', {
      raw: `{"name":"${'x'.repeat(70_000)}"}`,
    });
    assert.equal(large.status, 413);
    assert.equal(large.json['code'], 'body_too_large');
    const chunked = await t.send(admin, 'POST', '/api/v1/tokens', {
      raw: `{"name":"${'x'.repeat(70_000)}"}`,
      headers: { 'transfer-encoding': 'chunked' },
    });
    assert.equal(chunked.status, 413);
    const malformed = await t.send(admin, 'POST', '/api/v1/tokens', { raw: '{"name":' });
    assert.equal(malformed.status, 400);
    assert.equal(malformed.json['code'], 'invalid_request');
  });

  test('a known path with another method is 405 and says which', async () => {
    const answer = await t.send(user, 'DELETE', '/api/v1/whoami');
    assert.equal(answer.status, 405);
    assert.equal(answer.headers['allow'], 'GET');
  });
});
