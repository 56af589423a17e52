import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Caller } from '../identity/caller.ts';
import { compilePolicy } from './compile-policy.ts';
import type { Explanation } from './explanation.ts';
import { parseGatewayDocument } from './parse-document.ts';
import { runPolicyTests } from './policy-tests.ts';
import type { PolicySnapshot } from './snapshot.ts';
import { byToken, tailnetCaller, taggedCaller } from './test-callers.ts';

const DOCUMENT = {
  providers: {
    openai: { baseurl: 'https://api.openai.com', models: ['gpt-5', 'gpt-4'] },
    off: { baseurl: 'https://off.test', models: ['old'], disabled: true },
  },
  deny: [{ src: ['bob'], models: ['openai/gpt-4'] }],
  grants: [
    { src: ['alice', 'bob'], app: { 'postern.dev/cap/gateway': [{ role: 'user' }, { models: 'openai/*' }] } },
    { src: ['norole'], app: { 'postern.dev/cap/gateway': [{ models: '**' }] } },
    { src: ['*'], app: { 'postern.dev/cap/gateway': [{ role: 'user', when: 'never' }] } },
    { src: ['tag:ci'], app: { 'postern.dev/cap/gateway': [{ role: 'user' }] } },
  ],
};

function policy(document: object = DOCUMENT): PolicySnapshot {
  const parsed = parseGatewayDocument(JSON.stringify(document), { source: 'file' });
  return compilePolicy({
    document: parsed.document,
    found: [],
    storedGrants: [],
    tailnet: 't',
    version: 'v',
  });
}
const explain = (caller: Caller, model: string, format?: string): Explanation =>
  policy().explain(caller, model, format);

test('explain: the reason is the first that stops a request, and names who can mend it', () => {
  const alice = tailnetCaller('alice');
  const router = { stableId: 'n', name: 'n', addresses: [], tags: [], shared: true };
  const table: readonly (readonly [
    caller: Caller,
    model: string,
    reason: string,
    who: string,
    format?: string,
  ])[] = [
    [alice, 'gpt-5', 'allowed', 'nobody'],
    [alice, 'openai/gpt-5', 'allowed', 'nobody', 'openai_chat'],
    [alice, 'gpt-5', 'format_unsupported', 'caller', 'anthropic_messages'],
    [alice, 'gpt-9', 'model_unknown', 'admin'],
    [alice, 'off/old', 'provider_disabled', 'admin'],
    [alice, 'old', 'provider_disabled', 'admin'],
    [alice, 'postern/echo', 'not_granted', 'admin'],
    [tailnetCaller('bob'), 'gpt-4', 'denied', 'admin'],
    [tailnetCaller('norole'), 'gpt-5', 'no_role', 'admin'],
    [tailnetCaller('carol'), 'gpt-5', 'no_role', 'admin'],
    [taggedCaller('tag:ci'), 'gpt-5', 'not_granted', 'admin'],
    [byToken(alice, { scopes: ['read'] }), 'gpt-5', 'token_without_use', 'caller'],
    [byToken(alice, { models: ['x/*'] }), 'gpt-5', 'token_models', 'caller'],
    [tailnetCaller('alice', { device: router }), 'gpt-5', 'shared_device', 'caller'],
  ];
  for (const [caller, model, reason, who, format] of table) {
    const explanation = explain(caller, model, format);
    assert.deepEqual(
      [explanation.reason, explanation.fix.who, explanation.allowed],
      [reason, who, reason === 'allowed'],
      `${caller.principal} ${model}`,
    );
  }
});

test('explain: allowed agrees with what access grants', () => {
  const snapshot = policy();
  for (const login of ['alice', 'bob', 'norole', 'carol']) {
    for (const model of ['gpt-5', 'gpt-4', 'old', 'echo', 'none']) {
      const caller = tailnetCaller(login);
      const usable = snapshot
        .resolve(model)
        .some((one) => snapshot.accessOf(caller).grant(one.provider.id, one.model) !== null);
      assert.equal(snapshot.explain(caller, model).allowed, usable, `${login} ${model}`);
    }
  }
});

test('explain: each grant is shown with why it matched or not, and what is switched off', () => {
  const { grants, candidates, disabled, text } = explain(tailnetCaller('alice'), 'gpt-5');
  assert.deepEqual(
    grants.map((one) => one.matchedSrc),
    ['alice', null, '*', null],
  );
  assert.match(grants[1]?.why[0] ?? '', /the login is alice/);
  assert.deepEqual(
    grants[0]?.capabilities.map((one) => one.matched),
    [null, 'openai/*'],
  );
  assert.equal(candidates[0]?.rule, 'grants[0].app["postern.dev/cap/gateway"][1]');
  assert.deepEqual(disabled, ['grants[2].app["postern.dev/cap/gateway"][0]']);
  assert.match(text, /alice may use gpt-5: allowed/);
  assert.match(text, /switched off/);
});

test('tests: accept, deny and role hold or fail with the reason (DESIGN section 6)', () => {
  const tests = [
    { src: 'alice', accept: ['openai/gpt-5', 'gpt-4'], deny: ['postern/echo'], role: 'user' },
    { src: 'bob', deny: ['openai/gpt-4'], accept: ['openai/gpt-5'] },
    { src: 'carol', role: 'none' },
    { src: 'tag:ci', role: 'user', deny: ['gpt-5'] },
    { src: '(loopback)', role: 'none', deny: ['gpt-5'] },
    { src: { login: 'alice', groups: ['group:x'] }, accept: ['gpt-5'] },
    { src: 'local:1000', deny: ['gpt-5'] },
  ];
  const good = policy({ ...DOCUMENT, tests });
  assert.deepEqual(runPolicyTests(good, good.document.tests), []);
  const bad = policy({
    ...DOCUMENT,
    tests: [{ src: 'alice', accept: ['gpt-9'], deny: ['gpt-5'], role: 'admin' }],
  });
  assert.deepEqual(
    runPolicyTests(bad, bad.document.tests).map((one) => [one.model, one.expected, one.got]),
    [
      ['gpt-9', 'allowed', 'refused (model_unknown)'],
      ['gpt-5', 'refused', 'allowed'],
      [null, 'role admin', 'user'],
    ],
  );
});

test('explain: what routing would translate is allowed, and said; without translation it is not', () => {
  const translateTo = (format: string, formats: ReadonlySet<string>, model: string): string | null =>
    format === 'anthropic_messages' && formats.has('openai_chat') && model === 'gpt-5' ? 'openai_chat' : null;
  const compiled = (document: object): PolicySnapshot =>
    compilePolicy({
      document: parseGatewayDocument(JSON.stringify(document), { source: 'file' }).document,
      found: [],
      storedGrants: [],
      tailnet: 't',
      version: 'v',
      translateTo,
    });
  const alice = tailnetCaller('alice');
  const translated = compiled(DOCUMENT).explain(alice, 'gpt-5', 'anthropic_messages');
  assert.equal(translated.reason, 'allowed');
  assert.equal(translated.candidates[0]?.translatedTo, 'openai_chat');
  assert.match(translated.text, /does not speak anthropic_messages: translated to openai_chat/);
  assert.equal(compiled(DOCUMENT).explain(alice, 'gpt-5', 'openai_files_x').reason, 'format_unsupported');
  const off = compiled({ ...DOCUMENT, routing: { translate: false } });
  assert.equal(off.explain(alice, 'gpt-5', 'anthropic_messages').reason, 'format_unsupported');
});
