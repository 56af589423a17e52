import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { BodyMemory } from './body-memory.ts';
import { outlineOf, type Outline } from './outline.ts';

const FILL = 'x'.repeat(600);
const utf8 = (value: unknown): Buffer => Buffer.from(JSON.stringify(value), 'utf8');

function outline(bytes: Buffer, isWhole = true): Outline | null {
  return outlineOf(bytes, { conversation: 'messages', isWhole }, null)?.outline ?? null;
}

function elements(bytes: Buffer, isWhole = true): string[] {
  const { starts, ends } = outline(bytes, isWhole) ?? { starts: [], ends: [] };
  return starts.map((start, i) => bytes.toString('utf8', start, ends[i]));
}

test('the elements of a conversation are found whatever stands around it', () => {
  const messages = [{ a: 1 }, { content: [{ b: '],}' }] }];
  for (const isWhole of [true, false]) {
    for (const body of [
      { messages },
      { model: 'm', messages, tools: [{ c: 1 }] },
      { system: [{}], messages },
    ]) {
      assert.deepEqual(
        elements(utf8(body), isWhole),
        messages.map((one) => JSON.stringify(one)),
      );
    }
    assert.deepEqual(elements(utf8({ messages: 'hi' }), isWhole), ['"hi"']);
    assert.deepEqual(elements(utf8({ messages: ['a', 2] }), isWhole), ['"a"', '2']);
    assert.deepEqual(elements(utf8({ messages: [] }), isWhole), []);
    assert.deepEqual(elements(utf8({ model: 'm' }), isWhole), []);
    assert.deepEqual(elements(Buffer.from('{"m\\u0065ssages":[{}]}'), isWhole), ['{}']);
  }
});

test('of a repeated member the first is the conversation', () => {
  assert.deepEqual(elements(Buffer.from('{"messages":[{"a":1}],"messages":[{"b":1}]}')), ['{"a":1}']);
});

test('what is no object, or breaks off, has no outline', () => {
  for (const text of [
    '',
    '[]',
    '{',
    '{"a"',
    '{"a":}',
    '{"messages":[{}',
    '{"messages":[{},]}',
    '{"a":1 "b":2}',
  ]) {
    assert.equal(outline(Buffer.from(text)), null, text);
  }
});

test('no bytes make the walk fail, and its cuts ascend within the body', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc
      .string({
        unit: fc.constantFrom('{', '}', '[', ']', ',', ':', '"', ' ', '\\', 'a', '1', '"messages"'),
        maxLength: 60,
      })
      .map((text) => Buffer.from(text)),
  );
  fc.assert(
    fc.property(bytes, fc.boolean(), (body, isWhole) => {
      const found = outline(Buffer.from(body), isWhole);
      const cuts = found?.cuts ?? [];
      assert.deepEqual(
        cuts,
        cuts.toSorted((a, b) => a - b),
      );
      assert.ok(cuts.every((cut) => cut > 0 && cut <= body.length));
    }),
  );
});

/** Bodies as an agent sends them, and others that share much with them. */
const message = fc.record({
  role: fc.constantFrom('user', 'assistant'),
  content: fc.oneof(fc.string(), fc.constant(FILL)),
});
const member = fc.oneof(
  fc.tuple(fc.constantFrom('messages', 'system', 'tools', 'input'), fc.array(message, { maxLength: 6 })),
  fc.tuple(
    fc.constantFrom('messages', 'model', 'max_tokens', 'instructions'),
    fc.oneof(fc.nat(), fc.constant(FILL)),
  ),
);
const body = fc
  .array(member, { minLength: 1, maxLength: 6 })
  .map(
    (members) =>
      `{${members.map(([key, value]) => `"${key}":${JSON.stringify(value)}`).join(',')},"fill":"${FILL.repeat(4)}"}`,
  );
/** Another body made from a former one: a piece of it replaced by a piece of some text, or moved. */
const edit = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  remove: fc.nat(900),
  insert: fc.oneof(
    fc.constant(''),
    fc.constantFrom(',{"role":"user"}', ',', ']', '"messages":[{}],', '"a":1,', ' ', '1'),
  ),
});

test('a body that shares much with a former one has the outline that a walk from its start gives', () => {
  fc.assert(
    fc.property(
      body,
      fc.array(edit, { minLength: 1, maxLength: 3 }),
      fc.boolean(),
      (first, edits, isWhole) => {
        const memory = new BodyMemory();
        const question = { conversation: 'messages', isWhole };
        memory.read('owner', Buffer.from(first), question);
        let text = first;
        for (const { at, remove, insert } of edits) {
          const from = Math.floor(at * text.length);
          text = text.slice(0, from) + insert + text.slice(from + remove);
          const bytes = Buffer.from(text);
          const read = memory.read('owner', bytes, question);
          const fresh = outlineOf(bytes, question, null);
          assert.deepEqual(read.outline, fresh?.outline ?? null);
          assert.deepEqual(read.bytes, bytes.subarray(0, fresh?.end));
        }
      },
    ),
    { numRuns: 500 },
  );
});

test('a longer conversation with the same end is walked only where it is new', () => {
  const turn = (count: number): Buffer =>
    utf8({
      model: 'm',
      messages: Array.from({ length: count }, (_, i) => ({ role: 'user', content: `${i} ${FILL}` })),
      tools: Array.from({ length: 20 }, (_, i) => ({ name: `Tool${i}`, description: FILL })),
    });
  const memory = new BodyMemory();
  const question = { conversation: 'messages', isWhole: true };
  const former = memory.read('owner', turn(20), question);
  former.itemIds.forEach((_, i) => (former.itemIds[i] = i + 1));
  const next = memory.read('owner', turn(22), question);
  assert.equal(next.itemIds.filter((id) => id === 0).length, 2, 'the two new messages');
  const found = outlineOf(
    turn(22),
    question,
    former.outline === null ? null : { bytes: turn(20), outline: former.outline, upTo: 15 },
  );
  assert.ok((found?.sameFrom ?? Infinity) < turn(22).length - 20 * 600, 'the tools are not walked');
});
