import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { type RequestFacts, createRequestGuard, loopbackHosts } from './request-guard.ts';

const guard = createRequestGuard({ hosts: loopbackHosts(8080), scheme: 'http' });

function facts(headers: Record<string, string>, more: Partial<RequestFacts> = {}): RequestFacts {
  return {
    method: 'POST',
    target: '/api/v1/tokens',
    rawHeaders: Object.entries({
      Host: 'localhost:8080',
      'Content-Type': 'application/json',
      ...headers,
    }).flat(),
    jsonWrites: true,
    ...more,
  };
}

function verdict(of: RequestFacts, by = guard): string {
  const answer = by.checkRequest(of);
  return answer.ok ? 'ok' : `${answer.status} ${answer.code}`;
}

describe('Host is in a closed list (DESIGN section 4)', () => {
  for (const host of ['localhost:8080', 'LOCALHOST:8080', '127.0.0.1:8080', '[::1]:8080']) {
    test(`accepts ${host}`, () => assert.equal(verdict(facts({ Host: host })), 'ok'));
  }
  for (const host of [
    'evil.example',
    'localhost',
    'localhost:80',
    'localhost:8080.evil.example',
    'localhost:8080,evil.example',
    '127.0.0.1.nip.io:8080',
    '0.0.0.0:8080',
    '',
    'localhost:8080 ',
    '127.1:8080',
  ]) {
    test(`refuses the rebinding Host ${JSON.stringify(host)} with 421`, () =>
      assert.equal(verdict(facts({ Host: host })), '421 host_unknown'));
  }

  test('refuses no Host, two Hosts and targets that name a host', () => {
    assert.equal(
      verdict({ ...facts({}), rawHeaders: ['content-type', 'application/json'] }),
      '400 request_invalid',
    );
    assert.equal(
      verdict({ ...facts({}), rawHeaders: ['Host', 'localhost:8080', 'hOST', 'localhost:8080'] }),
      '400 request_invalid',
    );
    for (const target of [
      'http://localhost:8080/x',
      'http://evil.example/x',
      '*',
      'localhost:8080',
      '',
      '//evil.example/x',
    ]) {
      assert.equal(verdict(facts({}, { target })), '400 request_invalid', target);
    }
  });

  test('refuses dot segments in the path, encoded too, and no others (RFC 3986 section 5.2.4)', () => {
    for (const target of [
      '/v1/../api',
      '/v1/%2e%2E/api',
      '/v1/.%2e',
      '/./api',
      '/api/.',
      '/%2E/api',
      '/a/..?x',
    ])
      assert.equal(verdict(facts({}, { target })), '400 request_invalid', target);
    for (const target of ['/v1/...', '/.well-known/x', '/v1/a..b', '/v1/x?path=/../y', '/v1/%2fx'])
      assert.equal(verdict(facts({}, { target })), 'ok', target);
  });

  test('follows when names change', () => {
    const own = createRequestGuard({ hosts: ['a.ts.net'], scheme: 'https' });
    assert.equal(verdict(facts({ Host: 'b.ts.net' }), own), '421 host_unknown');
    own.setHosts(['B.ts.net']);
    assert.equal(verdict(facts({ Host: 'b.ts.net' }), own), 'ok');
    assert.equal(verdict(facts({ Host: 'a.ts.net' }), own), '421 host_unknown');
  });
});

describe('no foreign page is behind a request', () => {
  test('a program, which sends neither header, passes', () => assert.equal(verdict(facts({})), 'ok'));

  test('the own page passes', () => {
    assert.equal(verdict(facts({ Origin: 'http://localhost:8080', 'Sec-Fetch-Site': 'same-origin' })), 'ok');
    assert.equal(
      verdict(facts({ 'Sec-Fetch-Site': 'none', 'Sec-Fetch-Mode': 'navigate' }, { method: 'GET' })),
      'ok',
    );
  });

  for (const origin of [
    'null',
    'http://evil.example',
    'http://localhost:3000',
    'https://localhost:8080',
    'http://127.0.0.1:8080',
    'chrome-extension://abc',
    '',
    'http://localhost:8080.evil.example',
    'http://evil.example, http://localhost:8080',
  ]) {
    test(`refuses Origin ${JSON.stringify(origin)}`, () =>
      assert.equal(verdict(facts({ Origin: origin })), '403 origin_foreign'));
  }
  test('refuses two Content-Types, of which a page could send the harmless one', () => {
    const twice = { ...facts({}), rawHeaders: [...facts({}).rawHeaders, 'content-type', 'text/plain'] };
    assert.equal(verdict(twice), '400 request_invalid');
  });

  test('refuses two Origins', () => {
    const { rawHeaders } = facts({ Origin: 'http://evil.example' });
    assert.equal(
      verdict({ ...facts({}), rawHeaders: [...rawHeaders, 'Origin', 'http://localhost:8080'] }),
      '403 origin_foreign',
    );
  });

  const crossSite: readonly (readonly [string, Partial<RequestFacts>, Record<string, string>])[] = [
    [
      'a form',
      { method: 'POST' },
      {
        Origin: 'https://evil.example',
        'Sec-Fetch-Site': 'cross-site',
        'Sec-Fetch-Mode': 'navigate',
        'Content-Type': 'application/x-www-form-urlencoded',
      },
    ],
    ['a form of a sandboxed page', { method: 'POST' }, { Origin: 'null', 'Content-Type': 'text/plain' }],
    [
      'fetch without CORS',
      { method: 'POST' },
      { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors' },
    ],
    [
      'an image',
      { method: 'GET' },
      { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image' },
    ],
    [
      'an image of another port of this host',
      { method: 'GET' },
      { 'Sec-Fetch-Site': 'same-site', 'Sec-Fetch-Mode': 'no-cors' },
    ],
    ['a link', { method: 'GET' }, { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate' }],
    [
      'a frame',
      { method: 'GET', linkable: true },
      { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'nested-navigate' },
    ],
    ['an event stream', { method: 'GET' }, { Origin: 'https://evil.example', Accept: 'text/event-stream' }],
    [
      'a WebSocket',
      { method: 'GET' },
      { Origin: 'https://evil.example', Upgrade: 'websocket', Connection: 'Upgrade' },
    ],
    [
      'a preflight',
      { method: 'OPTIONS' },
      { Origin: 'https://evil.example', 'Access-Control-Request-Method': 'PUT' },
    ],
    [
      'a form on a page that may be linked to',
      { method: 'POST', linkable: true },
      { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate' },
    ],
    ['a made-up Sec-Fetch-Site', { method: 'GET' }, { 'Sec-Fetch-Site': 'friendly' }],
  ];
  for (const [what, more, headers] of crossSite) {
    test(`refuses ${what} of another site`, () =>
      assert.equal(verdict(facts(headers, more)), '403 origin_foreign'));
  }

  test('lets a link lead to a page that says so', () => {
    const headers = { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate' };
    assert.equal(verdict(facts(headers, { method: 'GET', linkable: true })), 'ok');
  });

  test('lets granted origins call', () => {
    const open = createRequestGuard({
      hosts: ['localhost:8080'],
      origins: ['https://app.example'],
      scheme: 'http',
    });
    assert.equal(
      verdict(facts({ Origin: 'https://app.example', 'Sec-Fetch-Site': 'cross-site' }), open),
      'ok',
    );
    assert.equal(verdict(facts({ Origin: 'http://app.example' }), open), '403 origin_foreign');
  });

  test('knows its own origin behind a proxy that ends TLS, with and without the default port', () => {
    const behind = createRequestGuard({ hosts: ['p.ts.net', 'p.ts.net:443'], scheme: 'either' });
    assert.equal(verdict(facts({ Host: 'p.ts.net', Origin: 'https://p.ts.net' }), behind), 'ok');
    assert.equal(verdict(facts({ Host: 'p.ts.net:443', Origin: 'https://p.ts.net' }), behind), 'ok');
    assert.equal(
      verdict(facts({ Host: 'p.ts.net', Origin: 'https://q.ts.net' }), behind),
      '403 origin_foreign',
    );
  });
});

describe('a write on an API path is JSON', () => {
  for (const type of [
    'application/json',
    'application/json; charset=utf-8',
    'Application/JSON',
    'application/hujson',
    'application/merge-patch+json',
  ]) {
    test(`accepts ${type}`, () => assert.equal(verdict(facts({ 'Content-Type': type })), 'ok'));
  }
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonp',
    'text/plain; application/json',
    '',
  ]) {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'BREW']) {
      test(`refuses ${method} with ${JSON.stringify(type)}`, () =>
        assert.equal(verdict(facts({ 'Content-Type': type }, { method })), '415 media_type_wrong'));
    }
  }
  test('refuses a POST without a media type, lets a DELETE and reads be without', () => {
    const bare = (method: string): RequestFacts => ({
      ...facts({}, { method }),
      rawHeaders: ['host', 'localhost:8080'],
    });
    assert.equal(verdict(bare('POST')), '415 media_type_wrong');
    for (const method of ['DELETE', 'GET', 'HEAD', 'OPTIONS']) assert.equal(verdict(bare(method)), 'ok');
  });
  test('does not concern surfaces that take uploads', () => {
    assert.equal(
      verdict(facts({ 'Content-Type': 'multipart/form-data; boundary=x' }, { jsonWrites: false })),
      'ok',
    );
  });
});

test('never throws, whatever the headers', () => {
  fc.assert(
    fc.property(fc.array(fc.string()), fc.string(), fc.string(), (rawHeaders, method, target) => {
      const answer = guard.checkRequest({ method, target, rawHeaders, jsonWrites: true });
      assert.equal(typeof answer.ok, 'boolean');
    }),
  );
});
