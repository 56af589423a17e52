import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { findStoredInputs as find, mayNameStoredInputs, type StoredInputs } from './stored-inputs.ts';

const GS = 'gs://bucket/secret.pdf';
const S3 = 's3://bucket/secret.pdf';

function findStoredInputs(value: unknown): StoredInputs {
  return find(Buffer.from(JSON.stringify(value)), value);
}

/** Every place where a cloud follows an address, by the format that has it. */
const PLACES: readonly (readonly [place: string, body: object, address: string])[] = [
  ['contents', { contents: [{ parts: [{ text: 'hi' }, { fileData: { fileUri: GS } }] }] }, GS],
  ['contents in snake case', { contents: [{ parts: [{ file_data: { file_uri: GS } }] }] }, GS],
  ['one content', { contents: { parts: { fileData: { mimeType: 'a/b', fileUri: GS } } } }, GS],
  ['systemInstruction', { systemInstruction: { parts: [{ fileData: { fileUri: GS } }] } }, GS],
  [
    'a function response',
    {
      contents: [
        {
          parts: [{ functionResponse: { name: 'f', response: {}, parts: [{ fileData: { fileUri: GS } }] } }],
        },
      ],
    },
    GS,
  ],
  ['a cache', { model: 'm', contents: [{ parts: [{ fileData: { fileUri: GS } }] }], ttl: '60s' }, GS],
  ['an embedding', { content: { parts: [{ fileData: { fileUri: GS } }] } }, GS],
  ['many embeddings', { requests: [{ content: { parts: [{ fileData: { fileUri: GS } }] } }] }, GS],
  ['raw instances', { instances: [{ image: { gcsUri: GS } }] }, GS],
  ['raw parameters', { instances: [], parameters: { storageUri: GS } }, GS],
  ['several addresses', { gcsSource: { uris: [GS] } }, GS],
  [
    'a data store',
    { tools: [{ retrieval: { vertexAiSearch: { datastore: 'projects/p/locations/l/dataStores/d' } } }] },
    'projects/p/locations/l/dataStores/d',
  ],
  [
    'a RAG corpus',
    {
      tools: [
        { retrieval: { vertexRagStore: { ragResources: [{ ragCorpus: 'projects/p/ragCorpora/1' }] } } },
      ],
    },
    'projects/p/ragCorpora/1',
  ],
  ['an image of OpenAI', { messages: [{ content: [{ type: 'image_url', image_url: { url: GS } }] }] }, GS],
  ['an image as a string', { messages: [{ content: [{ type: 'image_url', image_url: GS }] }] }, GS],
  [
    'a source of Anthropic',
    { messages: [{ content: [{ type: 'image', source: { type: 'url', url: S3 } }] }] },
    S3,
  ],
  ['Converse: image', { messages: [{ content: [{ image: { source: { s3Location: { uri: S3 } } } }] }] }, S3],
  [
    'Converse: document',
    {
      messages: [
        { content: [{ document: { name: 'd', source: { s3Location: { uri: S3, bucketOwner: '1' } } } }] },
      ],
    },
    S3,
  ],
  ['Converse: video', { messages: [{ content: [{ video: { source: { s3Location: { uri: S3 } } } }] }] }, S3],
  [
    'Converse: tool result',
    {
      messages: [
        {
          content: [
            {
              toolResult: {
                toolUseId: 't',
                content: [{ json: {} }, { video: { source: { s3Location: { uri: S3 } } } }],
              },
            },
          ],
        },
      ],
    },
    S3,
  ],
  [
    'Converse: further fields',
    { additionalModelRequestFields: { mediaSource: { s3Location: { uri: S3 } } } },
    S3,
  ],
  ['invoke: media source', { mediaSource: { s3Location: { uri: S3 } } }, S3],
  ['invoke: s3Uri', { inputVideo: { s3Uri: S3 } }, S3],
  ['a member of the future', { contents: [{ parts: [{ cloudThing: { place: GS } }] }] }, GS],
  [
    'a root that looks like a tool call',
    { type: 'tool_use', name: 'x', input: { a: GS }, parameters: { b: S3 } },
    GS,
  ],
  ['other letters and spaces', { fileData: { fileUri: ' GS://bucket/x' } }, ' GS://bucket/x'],
];

test('an address is found wherever a cloud would follow it (DESIGN section 12)', () => {
  for (const [place, body, address] of PLACES) {
    const { addresses, incomplete } = findStoredInputs(body);
    assert.ok(addresses.includes(address), `${place}: ${JSON.stringify(addresses)}`);
    assert.equal(incomplete, false, place);
    assert.equal(mayNameStoredInputs(Buffer.from(JSON.stringify(body))), true, place);
  }
});

test("text that speaks of addresses is no address, and data of the caller's own tools is not followed", () => {
  for (const body of [
    { contents: [{ parts: [{ text: GS }] }] },
    { messages: [{ role: 'user', content: S3 }] },
    { messages: [{ content: [{ type: 'text', text: GS }] }], system: GS },
    { input: [GS], prompt: S3 },
    { contents: [{ parts: [{ functionCall: { name: 'copy', args: { from: GS } } }] }] },
    { contents: [{ parts: [{ functionResponse: { name: 'ls', response: { files: [GS] } } }] }] },
    { messages: [{ content: [{ type: 'tool_use', id: 't', name: 'copy', input: { from: S3 } }] }] },
    { messages: [{ content: [{ toolUse: { toolUseId: 't', name: 'copy', input: { from: S3 } } }] }] },
    { messages: [{ content: [{ toolResult: { content: [{ json: { list: [S3] } }] } }] }] },
    { tools: [{ functionDeclarations: [{ name: 'f', parameters: { default: GS } }] }] },
    { tools: [{ toolSpec: { name: 'f', inputSchema: { json: { default: S3 } } } }] },
    { tools: [{ type: 'function', function: { name: 'f', parameters: { default: GS } } }] },
    { fileData: { fileUri: 'https://example.com/a.pdf' } },
    { note: 'projects/p/locations/l' },
    { note: 'read gs://bucket/x' },
  ])
    assert.deepEqual(findStoredInputs(body).addresses, [], JSON.stringify(body));
});

test('no spelling hides an address from the search of the bytes', () => {
  for (const text of [
    String.raw`{"fileUri":"\u0067s://b/x"}`,
    String.raw`{"fileUri":"g\u0073://b/x"}`,
    String.raw`{"fileUri":"gs\u003a//b/x"}`,
    String.raw`{"fileUri":"gs:\/\/b/x"}`,
    String.raw`{"uri":"s\u0033://b/x"}`,
    String.raw`{"uri":"S3://b/x"}`,
    String.raw`{"fileUri":"gS://b/x"}`,
  ]) {
    assert.equal(mayNameStoredInputs(Buffer.from(text)), true, text);
    assert.equal(find(Buffer.from(text), JSON.parse(text)).addresses.length, 1, text);
    assert.equal(find(Buffer.from(text), JSON.parse(text)).incomplete, false, text);
  }
  assert.equal(mayNameStoredInputs(Buffer.from('{"contents":[{"parts":[{"text":"hello"}]}]}')), false);
});

test('whatever the body, an address under an unknown member is found, and nothing throws', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(GS, S3), (value, address) => {
      assert.ok(findStoredInputs({ more: value, place: { uri: address } }).addresses.includes(address));
      findStoredInputs(value);
    }),
  );
});

test('a body of too many parts is said to be incomplete', () => {
  const many = { parts: Array.from({ length: 1_000_001 }, () => ({})) };
  assert.equal(findStoredInputs(many).incomplete, true);
  const addresses = { uris: Array.from({ length: 2_000 }, () => GS) };
  assert.deepEqual(
    [findStoredInputs(addresses).incomplete, findStoredInputs(addresses).addresses.length],
    [true, 1_000],
  );
});

test('an address in a repeated member is not overlooked, whichever of the two counts (RFC 8259 section 4)', () => {
  for (const text of [
    '{"fileData":{"fileUri":"gs://b/x","fileUri":"https://example.com/"}}',
    '{"fileData":{"fileUri":"gs://b/x"},"fileData":{"fileUri":"https://example.com/"}}',
    String.raw`{"s3Location":{"uri":"\u0073\u0033:\/\/b/x","uri":""}}`,
    '{"a":{"retrieval":{"x":"projects/p"},"retrieval":{}}}',
  ])
    assert.equal(find(Buffer.from(text), JSON.parse(text)).incomplete, true, text);
  const plain = '{"text":"gs://b/x","name":"a \\"gs://b\\" c","gs://key":1,"own":["\\n s3://x"]}';
  assert.equal(find(Buffer.from(plain), JSON.parse(plain)).incomplete, false);
});

test('what is counted in the bytes and in the value is the same, so that no decoy makes up for what is hidden', () => {
  const start = fc.constantFrom('', ' ', '\n', '\f', '\u00a0', '\u2003', ' '.repeat(17), '\\', '"');
  const text = fc.tuple(
    start,
    fc.constantFrom(GS, S3, 'GS://b', 'projects/p', '//x.test/projects/p', 'plain'),
  );
  fc.assert(
    fc.property(fc.array(text), fc.boolean(), (parts, escaped) => {
      const value = { list: parts.map(([before, rest]) => before + rest) };
      const escape = (letter: string): string => `\\u00${letter.charCodeAt(0).toString(16)}`;
      const json = JSON.stringify(value);
      const wrapped = `{"a":${escaped ? json.replace(/(?<!\\)[a-z]/g, escape) : json}}`;
      assert.equal(find(Buffer.from(wrapped), JSON.parse(wrapped)).incomplete, false, wrapped);
      const hidden = `{"t":"gs://b","t":"",${wrapped.slice(1)}`;
      assert.equal(find(Buffer.from(hidden), JSON.parse(hidden)).incomplete, true, hidden);
    }),
  );
});

test('property: one pass over a body answers as a search for each mark would', () => {
  const marks = ['gs:', 'GS:', 'Gs:', 'gS:', 's3:', 'S3:', '"retrieval"', '\\u00'];
  const part = fc.oneof(
    fc.constantFrom(...marks),
    fc.constantFrom('g', 's', 'S', '3', ':', '"', 'retrieval', '\\', 'u00', '\\\\u0', '\u017f', 'é'),
    fc.string({ unit: 'grapheme', maxLength: 4 }),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
      const body = Buffer.from(parts.join(''));
      const isThere = marks.some((mark) => body.includes(mark));
      assert.equal(mayNameStoredInputs(body), isThere);
    }),
  );
});
