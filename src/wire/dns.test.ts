import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../test/property-seed.ts';
import {
  DNS_CLASS_IN,
  DNS_RCODE,
  DNS_TYPE,
  encodeDnsAnswer,
  encodeDnsName,
  encodeDnsQuery,
  parseDnsMessage,
} from './dns.ts';
import { parseIp } from './ip.ts';

function query(name: string, type: number = DNS_TYPE.a): Buffer {
  const bytes = encodeDnsQuery({ id: 7, question: { name, type, class: DNS_CLASS_IN } });
  assert.ok(bytes !== null);
  return bytes;
}

test('a query comes back as what it asks, in lower case (RFC 1035 section 4.1)', () => {
  const message = parseDnsMessage(query('Ai.Bed.Test.'));
  assert.deepEqual(message?.questions, [{ name: 'ai.bed.test', type: DNS_TYPE.a, class: DNS_CLASS_IN }]);
  assert.equal(message?.wantsRecursion, true);
  assert.equal(message?.isAnswer, false);
});

test('an answer has its records under the name that was asked', () => {
  const asked = parseDnsMessage(query('ai'));
  const v4 = parseIp('100.64.0.1');
  const v6 = parseIp('fd7a::1');
  assert.ok(asked !== null && v4 !== null && v6 !== null);
  const records = [
    { type: DNS_TYPE.a, ttlSec: 60, data: { kind: 'address', ip: v4 } },
    { type: DNS_TYPE.aaaa, ttlSec: 60, data: { kind: 'address', ip: v6 } },
    { type: DNS_TYPE.cname, ttlSec: 60, data: { kind: 'name', name: 'b.example' } },
    { type: DNS_TYPE.txt, ttlSec: 60, data: { kind: 'text', texts: [Buffer.from('t')] } },
  ] as const;
  const bytes = encodeDnsAnswer(asked, { rcode: DNS_RCODE.ok, isAuthoritative: true, answers: records }, 512);
  const read = bytes === null ? null : parseDnsMessage(bytes);
  assert.deepEqual(
    read?.answers.map(({ name, type, data }) => ({ name, type, data })),
    records.map(({ type, data }) => ({ name: 'ai', type, data })),
  );
  assert.equal(read?.isAuthoritative, true);
});

test('what does not fit is left out, and TC says so (RFC 2181 section 9)', () => {
  const asked = parseDnsMessage(query('ai'));
  const ip = parseIp('100.64.0.1');
  assert.ok(asked !== null && ip !== null);
  const answers = Array.from({ length: 100 }, () => ({
    type: DNS_TYPE.a,
    ttlSec: 1,
    data: { kind: 'address', ip } as const,
  }));
  const bytes = encodeDnsAnswer(asked, { rcode: 0, isAuthoritative: false, answers }, 512);
  assert.ok(bytes !== null && bytes.length <= 512);
  assert.equal(parseDnsMessage(bytes)?.isTruncated, true);
});

test('names that cannot be: too long, empty labels; pointers that loop or lead forwards', () => {
  assert.equal(encodeDnsName('a..b'), null);
  assert.equal(encodeDnsName('a'.repeat(64)), null);
  assert.equal(encodeDnsName(`${'a'.repeat(60)}.`.repeat(5)), null);
  const head = '000701000001000000000000';
  for (const name of ['c00c', 'c00e0000', '01', '40', '0161c00c']) {
    assert.equal(parseDnsMessage(Buffer.from(`${head}${name}00010001`, 'hex')), null, name);
  }
});

test('a label with strange bytes survives as \\ddd', () => {
  const bytes = encodeDnsName('a\\046b\\000.x');
  assert.equal(bytes?.toString('hex'), '04612e6200017800');
});

test('anything is parsed without an exception, and quickly', () => {
  const base = query('a.b.c');
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(11), fc.boolean(), (array, at, isMixed) => {
      const bytes = isMixed ? Buffer.concat([base, array]) : Buffer.from(array);
      if (isMixed) bytes[at] = array[0] ?? 0;
      parseDnsMessage(bytes);
    }),
    { numRuns: 3000 },
  );
});
