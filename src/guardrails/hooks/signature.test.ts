/** Signatures, checked by code that is not ours. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { Secret } from '../../base/secret.ts';
import { bound, entryOf, hooksFor, requestOf, says, startHook } from './hook-server.fixture.ts';
import { deriveSigningSecret, signBody } from './signature.ts';

describe('signatures (issue: HMAC-signed)', () => {
  test('every call is signed over its time and body; openssl agrees', async (t) => {
    const hook = await startHook(t, says({ action: 'allow' }));
    const { hooks } = hooksFor(t);
    const asked = bound({ url: hook.url });
    await hooks.preRequest([asked], requestOf());
    const [call] = hook.calls;
    assert.ok(call);
    const header = String(call.headers['x-postern-signature']);
    const [, seconds = '', v1 = ''] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(header) ?? [];
    assert.ok(Math.abs(Date.now() / 1000 - Number(seconds)) < 60);
    const secret = hooks.signingSecret(asked.entry)?.reveal() ?? '';
    const input = Buffer.concat([Buffer.from(`${seconds}.`), call.body]);
    assert.equal(createHmac('sha256', secret).update(input).digest('hex'), v1);
    const openssl = spawnSync('openssl', ['dgst', '-sha256', '-hmac', secret, '-r'], { input });
    if (openssl.error === undefined) assert.equal(openssl.stdout.toString().split(' ')[0], v1);
    assert.deepEqual(
      ['x-postern-hook', 'x-postern-request-id', 'x-postern-attempt'].map((name) => call.headers[name]),
      ['guard', 'req_1', '1'],
    );
  });

  test('the check that docs/hooks.md shows for Python accepts it, and nothing else', () => {
    const page = readFileSync(new URL('../../../docs/hooks.md', import.meta.url), 'utf8');
    const shown = /```python\n(.*?)```/s.exec(page)?.[1] ?? '';
    const [body, secret] = [Buffer.from('{"text":"grüße"}'), new Secret('whs_x')];
    const headers = [
      signBody(secret, Date.now(), body),
      signBody(secret, Date.now() - 301_000, body),
      signBody(new Secret('other'), Date.now(), body),
      't=1,v1=00',
    ];
    const program = `${shown}
import sys, json
print(json.dumps([is_signed(h, bytes.fromhex(sys.argv[1]), "whs_x") for h in sys.argv[2:]]))`;
    const python = spawnSync('python3', ['-c', program, body.toString('hex'), ...headers]);
    if (python.error === undefined)
      assert.equal(python.stdout.toString().trim(), '[true, false, false, false]', python.stderr.toString());
  });

  test('a secret of one hook or address is no other’s, and none is a part of the key', () => {
    const key = Buffer.alloc(32, 1);
    const secrets = [
      deriveSigningSecret(key, 'a', 'https://h.test/x'),
      deriveSigningSecret(key, 'b', 'https://h.test/x'),
      deriveSigningSecret(key, 'a', 'https://other.test/x'),
      deriveSigningSecret(Buffer.alloc(32, 2), 'a', 'https://h.test/x'),
    ].map((secret) => secret.reveal());
    assert.equal(new Set(secrets).size, 4);
    for (const secret of secrets) assert.match(secret, /^whs_[0-9a-z]{52}$/);
    const samePlace = deriveSigningSecret(key, 'a', 'https://h.test/y').reveal();
    assert.equal(samePlace, secrets[0], 'another path at the same server keeps it');
  });

  test('another body or time has another signature', () => {
    const secret = new Secret('s');
    const body = Buffer.from('{}');
    assert.notEqual(signBody(secret, 1_000, body), signBody(secret, 2_000, body));
    assert.notEqual(signBody(secret, 1_000, body), signBody(secret, 1_000, Buffer.from('{ }')));
    assert.match(signBody(secret, 1_999, body), /^t=1,/);
  });

  test('a secret that the document names and that is not there stops the call', async (t) => {
    const hook = await startHook(t, says({ action: 'allow' }));
    const named = { url: hook.url, signWith: { kind: 'vault' }, failPolicy: 'fail_closed' } as const;
    const without = hooksFor(t);
    const refused = await without.hooks.preRequest([bound(named)], requestOf());
    assert.ok(refused.action === 'unavailable' && refused.fault === 'hook_key_missing');
    assert.equal(without.hooks.signingSecret(entryOf(named)), null);
    const { hooks } = hooksFor(t, { secrets: { apiKey: () => null, signingKey: () => new Secret('own') } });
    assert.equal((await hooks.preRequest([bound(named)], requestOf())).action, 'allow');
    assert.equal(hook.calls.length, 1);
  });
});
