/** RFC 1035, as far as a small answerer goes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DNS_CLASS_IN, DNS_RCODE, DNS_TYPE, encodeDnsQuery, parseDnsMessage } from '../../wire/dns.ts';
import { answerDns } from './dns-answerer.ts';

const NAMES = new Map([['ai', ['10.1.2.1', 'fd00::1']]]);

function query(name: string, type: number, change: (bytes: Buffer) => void = () => undefined): Buffer {
  const bytes = encodeDnsQuery({ id: 9, question: { name, type, class: DNS_CLASS_IN } });
  assert.ok(bytes);
  change(bytes);
  return bytes;
}

function answer(bytes: Buffer): NonNullable<ReturnType<typeof parseDnsMessage>> {
  const reply = answerDns(bytes, NAMES);
  assert.ok(reply);
  const message = parseDnsMessage(reply);
  assert.ok(message?.isAnswer);
  return message;
}

test('a known name has its addresses by family, and an empty answer for other types (RFC 2308 section 2.2)', () => {
  assert.equal(answer(query('AI', DNS_TYPE.a)).answers.length, 1);
  assert.equal(answer(query('ai', DNS_TYPE.aaaa)).answers.length, 1);
  const none = answer(query('ai', DNS_TYPE.txt));
  assert.deepEqual([none.rcode, none.answers.length], [DNS_RCODE.ok, 0]);
});

test('another name and another operation are refused', () => {
  assert.equal(answer(query('example.com', DNS_TYPE.a)).rcode, DNS_RCODE.refused);
  const status = query('ai', DNS_TYPE.a, (bytes) => bytes.writeUInt16BE(0x1000, 2));
  assert.equal(answer(status).rcode, DNS_RCODE.notImplemented);
});

test('an answer is never answered: two answerers do not talk for ever', () => {
  assert.equal(
    answerDns(
      query('ai', DNS_TYPE.a, (bytes) => bytes.writeUInt16BE(0x8000, 2)),
      NAMES,
    ),
    null,
  );
});

test('bytes of any kind give an answer of bounded length or silence, never a throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      const reply = answerDns(Buffer.from(bytes), NAMES);
      assert.ok(reply === null || reply.length <= 1200);
    }),
  );
});
