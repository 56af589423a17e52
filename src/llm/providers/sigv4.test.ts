import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';
import fc from 'fast-check';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256Hex } from '../../crypto/index.ts';
import { encodeStrict } from './paths.ts';
import { signV4 } from './sigv4.ts';
import type { AwsKeys, SigningRequest } from './sigv4.ts';

const KEYS: AwsKeys = {
  accessKeyId: 'AKIDEXAMPLE0',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCY',
  sessionToken: null,
};

function request(fields: Partial<SigningRequest> = {}): SigningRequest {
  return {
    method: 'POST',
    host: 'bedrock-runtime.us-east-1.amazonaws.com',
    path: '/model/m/invoke',
    query: '',
    headers: ['Content-Type', 'application/json'],
    bodyHash: sha256Hex('{}'),
    region: 'us-east-1',
    service: 'bedrock',
    time: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
    ...fields,
  };
}

const segment = fc.string({ minLength: 1, unit: 'grapheme' }).filter((text) => text !== '.' && text !== '..');
const pair = fc.tuple(fc.string({ minLength: 1 }), fc.string());

/** The judge takes a query as a plain object, which cannot hold this name as an own member. */
const judgeablePair = pair.filter(([name]) => name !== '__proto__');

test("SigV4: the signature is that of AWS's own signer, for any path, query, body, time and token", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        segments: fc.array(segment, { minLength: 1, maxLength: 4 }),
        query: fc.uniqueArray(judgeablePair, { maxLength: 4, selector: ([name]) => name }),
        body: fc.string(),
        time: fc.integer({ min: 0, max: 4_000_000_000 }),
        token: fc.option(fc.stringMatching(/^[\x21-\x7e]{1,40}$/)),
        note: fc.stringMatching(/^[a-z][a-z ]{0,20}[a-z]$/),
      }),
      async ({ segments, query, body, time, token, note }) => {
        const path = `/${segments.map(encodeStrict).join('/')}`;
        const keys = { ...KEYS, sessionToken: token };
        const ours = signV4(
          request({
            path,
            query: query.map(([name, value]) => `${encodeStrict(name)}=${encodeStrict(value)}`).join('&'),
            headers: ['Content-Type', 'application/json', 'X-Amz-Note', note, 'user-agent', 'unsigned'],
            bodyHash: sha256Hex(body),
            time: time * 1000,
          }),
          keys,
        );
        assert.equal(
          Object.fromEntries(ours)['authorization'],
          await judge({ path, query, body, time, token, note }),
        );
      },
    ),
  );
});

interface Judged {
  readonly path: string;
  readonly query: readonly (readonly [string, string])[];
  readonly body: string;
  readonly time: number;
  readonly token: string | null;
  readonly note: string;
}

async function judge({ path, query, body, time, token, note }: Judged): Promise<string | undefined> {
  const signer = new SignatureV4({
    credentials: { ...KEYS, ...(token === null ? { sessionToken: undefined } : { sessionToken: token }) },
    region: 'us-east-1',
    service: 'bedrock',
    sha256: Sha256,
  });
  const host = request().host;
  const signed = await signer.sign(
    {
      method: 'POST',
      protocol: 'https:',
      hostname: host,
      path,
      query: Object.fromEntries(query),
      headers: { host, 'content-type': 'application/json', 'x-amz-note': note },
      body,
    },
    { signingDate: new Date(time * 1000) },
  );
  return signed.headers['authorization'];
}

test('SigV4: host, content type and x-amz headers are signed, sorted; the rest is not', () => {
  const headers = Object.fromEntries(
    signV4(request({ headers: ['X-Amz-B', '1', 'Content-Type', 'a', 'Accept', 'b'] }), {
      ...KEYS,
      sessionToken: 't',
    }),
  );
  assert.match(
    headers['authorization'] ?? '',
    /SignedHeaders=content-type;host;x-amz-b;x-amz-content-sha256;x-amz-date;x-amz-security-token,/,
  );
  assert.equal(headers['x-amz-date'], '20260102T030405Z');
  assert.equal(headers['x-amz-security-token'], 't');
});

test('SigV4: a change of anything signed changes the signature; the cached key follows the day', () => {
  const of = (fields: Partial<SigningRequest>): string | undefined =>
    Object.fromEntries(signV4(request(fields), KEYS))['authorization'];
  const first = of({});
  const changes: Partial<SigningRequest>[] = [
    { method: 'GET' },
    { host: 'other' },
    { path: '/model/m/converse' },
    { query: 'a=1' },
    { headers: ['content-type', 'text/plain'] },
    { bodyHash: sha256Hex('{ }') },
    { region: 'eu-west-1' },
    { service: 'sts' },
    { time: Date.UTC(2026, 0, 3) },
  ];
  assert.equal(new Set([first, ...changes.map(of)]).size, changes.length + 1);
  assert.equal(of({}), first);
});
