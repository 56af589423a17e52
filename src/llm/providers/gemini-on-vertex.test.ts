import fc from 'fast-check';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripForVertex } from './gemini-on-vertex.ts';

const KEYS = [
  'store',
  'enableEnhancedCivicAnswers',
  'partMetadata',
  'includeServerSideToolInvocations',
  'text',
  'a',
];
const record = (value: fc.Arbitrary<unknown>): fc.Arbitrary<Record<string, unknown>> =>
  fc.dictionary(fc.constantFrom(...KEYS), value, { maxKeys: 6 });
const leaf = fc.oneof(fc.string(), fc.integer(), fc.constant(null), fc.constant([{ partMetadata: 1 }]));
const part = record(leaf);
const content = fc.record({ role: fc.constant('user'), parts: fc.array(part, { maxLength: 4 }) });
const body = fc
  .tuple(record(leaf), fc.array(content, { maxLength: 3 }), record(leaf), record(leaf))
  .map(([top, contents, generationConfig, toolConfig]) => ({
    ...top,
    contents,
    generationConfig,
    toolConfig,
    systemInstruction: contents[0] ?? { parts: [] },
  }));

function without(value: Record<string, unknown>, ...names: string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([name]) => !names.includes(name)));
}

test('fields that Vertex refuses go from their places, and nothing else changes', () => {
  fc.assert(
    fc.property(body, fc.constantFrom(undefined, 1, '\t'), (given, indent) => {
      const stripped: unknown = JSON.parse(
        stripForVertex(Buffer.from(JSON.stringify(given, null, indent))).toString('utf8'),
      );
      const clean = (one: { role?: string; parts: Record<string, unknown>[] }): object => ({
        ...one,
        parts: one.parts.map((each) => without(each, 'partMetadata')),
      });
      assert.deepEqual(stripped, {
        ...without(given, 'store'),
        contents: given.contents.map(clean),
        generationConfig: without(given.generationConfig, 'enableEnhancedCivicAnswers'),
        toolConfig: without(given.toolConfig, 'includeServerSideToolInvocations'),
        systemInstruction: clean(given.systemInstruction),
      });
    }),
  );
});

test('a body without such fields, or of another shape, is the same buffer', () => {
  for (const text of [
    '{"contents":[]}',
    '',
    '[]',
    '{"contents":"store"}',
    '{"store":',
    '{"contents":{"partMetadata":1}}',
    '"store"',
  ]) {
    const given = Buffer.from(text);
    assert.equal(stripForVertex(given), given);
  }
});

test('any bytes are survived', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 40 }), (text) => {
      stripForVertex(Buffer.from(`{"store":1,${text}`));
    }),
  );
});
