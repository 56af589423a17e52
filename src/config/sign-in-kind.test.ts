import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { JsonObject } from '../wire/hujson.ts';
import { loadOperatorSettings, SettingsError } from './index.ts';

const GOOD: JsonObject = { id: 'acme', issuer: 'https://login.example.com', clientId: 'postern' };

function load(providers: readonly JsonObject[], publicUrl = 'https://gate.example.com') {
  const file = { 'signIn.providers': providers, ...(publicUrl === '' ? {} : { publicUrl }) };
  return loadOperatorSettings({
    flags: { stateDir: '/state' },
    env: {},
    readFile: (path) => (path === '/state/settings.hujson' ? JSON.stringify(file) : null),
    platform: 'linux',
    homedir: '/home/x',
    cwd: '/run',
  });
}

describe('signIn.providers', () => {
  test('has defaults, and the path of its secret is made absolute', () => {
    const { signIn } = load([{ ...GOOD, clientSecretFile: 'secret' }]);
    assert.deepEqual(signIn.providers, [
      {
        ...GOOD,
        title: 'acme',
        clientSecretFile: '/run/secret',
        scopes: ['profile', 'email'],
        groupsClaim: null,
      },
    ]);
  });

  const BAD: readonly (readonly [string, readonly JsonObject[], RegExp])[] = [
    ['an unknown key', [{ ...GOOD, clientSecret: 'x' }], /without "clientSecret"/],
    ['an id of other letters', [{ ...GOOD, id: 'A b' }], /"id" has 1 to 40/],
    ['an issuer without TLS', [{ ...GOOD, issuer: 'http://login.example.com' }], /https address/],
    ['an issuer with a user', [{ ...GOOD, issuer: 'https://a@login.example.com' }], /https address/],
    ['no client id', [{ id: 'acme', issuer: 'https://login.example.com' }], /with "clientId"/],
    ['a scope with a space', [{ ...GOOD, scopes: ['a b'] }], /without spaces/],
    ['the same id twice', [GOOD, GOOD], /names "acme" twice/],
  ];
  for (const [what, providers, why] of BAD)
    test(`refuses ${what}`, () => {
      assert.throws(
        () => load(providers),
        (error) => error instanceof SettingsError && why.test(error.message),
      );
    });

  test('needs the public address to which providers send people back', () => {
    assert.throws(() => load([GOOD], ''), /needs publicUrl/);
  });
});
