import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Provider } from '../../policy/index.ts';
import { withinCredential } from './own-credential.ts';

type Part = Pick<Provider, 'authMode' | 'baseUrl'>;

function target(authMode: Provider['authMode'], origin: string): { readonly provider: Part } {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only the origin is looked at
  return { provider: { authMode, baseUrl: { origin } as Provider['baseUrl'] } };
}

test('a credential of the caller’s own goes to the preferred address and to no other', () => {
  const own = target('passthrough', 'https://a.example');
  const again = target('passthrough', 'https://a.example');
  const elsewhere = target('passthrough', 'https://b.example');
  const ours = target('override', 'https://a.example');
  assert.deepEqual(withinCredential([own, elsewhere, ours, again]), [own, again]);
});

test('where the preferred target takes none, no fallback gets it', () => {
  const ours = target('override', 'https://a.example');
  const passing = target('passthrough', 'https://a.example');
  const open = target('none', 'https://c.example');
  assert.deepEqual(withinCredential([ours, passing, open]), [ours, open]);
  assert.deepEqual(withinCredential([]), []);
});
