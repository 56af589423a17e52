/** Entries of `hooks`, and what capabilities may say of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HookEntry } from './document.ts';
import { parseGatewayDocument, type ParseOptions } from './parse-document.ts';

const FILE: ParseOptions = { source: 'file', adminsElsewhere: true, built: new Set(['hooks']) };
const API: ParseOptions = { ...FILE, source: 'api' };

function hook(more: string, options = FILE): HookEntry | undefined {
  const text = `{"hooks": {"h": {"url": "https://h.test"${more === '' ? '' : `, ${more}`}}}}`;
  return parseGatewayDocument(text, options).document.hooks.get('h');
}

test('hooks: the defaults are Aperture’s; a veto on tool calls fails closed unless the document says otherwise', () => {
  assert.deepEqual(hook(''), {
    id: 'h',
    url: 'https://h.test',
    apiKey: null,
    authorization: 'bearer',
    timeoutMs: 5_000,
    failPolicy: 'fail_open',
    toolCallFailPolicy: 'fail_closed',
    preference: 0,
    disabled: false,
    mode: 'enforce',
    payload: 'full',
    values: 'redacted',
    signWith: 'derived',
    maxConcurrent: 64,
    maxResponseBytes: null,
    breakAfter: 5,
  });
  assert.equal(hook('"fail_policy": "fail_open"')?.toolCallFailPolicy, 'fail_open');
  assert.equal(hook('"fail_policy": "fail_closed"')?.failPolicy, 'fail_closed');
});

test('hooks: Postern’s own keys are read', () => {
  const read = hook(
    '"mode": "monitor", "payload": "delta", "max_concurrent": 2, "max_response_bytes": 9, "break_after": 3, "values": "original"',
  );
  assert.deepEqual(
    [read?.mode, read?.payload, read?.maxConcurrent, read?.maxResponseBytes, read?.breakAfter, read?.values],
    ['monitor', 'delta', 2, 9, 3, 'original'],
  );
});

const REFUSED = [
  '"mode": "off"',
  '"payload": "half"',
  '"values": "some"',
  '"max_concurrent": 0',
  '"max_concurrent": 1.5',
  '"max_response_bytes": 99999999999',
  '"break_after": -1',
  '"sign_with": "the secret itself"',
  '"sign_with": ""',
  '"sign_with": 7',
  '"retries": 3',
];
for (const member of REFUSED) {
  test(`hooks: ${member} switches the hook off`, () => assert.equal(hook(member), undefined));
}

test('hooks: the secret that signs is derived or kept elsewhere; the API may not name the operator’s places', () => {
  assert.deepEqual(hook('"sign_with": "derived"')?.signWith, 'derived');
  assert.deepEqual(hook('"sign_with": "vault:"', API)?.signWith, { kind: 'vault' });
  assert.deepEqual(hook('"sign_with": "env:HOOK"')?.signWith, { kind: 'env', name: 'HOOK' });
  assert.deepEqual(hook('"sign_with": "file:/k"')?.signWith, { kind: 'file', path: '/k' });
  assert.equal(hook('"sign_with": "env:HOOK"', API), undefined);
  assert.equal(hook('"sign_with": "file:/k"', API), undefined);
});

test('hooks: a capability may name tool_call and delta; without hooks built, what must agree closes it', () => {
  const text = (entry: string): string =>
    `{"hooks": {"h": {"url": "https://h.test"${entry}}}, "grants": [{"src": ["*"], "app":
      {"postern.dev/cap/gateway": [{"models": "**",
       "send_hooks": [{"name": "h", "events": ["tool_call"], "send": ["delta"]}]}]}}]}`;
  const uses = (entry: string, options: ParseOptions) =>
    parseGatewayDocument(text(entry), options).document.grants[0]?.capabilities[0]?.hooks;
  const unbuilt: ParseOptions = { ...FILE, built: new Set() };
  assert.deepEqual(uses('', FILE), [{ name: 'h', events: ['tool_call'], send: ['delta'] }]);
  assert.equal(uses('', unbuilt), undefined);
  assert.equal(uses(', "fail_policy": "fail_open"', unbuilt)?.length, 1);
  assert.equal(uses(', "mode": "monitor"', unbuilt)?.length, 1);
});
