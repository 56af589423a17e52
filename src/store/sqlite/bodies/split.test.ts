import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { outlineOf } from './outline.ts';
import { ITEM_BYTES_MAX, requestItemEnds, responsePieceEnds } from './split.ts';

const utf8 = (text: string): Uint8Array => Buffer.from(text, 'utf8');
const slices = (body: Uint8Array, ends: readonly number[]): Uint8Array[] =>
  ends.map((end, i) => body.subarray(ends[i - 1] ?? 0, end));

function splitRequest(body: Uint8Array): Uint8Array[] {
  const found = outlineOf(Buffer.from(body), { conversation: null, isWhole: true }, null);
  return slices(body, requestItemEnds(body.length, found?.outline.cuts ?? null));
}

const splitResponse = (body: Uint8Array): Uint8Array[] => slices(body, responsePieceEnds(body.length));
const texts = (body: string): string[] =>
  splitRequest(utf8(body)).map((item) => Buffer.from(item).toString('utf8'));
const FILL = 'x'.repeat(600);

test('the items of a body are its bytes in order, for any bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000, size: 'max' }), (body) => {
      assert.deepEqual(Uint8Array.from(Buffer.concat(splitRequest(body))), body);
      assert.deepEqual(Uint8Array.from(Buffer.concat(splitResponse(body))), body);
    }),
  );
});

test('the items of a body are its bytes in order, for any JSON in the places of a conversation', () => {
  const key = fc.oneof(fc.constantFrom('messages', 'input', 'contents', 'system', 'tools'), fc.string());
  const json = fc.dictionary(key, fc.oneof(fc.jsonValue(), fc.array(fc.jsonValue()), fc.constant(FILL)));
  fc.assert(
    fc.property(json, fc.constantFrom(0, 1, 2), (value, indent) => {
      const body = utf8(JSON.stringify({ ...value, fill: FILL }, null, indent));
      assert.deepEqual(Buffer.concat(splitRequest(body)), body);
    }),
  );
});

test('a longer conversation begins with the items of the shorter one', () => {
  const body = (turns: number): string =>
    JSON.stringify({
      model: 'm',
      messages: Array.from({ length: turns }, (_, i) => ({ role: 'user', content: `${i} ${FILL}` })),
    });
  const [short, long] = [texts(body(3)), texts(body(5))];
  assert.deepEqual(long.slice(0, short.length - 1), short.slice(0, -1));
  assert.equal(long.length, short.length + 2);
});

test('large members beside the conversation are items by themselves', () => {
  const items = texts(JSON.stringify({ model: 'm', instructions: FILL, input: 'hi' }));
  assert.ok(items.includes(JSON.stringify(FILL)));
});

test('arrays of token numbers are not cut at every number', () => {
  const input = Array.from({ length: 1000 }, (_, i) => i);
  assert.ok(texts(JSON.stringify({ model: 'm', input })).length < 5);
});

test('what is no JSON is cut into chunks of 64 KiB, and no item is beyond its bound', () => {
  const audio = Buffer.alloc(200 * 1024, 0xff);
  assert.deepEqual(
    splitRequest(audio).map((item) => item.byteLength),
    [65_536, 65_536, 65_536, 8_192],
  );
  const picture = utf8(JSON.stringify({ messages: [{ content: 'A'.repeat(3 * ITEM_BYTES_MAX) }] }));
  assert.ok(splitRequest(picture).every((item) => item.byteLength <= ITEM_BYTES_MAX));
});

test('a body of too many elements is cut into chunks instead', () => {
  const body = utf8(`{"messages":[${'{},'.repeat(30_000)}{}]}`);
  assert.ok(splitRequest(body).length < 10);
});
