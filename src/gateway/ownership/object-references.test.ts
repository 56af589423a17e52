import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { KeyWatch, scanJsonDocument } from '../../wire/json-scan.ts';
import {
  REFERENCE_KEYS,
  findObjectReferences,
  mayReferByKeys,
  mayReferToObjects,
} from './object-references.ts';

function mayReferAfterScan(body: Buffer, keepsItems: boolean): boolean {
  const watch = new KeyWatch(REFERENCE_KEYS);
  scanJsonDocument(body, watch);
  return mayReferByKeys(watch.mask, body, keepsItems);
}

const references = (body: unknown): string[] =>
  findObjectReferences(body, true)
    .map(({ kind, id }) => `${kind}:${id}`)
    .sort();

test('every way to name a provider object in a body is found (DESIGN section 6)', () => {
  const table: readonly (readonly [body: unknown, expected: readonly string[]])[] = [
    [{ previous_response_id: 'resp_1' }, ['response:resp_1']],
    [{ conversation: 'conv_1' }, ['conversation:conv_1']],
    [{ conversation: { id: 'conv_1' } }, ['conversation:conv_1']],
    [{ input: [{ content: [{ type: 'input_file', file_id: 'file-1' }] }] }, ['file:file-1']],
    [
      { tools: [{ type: 'file_search', vector_store_ids: ['vs_1', 'vs_2'] }] },
      ['vector_store:vs_1', 'vector_store:vs_2'],
    ],
    [
      { tools: [{ type: 'code_interpreter', container: { type: 'auto', file_ids: ['file-2'] } }] },
      ['file:file-2'],
    ],
    [{ container: 'container_1' }, ['container:container_1']],
    [
      {
        contents: [
          {
            parts: [
              {
                functionResponse: {
                  name: 'f',
                  response: { file_id: 'its own' },
                  parts: [
                    { fileData: { fileUri: 'https://generativelanguage.googleapis.com/v1beta/files/f1' } },
                  ],
                },
              },
              {
                function_response: {
                  response: { file_id: 'its own' },
                  parts: [{ file_data: { file_uri: 'files/f2' } }],
                },
              },
            ],
          },
        ],
      },
      ['file:files/f1', 'file:files/f2'],
    ],
    [
      { messages: [{ content: [{ type: 'document', source: { type: 'file', file_id: 'file_3' } }] }] },
      ['file:file_3'],
    ],
    [{ cachedContent: 'cachedContents/x' }, ['cache:cachedContents/x']],
    [
      { contents: [{ parts: [{ fileData: { fileUri: 'https://example.test/v1beta/files/abc' } }] }] },
      ['file:files/abc'],
    ],
    [{ input_file_id: 'file-9' }, ['file:file-9']],
    [
      {
        contents: [
          { parts: [{ fileData: { fileUri: 'https://example.test/v1beta/files/abc:download?x=1' } }] },
        ],
      },
      ['file:files/abc'],
    ],
    [{ input: [{ type: 'item_reference', id: 'msg_1' }] }, ['item:msg_1']],
    [{ input: [{ id: 'rs_1' }] }, ['item:rs_1']],
    [{ input: [{ id: 'rs_1', type: null }] }, ['item:rs_1']],
    [{ input: [{ type: 'reasoning', id: 'rs_2', summary: [] }] }, ['item:rs_2']],
    [{ prompt: { id: 'pmpt_1', version: '2' } }, ['prompt:pmpt_1']],
    [{ messages: [{ role: 'assistant', audio: { id: 'audio_1' } }] }, ['audio:audio_1']],
    [
      { container: { id: 'container_1', skills: [{ type: 'custom', skill_id: 's1' }] } },
      ['container:container_1', 'skill:s1'],
    ],
    // The body itself is not a tool call, whatever it says.
    [{ type: 'tool_use', toolUseId: '1', input: [{ file_id: 'file-1' }] }, ['file:file-1']],
  ];
  for (const [body, expected] of table) {
    assert.deepEqual(references(body), expected, JSON.stringify(body));
    assert.equal(mayReferToObjects(Buffer.from(JSON.stringify(body)), true), true, JSON.stringify(body));
    assert.equal(mayReferAfterScan(Buffer.from(JSON.stringify(body)), true), true, JSON.stringify(body));
  }
});

test("what is the caller's own data is not a reference", () => {
  const bodies: readonly unknown[] = [
    { messages: [{ role: 'user', content: 'read file_id file-1' }] },
    { messages: [{ content: [{ type: 'tool_use', id: 't', name: 'read', input: { file_id: 'mine' } }] }] },
    { tools: [{ input_schema: { properties: { file_id: { type: 'string' } } } }] },
    { tools: [{ type: 'code_interpreter', container: 'auto' }] },
    { metadata: { conversation: 'x' } },
    { input: [{ type: 'reasoning', id: 'rs_2', encrypted_content: 'sealed' }] },
    { input: [{ type: 'message', id: 'msg_1', role: 'assistant', content: [] }] },
    { container: { skills: [{ type: 'anthropic', skill_id: 'pptx' }] } },
    { audio: { voice: 'alloy', format: 'mp3' }, prompt: 'once' },
    { contents: [{ parts: [{ functionCall: { name: 'f', args: { file_id: 'x' } } }] }] },
  ];
  for (const body of bodies) assert.deepEqual(references(body), [], JSON.stringify(body));
});

test('an escaped member name does not hide a reference', () => {
  const body = '{"previous_respons\\u0065_id":"resp_1"}';
  assert.equal(mayReferToObjects(Buffer.from(body), true), true);
  assert.equal(mayReferAfterScan(Buffer.from(body), false), true);
  assert.equal(mayReferAfterScan(Buffer.from('{"prompt":{"id":"\\u0070mpt_1"}}'), false), true);
  assert.deepEqual(references(JSON.parse(body)), ['response:resp_1']);
});

test('a bare id is an item only where the format keeps items', () => {
  assert.deepEqual(findObjectReferences({ plugins: [{ id: 'file_parser' }] }, false), []);
});

test('a usual request is not walked, and a body whose keys nobody watched always is', () => {
  const body = Buffer.from(
    '{"model":"m","messages":[{"role":"user","content":"file_id"}],"tools":[{"prompt":1}]}',
  );
  assert.equal(mayReferAfterScan(body, false), false);
  assert.equal(mayReferByKeys(-1, body, false), true);
});

test('property: one pass over a body answers as a search for each mark would', () => {
  const escapes = ['\\u004', '\\u005', '\\u006', '\\u007'];
  const members = [
    '"file_',
    '"fileU',
    '"input_file_id',
    '"container',
    '"cached',
    '"conversation',
    '"previous_response_id',
    '"response_id',
    '"vector_store_id',
    '"skill_id',
    '"training_file',
    '"validation_file',
    '"pmpt_',
    '"audio"',
    ...escapes,
  ];
  const ofPrompts = ['"pmpt_', '"audio_', ...escapes];
  const part = fc.oneof(
    fc.constantFrom(...members, ...ofPrompts, '"id"'),
    // Marks that are cut short.
    fc.tuple(fc.constantFrom(...members), fc.nat(12)).map(([mark, length]) => mark.slice(0, length)),
    fc.constantFrom('"', '\\', 'u00', '\\u003', '\\u008', '"id', 'é'),
    fc.string({ unit: 'grapheme', maxLength: 4 }),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 4 }), fc.boolean(), (parts, keepsItems) => {
      const body = Buffer.from(parts.join(''));
      const has = (marks: readonly string[]): boolean => marks.some((mark) => body.includes(mark));
      assert.equal(mayReferToObjects(body, keepsItems), has(members) || (keepsItems && has(['"id"'])));
      assert.equal(mayReferByKeys(2, body, keepsItems), has(ofPrompts));
    }),
  );
});
