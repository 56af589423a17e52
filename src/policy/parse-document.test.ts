import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Secret } from '../base/secret.ts';
import { parseGatewayDocument, type ParseOptions } from './parse-document.ts';

const API: ParseOptions = { source: 'api', adminsElsewhere: true };
const FILE: ParseOptions = { source: 'file', adminsElsewhere: true };

const OPENAI = '"openai": {"baseurl": "https://api.openai.com", "models": ["gpt-5"]}';
function grant(capability: string, src = '["*"]'): string {
  return `{"src": ${src}, "app": {"postern.dev/cap/gateway": [${capability}]}}`;
}
function withGrant(capability: string, more = '', src = '["*"]'): string {
  return `{"providers": {${OPENAI}}, "grants": [${grant(capability, src)}]${more}}`;
}
const USER = '{"role": "user"}, {"models": "**"}';

test('documents: a whole Aperture document is read, with every section in its meaning', () => {
  const text = readFileSync(
    new URL('../../test/corpus/documents/aperture-full.hujson', import.meta.url),
    'utf8',
  );
  const { document, problems } = parseGatewayDocument(text, { source: 'file' });
  assert.deepEqual(
    problems.filter((one) => one.severity === 'error'),
    [],
  );
  assert.deepEqual([...document.providers.keys()], ['openai', 'anthropic', 'vertex', 'bedrock', 'local']);
  assert.deepEqual(document.providers.get('local')?.compatibility, ['openai_chat']);
  assert.deepEqual(document.providers.get('anthropic')?.compatibility, ['anthropic_messages']);
  assert.equal(document.providers.get('local')?.baseUrl?.href, 'http://10.0.0.5:8000');
  assert.equal(document.aliases.get('fast')?.targets[0], 'openai/gpt-5-mini');
  assert.deepEqual(document.quotas.get('daily:<user>')?.rate, { amount: 5e9, periodMs: 86_400_000 });
  assert.equal(document.hooks.get('scrubber')?.timeoutMs, 2000);
  assert.equal(document.retention?.durationMs, 30 * 86_400_000);
  assert.ok(document.connectors.has('github'));
  assert.deepEqual(document.disabled, []);
  const codes = new Set(problems.map((one) => one.code));
  for (const code of [
    'deprecated_key',
    'stray_version',
    'secret_in_document',
    'not_built',
    'unknown_strategy',
  ] as const) {
    assert.ok(codes.has(code), code);
  }
});

test('documents: secrets come out wrapped, and no problem shows one', () => {
  const text = `{"providers": {"p": {"baseurl": "https://x.test", "models": ["m"], "apikey": "sk-very-secret-key"}}}`;
  const { document, problems } = parseGatewayDocument(text, FILE);
  const key = document.providers.get('p')?.apiKey;
  assert.ok(key?.kind === 'literal' && key.secret instanceof Secret);
  assert.ok(!JSON.stringify([problems, [...document.providers]]).includes('very-secret'));
});

test('documents: what is wrong, how bad it is, and where', () => {
  const table: readonly (readonly [text: string, severity: string, code: string, path: string])[] = [
    ['{', 'error', 'bad_syntax', ''],
    ['[]', 'error', 'bad_type', ''],
    ['{"grants": [], "grants": []}', 'error', 'duplicate_key', 'grants'],
    ['{"provders": {}}', 'warning', 'unknown_key', 'provders'],
    ['{}', 'note', 'document_empty', ''],
    [`{"providers": {${OPENAI}}}`, 'warning', 'grants_missing', 'grants'],
    ['{"providers": {"p": {"models": []}}}', 'warning', 'missing_field', 'providers.p.baseurl'],
    ['{"providers": {"p": {"baseurl": "https://x.test"}}}', 'warning', 'missing_field', 'providers.p.models'],
    [
      '{"providers": {"p": {"baseurl": "ftp://x", "models": []}}}',
      'warning',
      'bad_url',
      'providers.p.baseurl',
    ],
    [
      '{"providers": {"p": {"baseurl": "https://u:p@x.test", "models": []}}}',
      'warning',
      'bad_url',
      'providers.p.baseurl',
    ],
    [
      '{"providers": {"p": {"baseurl": "https://x.test/v1/", "models": []}}}',
      'note',
      'stray_version',
      'providers.p.baseurl',
    ],
    [
      '{"providers": {"p": {"baseurl": "https://x.test", "models": "m"}}}',
      'warning',
      'bad_type',
      'providers.p.models',
    ],
    [
      '{"providers": {"p": {"baseurl": "https://x.test", "models": [], "authorization": "basic"}}}',
      'warning',
      'bad_value',
      'providers.p.authorization',
    ],
    [
      '{"providers": {"p": {"baseurl": "https://x.test", "models": [], "add_headers": ["nope"]}}}',
      'warning',
      'bad_header',
      'providers.p.add_headers[0]',
    ],
    [
      '{"providers": {"p": {"baseurl": "https://x.test", "models": [], "add_headers": ["Authorization: x"]}}}',
      'warning',
      'bad_header',
      'providers.p.add_headers[0]',
    ],
    [
      '{"providers": {"p": {"baseurl": "https://x.test", "models": [], "add_headers": ["A: b\\r\\nC: d"]}}}',
      'warning',
      'bad_header',
      'providers.p.add_headers[0]',
    ],
    [
      '{"providers": {"p": {"baseurl": "https://x.test", "models": [], "baseURL": ""}}}',
      'warning',
      'unknown_key',
      'providers.p.baseURL',
    ],
    [
      '{"providers": {"postern": {"baseurl": "https://x.test", "models": []}}}',
      'warning',
      'reserved_id',
      'providers.postern',
    ],
    [
      '{"providers": {"p": {"baseurl": "https://x.test", "models": [], "apikey": "env:KEY"}}}',
      'warning',
      'secret_reference_refused',
      'providers.p.apikey',
    ],
    [
      '{"providers": {"p": {"baseurl": "https://x.test", "models": [], "apikey": "file:/etc/shadow"}}}',
      'warning',
      'secret_reference_refused',
      'providers.p.apikey',
    ],
    [
      '{"providers": {"p": {"baseurl": "https://x.test", "models": [], "apikey": "[secret]"}}}',
      'warning',
      'secret_redacted',
      'providers.p.apikey',
    ],
    [
      '{"providers": {"p": {"baseurl": "https://x.test", "models": [], "apikey": "${KEY}"}}}',
      'error',
      'unsubstituted_macro',
      'providers.p.apikey',
    ],
    ['{"quotas": {"a": {"capacity": "ten"}}}', 'error', 'bad_quota', 'quotas.a.capacity'],
    ['{"quotas": {"a": {"capacity": "$1", "rate": "$1/year"}}}', 'error', 'bad_quota', 'quotas.a.rate'],
    ['{"quotas": {"a:<who>": {"capacity": "$1"}}}', 'error', 'bad_bucket', 'quotas["a:<who>"]'],
    [
      '{"quotas": {"a": {"capacity": "$1", "on_exceed": "warn"}}}',
      'error',
      'bad_quota',
      'quotas.a.on_exceed',
    ],
    ['{"quotas": {"a": {"capacity": "$1", "burst": 1}}}', 'warning', 'unknown_key', 'quotas.a.burst'],
    [
      '{"quotas": {"a": {"capacity": "$1", "notify": [{"webhook": "ftp://x"}]}}}',
      'warning',
      'bad_url',
      'quotas.a.notify[0].webhook',
    ],
    ['{"hooks": {"h": {}}}', 'warning', 'missing_field', 'hooks.h.url'],
    ['{"hooks": {"h": {"url": "file:///x"}}}', 'warning', 'bad_url', 'hooks.h.url'],
    ['{"exporters": {"s3": {"prefix": "logs/"}}}', 'warning', 'bad_value', 'exporters.s3.prefix'],
    ['{"exporters": {"s3": {"limit": 20000}}}', 'warning', 'value_clamped', 'exporters.s3.limit'],
    ['{"database": {"retention": {"duration": "1m"}}}', 'error', 'bad_value', 'database.retention.duration'],
    ['{"mcp": {}}', 'warning', 'deprecated_key', 'mcp'],
    ['{"temp_grants": []}', 'warning', 'deprecated_key', 'temp_grants'],
    [
      '{"connectors": {"servers": {"x": {"protocol": "mcp", "url": "https://x.test", "allow_tools": []}}}}',
      'warning',
      'unknown_key',
      'connectors.servers.x.allow_tools',
    ],
    [
      '{"connectors": {"servers": {"x": {"protocol": "mcp", "url": "https://x.test", "auth": {"kind": "a"}}}}}',
      'warning',
      'unknown_key',
      'connectors.servers.x.auth.kind',
    ],
    [
      '{"connectors": {"servers": {"x": {"protocol": "mcp", "url": "https://x.test", "color": "red"}}}}',
      'note',
      'unknown_key',
      'connectors.servers.x.color',
    ],
    ['{"groups": {"group:a": ["group:b"]}}', 'warning', 'bad_value', 'groups["group:a"][0]'],
    ['{"deny": [{"src": ["*"], "models": ["a[b]"]}]}', 'error', 'bad_pattern', 'deny[0].models[0]'],
    ['{"deny": [{"src": ["*"], "models": ["**"], "unless": 1}]}', 'error', 'unknown_key', 'deny[0].unless'],
    ['{"deny": {}}', 'error', 'bad_type', 'deny'],
    ['{"tests": [{"src": "a"}]}', 'error', 'bad_test', 'tests[0]'],
    ['{"tests": [{"src": "*", "accept": ["a/b"]}]}', 'error', 'bad_test', 'tests[0]'],
    [withGrant(USER).replace('"src"', '"dst": ["x"], "src"'), 'warning', 'grant_with_dst', 'grants[0].dst'],
    [withGrant(USER, '', '["autogroup:member"]'), 'warning', 'bad_value', 'grants[0].src[0]'],
    [
      withGrant('{"role": "owner"}'),
      'warning',
      'bad_value',
      'grants[0].app["postern.dev/cap/gateway"][0].role',
    ],
    [
      withGrant('{"model": "**"}'),
      'warning',
      'unknown_key',
      'grants[0].app["postern.dev/cap/gateway"][0].model',
    ],
    [
      withGrant('{"models": "*"}'),
      'warning',
      'never_matches',
      'grants[0].app["postern.dev/cap/gateway"][0].models',
    ],
    [
      withGrant('{"models": "antropic/*"}'),
      'warning',
      'unknown_provider',
      'grants[0].app["postern.dev/cap/gateway"][0].models',
    ],
    [
      withGrant('{"models": "openai/gpt-4*"}'),
      'warning',
      'never_matches',
      'grants[0].app["postern.dev/cap/gateway"][0].models',
    ],
    [
      withGrant('{"models": "openai/gpt-?"}'),
      'warning',
      'bad_pattern',
      'grants[0].app["postern.dev/cap/gateway"][0].models',
    ],
    [
      withGrant('{"quotas": [{"bucket": "none"}]}'),
      'warning',
      'unknown_quota',
      'grants[0].app["postern.dev/cap/gateway"][0].quotas[0].bucket',
    ],
    [
      withGrant('{"send_hooks": [{"name": "none", "events": []}]}'),
      'warning',
      'unknown_hook',
      'grants[0].app["postern.dev/cap/gateway"][0].send_hooks[0]',
    ],
    [
      withGrant('{"connectors": ["github"]}'),
      'warning',
      'bad_pattern',
      'grants[0].app["postern.dev/cap/gateway"][0].connectors[0]',
    ],
    [
      withGrant('{"guardrails": ["pii"]}'),
      'warning',
      'unknown_guardrail',
      'grants[0].app["postern.dev/cap/gateway"][0].guardrails',
    ],
    [
      withGrant('{"mcp_tools": ["*"]}'),
      'warning',
      'deprecated_key',
      'grants[0].app["postern.dev/cap/gateway"][0].mcp_tools',
    ],
    [withGrant('{"role": "admin"}'), 'warning', 'everyone_is_admin', 'grants[0].src'],
    [withGrant('{"role": "admin"}', '', '["(loopback)"]'), 'warning', 'loopback_admin', 'grants[0].src'],
    [
      withGrant(
        '{"set_cors": true, "Access-Control-Allow-Origin": "*", "Access-Control-Allow-Credentials": true}',
      ),
      'warning',
      'bad_value',
      'grants[0].app["postern.dev/cap/gateway"][0]',
    ],
    [
      withGrant(USER, ', "model_aliases": {"models": {"fast": {"dst": ["nowhere/x"]}}}'),
      'warning',
      'never_matches',
      'model_aliases.models.fast',
    ],
    [
      withGrant('{"capture": "redacted"}'),
      'note',
      'not_built',
      'grants[0].app["postern.dev/cap/gateway"][0].capture',
    ],
  ];
  for (const [text, severity, code, path] of table) {
    const { problems } = parseGatewayDocument(text, API);
    const found = problems.find((one) => one.code === code && one.path === path);
    assert.ok(
      found,
      `${code} at ${path} in ${text}; got ${JSON.stringify(problems.map((one) => [one.code, one.path]))}`,
    );
    assert.equal(found.severity, severity, text);
    assert.ok(found.fix !== '' && found.message !== '' && (found.line > 0 || text === '{'), text);
  }
});

test('documents: nobody being admin is said, unless somebody is elsewhere', () => {
  const codes = (options: ParseOptions): string[] =>
    parseGatewayDocument(withGrant(USER), options).problems.map((one) => one.code);
  assert.ok(codes({ source: 'api' }).includes('nobody_is_admin'));
  assert.ok(!codes(API).includes('nobody_is_admin'));
});

test('documents: a good document of our own keys has no problems', () => {
  const text = `{
    "providers": {${OPENAI}},
    "groups": {"group:eng": ["alice@example.com", "tag:ci"]},
    "deny": [{"src": ["tag:ci"], "models": ["openai/gpt-5"], "comment": "no"}],
    "grants": [
      {"src": ["group:eng"], "app": {"postern.dev/cap/gateway": [{"role": "user"}, {"models": ["openai/*"], "capture": "metadata"}]}},
      {"src": ["bob@example.com"], "app": {"tailscale.com/cap/aperture": [{"role": "admin"}]}},
    ],
    "tests": [{"src": "alice@example.com", "accept": ["openai/gpt-5"], "role": "user"}],
  }`;
  assert.deepEqual(parseGatewayDocument(text, { source: 'api' }).problems, []);
});

test('documents: an unknown key switches its element off and no other (DESIGN section 6)', () => {
  const { document } = parseGatewayDocument(
    `{"providers": {${OPENAI}}, "grants": [${grant('{"models": "**", "only_on": "monday"}, {"role": "user"}')}, {"src": ["*"], "when": 1, "app": {}}]}`,
    API,
  );
  assert.equal(document.grants.length, 1);
  assert.deepEqual(
    document.grants[0]?.capabilities.map((one) => [one.role, one.models]),
    [['user', null]],
  );
  assert.deepEqual(document.disabled, ['grants[0].app["postern.dev/cap/gateway"][0]', 'grants[1]']);
});

test('documents: a capability whose quota or fail-closed hook cannot hold opens nothing', () => {
  const quota = parseGatewayDocument(
    withGrant(
      '{"models": "**", "quotas": [{"bucket": "q"}]}',
      ', "quotas": {"q": {"capacity": "$1", "burst": 2}}',
    ),
    API,
  );
  assert.equal(quota.document.grants[0]?.capabilities.length, 0);
  const hook = ', "hooks": {"h": {"url": "https://h.test", "fail_policy": "fail_closed"}}';
  const capability = '{"models": "**", "send_hooks": [{"name": "h", "events": ["pre_request"]}]}';
  assert.equal(
    parseGatewayDocument(withGrant(capability, hook), { ...API, built: new Set() }).document.grants[0]
      ?.capabilities.length,
    0,
  );
  const built = parseGatewayDocument(withGrant(capability, hook), API);
  assert.equal(built.document.grants[0]?.capabilities.length, 1);
});

test('documents: openai_chat holds by default, not once another format is named without it (Aperture 2.1)', () => {
  const flags = (compatibility: string): readonly string[] | undefined =>
    parseGatewayDocument(
      `{"providers": {"p": {"baseurl": "https://x.test", "models": [], "compatibility": ${compatibility}}}}`,
      API,
    ).document.providers.get('p')?.compatibility;
  assert.deepEqual(flags('{}'), ['openai_chat']);
  assert.deepEqual(flags('{"anthropic_messages": true}'), ['anthropic_messages']);
  assert.deepEqual(flags('{"anthropic_messages": false}'), ['openai_chat']);
  assert.deepEqual(flags('{"openai_chat": true, "openai_responses": true}'), [
    'openai_chat',
    'openai_responses',
  ]);
  assert.deepEqual(flags('{"openai_chat": false}'), []);
});

test("documents: the operator's file may refer to his environment and files", () => {
  const text =
    '{"providers": {"p": {"baseurl": "https://x.test", "models": [], "apikey": "env:KEY"}, "q": {"baseurl": "https://x.test", "models": [], "apikey": "file:/run/key"}}}';
  const { document } = parseGatewayDocument(text, FILE);
  assert.deepEqual(document.providers.get('p')?.apiKey, { kind: 'env', name: 'KEY' });
  assert.deepEqual(document.providers.get('q')?.apiKey, { kind: 'file', path: '/run/key' });
});

test('documents: no text makes the reader throw', () => {
  const key = fc.constantFrom(
    'providers',
    'grants',
    'quotas',
    'hooks',
    'src',
    'app',
    'models',
    'deny',
    'tests',
    'connectors',
    'servers',
    'auth',
    'exporters',
    's3',
    'database',
    'retention',
    'model_aliases',
    'groups',
    'tailscale.com/cap/aperture',
    'role',
    'baseurl',
    'compatibility',
    'send_hooks',
    'apikey',
    '__proto__',
  );
  const tree = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.jsonValue({ maxDepth: 1 }),
      fc.constantFrom('*', '**', 'https://x.test', 'admin', 'tag:a'),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(key, tie('value'), { maxKeys: 5 }),
    ),
  })).value;
  fc.assert(
    fc.property(fc.dictionary(key, tree, { maxKeys: 8 }), (document) => {
      parseGatewayDocument(JSON.stringify(document), API);
    }),
    { numRuns: 2000 },
  );
  fc.assert(fc.property(fc.string(), (text) => void parseGatewayDocument(text, API)));
});
