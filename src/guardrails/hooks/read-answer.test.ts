/** Whatever a hook sends, reading it gives an answer of the protocol or a failure, and never throws. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../../test/property-seed.ts';
import { AppError } from '../../base/errors.ts';
import { readRequestAnswer, readToolAnswer } from './read-answer.ts';

const JSON_TYPE = new Map([['content-type', 'application/json']]);
const WHOLE = { mayResend: false, isJson: true };
const answerOf = (body: Buffer, status = 200) => ({ status, headers: JSON_TYPE, body });

test('property: no bytes and no JSON make it throw or allow by mistake', () => {
  const bytes = fc.uint8Array({ maxLength: 80 }).map((one) => Buffer.from(one));
  const member = fc.constantFrom('action', 'status_code', 'message', 'request_body', 'params');
  const value = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom('allow', 'block', 'modify', 'ask'));
  const json = fc.dictionary(member, value).map((one) => Buffer.from(JSON.stringify(one)));
  fc.assert(
    fc.property(fc.oneof(bytes, json), fc.boolean(), (body, flag) => {
      const asked = readRequestAnswer(answerOf(body), { mayResend: flag, isJson: !flag });
      const tool = readToolAnswer(answerOf(body), flag);
      for (const found of [asked, tool]) {
        if (found instanceof AppError || found.action !== 'allow') continue;
        assert.equal(JSON.parse(body.toString()).action, 'allow');
      }
      if (!(asked instanceof AppError) && asked.action === 'block')
        assert.ok(asked.status >= 400 && asked.status <= 599);
    }),
  );
});

test('a message is one line of at most 1,000 characters, whatever it holds', () => {
  const answer = { action: 'block', message: `\u202e a\r\nb\u0000${'😀'.repeat(2_000)}` };
  const found = readRequestAnswer(answerOf(Buffer.from(JSON.stringify(answer))), WHOLE);
  assert.ok(!(found instanceof AppError) && found.action === 'block' && found.message !== null);
  assert.ok(
    found.message.length <= 1_000 && found.message.startsWith('a b ') && found.message.isWellFormed(),
  );
});

test('an answer nested deeper than JSON is read is a failure', () => {
  const deep = `{"action":"modify","request_body":{"a":${'['.repeat(600)}${']'.repeat(600)}}}`;
  assert.ok(readRequestAnswer(answerOf(Buffer.from(deep)), WHOLE) instanceof AppError);
});
