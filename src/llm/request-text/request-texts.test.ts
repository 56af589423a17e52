import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import '../../../test/property-seed.ts';
import type { Format } from '../surface.ts';
import { matchSurface } from '../surfaces.ts';
import { withTexts } from './edit-texts.ts';
import { canReadTexts, requestTexts } from './request-texts.ts';
import { NEEDLE, PLACES, type Place } from './request-places.fixture.ts';
import type { RequestTexts, TextPart } from './text-part.ts';

function textsOf(format: Format, value: unknown): RequestTexts {
  const texts = requestTexts(format, Buffer.from(JSON.stringify(value)), { kind: 'json' });
  assert.ok(texts !== null && typeof texts !== 'string');
  return texts;
}

function find(format: Format, value: unknown): readonly TextPart[] {
  return textsOf(format, value).parts.filter((part) => part.text().includes(NEEDLE));
}

test('a text at any place of any format is found, with its direction and role (docs/design/0006)', () => {
  for (const [format, cases] of Object.entries(PLACES) as [Format, readonly Place[] | null][]) {
    for (const [place, body, expected] of cases ?? []) {
      const found = find(format, body);
      assert.equal(found.length, 1, `${format}: ${place}`);
      const [part] = found;
      const got = `${part?.direction} ${part?.role}${part?.editable === true ? '' : ' sealed'}`;
      assert.equal(got, expected, `${format}: ${place}`);
    }
  }
});

test('every place can be edited, and every other byte stays', () => {
  for (const [format, cases] of Object.entries(PLACES) as [Format, readonly Place[] | null][]) {
    for (const [place, body, expected] of cases ?? []) {
      const bytes = Buffer.from(JSON.stringify(body, null, 1));
      const texts = requestTexts(format, bytes, { kind: 'json' });
      assert.ok(texts !== null && typeof texts !== 'string');
      const part = texts.parts.find((one) => one.text().includes(NEEDLE));
      assert.ok(part !== undefined);
      const edit = { part, text: part.text().replace(NEEDLE, '<"X">\u2028') };
      if (expected.endsWith('sealed')) {
        assert.throws(() => withTexts(bytes, [edit]), /only editable/);
        continue;
      }
      const edited = withTexts(bytes, [edit]);
      const wanted = JSON.stringify(body)
        .replace(JSON.stringify(JSON.stringify(NEEDLE)).slice(1, -1), '#')
        .replace(JSON.stringify(NEEDLE).slice(1, -1), '#');
      const got = JSON.stringify(JSON.parse(edited.toString()))
        .replace(JSON.stringify(JSON.stringify('<"X">\u2028')).slice(1, -1), '#')
        .replace(JSON.stringify('<"X">\u2028').slice(1, -1), '#');
      assert.equal(got, wanted, `${format}: ${place}`);
      assert.deepEqual(edited.subarray(0, part.start), bytes.subarray(0, part.start));
      assert.deepEqual(edited.subarray(edited.length - (bytes.length - part.end)), bytes.subarray(part.end));
    }
  }
});

test('files cannot be looked into: their formats have no walker, requests without a body no texts', () => {
  for (const format of ['openai_files', 'openai_batches', 'anthropic_files'] as const) {
    assert.equal(requestTexts(format, Buffer.from('{}'), { kind: 'json' }), null);
    assert.equal(canReadTexts(format), false);
    assert.deepEqual(requestTexts(format, Buffer.alloc(0), null), { parts: [], depth: 0, messages: 0 });
  }
  assert.deepEqual(requestTexts('models', Buffer.from('{}'), { kind: 'json' }), {
    parts: [],
    depth: 0,
    messages: 0,
  });
  assert.equal(requestTexts('openai_chat', Buffer.from('--x'), { kind: 'multipart' }, 'x'), null);
});

test('every route of the surface has a format with a decided reading', () => {
  for (const path of [
    '/v1/chat/completions',
    '/v1/responses',
    '/v1/messages',
    '/model/x/converse',
    '/v1beta/models/g:generateContent',
  ]) {
    const match = matchSurface('POST', path, false);
    assert.ok('format' in match && PLACES[match.format] !== null && canReadTexts(match.format), path);
  }
});

test('encoded data and addresses are no text, where their members say so', () => {
  const data = Buffer.alloc(400, 'x!y').toString('base64');
  for (const body of [
    {
      messages: [
        {
          role: 'user',
          content: [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data } }],
        },
      ],
    },
    {
      messages: [
        {
          role: 'user',
          content: [{ type: 'image_url', image_url: { url: `data:image/png;base64,${data}` } }],
        },
      ],
    },
    { contents: [{ parts: [{ inlineData: { mimeType: 'image/png', data } }] }] },
    { messages: [{ role: 'user', content: [{ image: { format: 'png', source: { bytes: data } } }] }] },
  ]) {
    const texts = textsOf('openai_chat', body).parts.map((part) => part.text());
    assert.deepEqual(texts, [], JSON.stringify(texts).slice(0, 200));
  }
  const disguised = `${data} some words ${data}`;
  for (const source of [
    { type: 'text', data: disguised },
    { type: 'base64', data: `${data}\n${data}` },
  ])
    assert.equal(textsOf('anthropic_messages', { messages: [{ content: [{ source }] }] }).parts.length, 1);
  const hidden = textsOf('anthropic_messages', {
    messages: [{ content: [{ type: 'tool_use', input: { data } }] }],
  });
  assert.equal(hidden.parts.length, 1);
});

test('form fields are texts, files are not', () => {
  const body = Buffer.from(
    [
      '--b',
      'Content-Disposition: form-data; name="prompt"',
      '',
      NEEDLE,
      '--b',
      'Content-Disposition: form-data; name="model"',
      '',
      'm',
      '--b',
      'Content-Disposition: form-data; name="image"; filename="a.png"',
      '',
      NEEDLE,
      '--b--',
      '',
    ].join('\r\n'),
  );
  const texts = requestTexts('openai_images', body, { kind: 'multipart' }, 'b');
  assert.ok(texts !== null && typeof texts !== 'string');
  assert.deepEqual(
    texts.parts.map((part) => part.text()),
    [NEEDLE],
  );
  const [part] = texts.parts;
  assert.ok(part !== undefined);
  assert.equal(withTexts(body, [{ part, text: 'x' }]).toString(), body.toString().replace(NEEDLE, 'x'));
  assert.equal(
    requestTexts('openai_images', body.subarray(0, 60), { kind: 'multipart' }, 'b'),
    'form_malformed',
  );
});

test('messages and depth are counted', () => {
  const { messages, depth } = textsOf('openai_chat', {
    messages: [{ content: [{ a: [1] }] }, {}],
    tools: [{}],
  });
  assert.deepEqual([messages, depth], [2, 6]);
});

const NAMES = fc.constantFrom(
  'content',
  'text',
  'input',
  'parts',
  'type',
  'role',
  'name',
  'data',
  'url',
  'arguments',
  'x',
  'json',
  'tool_calls',
  'thought',
  'id',
);
const BODY = fc.letrec<{ node: unknown }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 6 },
    fc.string(),
    fc.constant(NEEDLE),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.constantFrom(true, false, null),
    fc.array(tie('node'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(NAMES, fc.string()), tie('node'), { maxKeys: 5 }),
  ),
})).node;

test('whatever the body: every planted text is found once, and writing all texts back changes no value', () => {
  fc.assert(
    fc.property(fc.dictionary(NAMES, BODY, { maxKeys: 6 }), (value) => {
      const json = JSON.stringify(value);
      const bytes = Buffer.from(json);
      const texts = textsOf('openai_chat', value);
      const planted = json.split(JSON.stringify(NEEDLE)).length - 1;
      assert.ok(texts.parts.filter((part) => part.text() === NEEDLE).length >= planted);
      const editable = texts.parts.filter((part) => part.editable && part.encoding !== 'number');
      const written = withTexts(
        bytes,
        editable.map((part) => ({ part, text: part.text() })),
      );
      assert.deepEqual(JSON.parse(written.toString()), JSON.parse(json));
    }),
    { numRuns: 500 },
  );
});
