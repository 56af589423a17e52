import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../../test/property-seed.ts';
import { createUsageStripper } from './usage-stripper.ts';

function strip(chunks: readonly Buffer[]): string {
  const stripper = createUsageStripper();
  const out = chunks.map((chunk) => Buffer.from(stripper.push(chunk)));
  return Buffer.concat([...out, stripper.finish()]).toString();
}

function cut(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; i += 1) {
    const length = 1 + (lengths[i % Math.max(1, lengths.length)] ?? 0);
    chunks.push(bytes.subarray(at, at + length));
    at += length;
  }
  return chunks;
}

/** A stream as a provider sends it with and without `include_usage`. */
function render(texts: readonly string[], end: string, usage: 'with' | 'without', space: string): Buffer {
  const line = (members: readonly string[]): string => `data: {${members.join(`,${space}`)}}${end}${end}`;
  const choice = (text: string): string =>
    `"choices":${space}[{"delta":{"content":${JSON.stringify(text)}}}]`;
  const extra = usage === 'with' ? [`"usage":${space}null`] : [];
  const chunks = texts.map((text, i) =>
    line(i % 2 === 0 ? ['"id":"x"', choice(text), ...extra, '"z":1'] : ['"id":"x"', choice(text), ...extra]),
  );
  const last = usage === 'with' ? line(['"id":"x"', '"choices":[]', '"usage":{"prompt_tokens":1}']) : '';
  return Buffer.from(`${chunks.join('')}${last}data: [DONE]${end}${end}`);
}

test('the stream comes out as it would have been without include_usage, in any chunking', () => {
  const words = fc.array(fc.oneof(fc.string(), fc.constant('"usage":null'), fc.constant(',"usage":{}')), {
    maxLength: 6,
  });
  fc.assert(
    fc.property(
      words,
      fc.array(fc.nat(60)),
      fc.constantFrom('\n', '\r\n', '\r'),
      fc.constantFrom('', ' '),
      (texts, lengths, end, space) => {
        const sent = render(texts, end, 'with', space);
        assert.equal(strip(cut(sent, lengths)), render(texts, end, 'without', space).toString());
      },
    ),
    { numRuns: 500 },
  );
});

test('usage with choices, a chunk without choices, errors and comments stay', () => {
  const kept = [
    'data: {"choices":[{"delta":{}}],"usage":{"prompt_tokens":1}}\n\n',
    'data: {"choices":[],"prompt_filter_results":[]}\n\n',
    'data: {"usage":{"prompt_tokens":1}}\n\n',
    'data: {"error":{"message":"usage"}}\n\n',
    ': "usage"\n\n',
    'data: not json "usage"\n\n',
  ].join('');
  assert.equal(strip([Buffer.from(kept)]), kept);
});

test('the first and the only member are cut with their comma', () => {
  assert.equal(strip([Buffer.from('data: {"usage":null,"a":1}\n\n')]), 'data: {"a":1}\n\n');
  assert.equal(strip([Buffer.from('data: {"usage":null}\n\n')]), 'data: {}\n\n');
});

test('null usage behind which plain members stand is cut as OpenAI sends it, and nothing else is', () => {
  const cases = [
    // As OpenAI sends it, with the random filling that hides the length of tokens.
    ['{"a":1,"usage":null,"obfuscation":"x1Y"}', '{"a":1,"obfuscation":"x1Y"}'],
    ['{"a":[{"b":1}],"usage":null}', '{"a":[{"b":1}]}'],
    ['{"a":"\\\\","usage":null}', '{"a":"\\\\"}'],
    ['{"a":1 ,"usage":null}', '{"a":1}'],
    ['{"a":1,"usage":null,"z":{"y":1}}', '{"a":1,"z":{"y":1}}'],
    // Not the outermost object's.
    ['{"a":{"b":1,"usage":null}}', null],
    ['[{"b":1,"usage":null}]', null],
    ['{"a":{"b":1,"usage":null},"c":"d"}', null],
    // Text of the model.
    [String.raw`{"a":"b,\"usage\":null}"}`, null],
    // Said twice: the first counts.
    ['{"a":1,"usage":{"total_tokens":1},"usage":null}', null],
  ] as const;
  for (const [sent, expected] of cases) {
    assert.equal(strip([Buffer.from(`data: ${sent}\n\n`)]), `data: ${expected ?? sent}\n\n`, sent);
  }
});

test('what is cut is what a parser sees as null usage of the outermost object', () => {
  const json = fc.object({
    key: fc.oneof(fc.constantFrom('usage', 'choices', 'a'), fc.string()),
    values: [fc.constantFrom(null, 1, 'x', ',"usage":null', '"usage":null}'), fc.string()],
    maxDepth: 3,
  });
  fc.assert(
    fc.property(json, fc.array(fc.nat(90)), (chunk, lengths) => {
      const text = JSON.stringify(chunk);
      const sent = JSON.parse(text) as Record<string, unknown>;
      const isDropped =
        typeof sent['usage'] === 'object' &&
        sent['usage'] !== null &&
        !Array.isArray(sent['usage']) &&
        Array.isArray(sent['choices']) &&
        sent['choices'].length === 0;
      const { usage, ...others } = sent;
      const left = usage === null ? others : sent;
      const event = `data: ${JSON.stringify(left)}\n\n`;
      assert.equal(strip(cut(Buffer.from(`data: ${text}\n\n`), lengths)), isDropped ? '' : event);
    }),
    { numRuns: 2_000 },
  );
});

test('data in several lines passes as it is, whatever memory it was joined in', () => {
  const event = 'data: {"a":1,\ndata: "usage":null}\n\n';
  assert.equal(strip([Buffer.from(event)]), event);
});

test('a chunk without usage passes in the same memory', () => {
  const chunk = Buffer.from('data: {"a":1}\n\ndata: {"b":1}\n\n');
  assert.equal(createUsageStripper().push(chunk).buffer, chunk.buffer);
});

test('an event larger than the limit passes unchanged', () => {
  const event = `data: {"x":"${'y'.repeat(2 << 20)}","usage":null}\n\n`;
  assert.equal(strip(cut(Buffer.from(event), [65_535])), event);
});
