import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  isCallerCredential,
  isCallerCredentialQuery,
  isPlainIdentityText,
  isPosternHeader,
  isProxyHeader,
  jwtPrincipal,
  localPrincipal,
  TOKEN_HEADERS,
} from './index.ts';

describe('what headers mean to identity', () => {
  test('everything that may bear a token is stripped as a credential', () => {
    for (const name of TOKEN_HEADERS) assert.ok(isCallerCredential(name), name);
    for (const name of ['cookie', 'proxy-authorization', 'x-amz-date', 'x-amz-security-token'])
      assert.ok(isCallerCredential(name), name);
    for (const name of [
      'x-amzn-bedrock-guardrailidentifier',
      'anthropic-version',
      'content-type',
      'x-stainless-os',
    ])
      assert.ok(!isCallerCredential(name), name);
  });

  test('query parameters that carry credentials are known in any case', () => {
    for (const name of ['key', 'Key', 'access_token', 'X-Amz-Signature', 'X-Goog-Signature'])
      assert.ok(isCallerCredentialQuery(name), name);
    for (const name of ['alt', 'api-version', 'beta', 'keyword'])
      assert.ok(!isCallerCredentialQuery(name), name);
  });

  test('headers of proxies and of Postern are told from others', () => {
    for (const name of ['x-forwarded-for', 'forwarded', 'via', 'tailscale-user-login', 'x-real-ip'])
      assert.ok(isProxyHeader(name), name);
    for (const name of ['host', 'user-agent', 'x-app', 'traceparent']) assert.ok(!isProxyHeader(name), name);
    assert.ok(isPosternHeader('x-postern-session') && !isPosternHeader('x-posterns'));
  });
});

describe('principals', () => {
  test('are source and stable id', () => {
    assert.equal(localPrincipal(1000), 'local:1000');
    assert.equal(jwtPrincipal('https://issuer.example', 'user-1'), 'jwt:https://issuer.example:user-1');
    assert.throws(() => localPrincipal(-1));
    assert.throws(() => localPrincipal(Number.NaN));
  });

  test('are made of plain text only: no control or invisible characters, no blanks around, not too long', () => {
    assert.ok(isPlainIdentityText('zoë@example.com', 20));
    for (const text of ['', ' a', 'a ', 'a\nb', 'a\u0000', 'a\u200bb', 'a\u202eb', '\u2028', 'x'.repeat(21)])
      assert.ok(!isPlainIdentityText(text, 20), JSON.stringify(text));
  });
});
