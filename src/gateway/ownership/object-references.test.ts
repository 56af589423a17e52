import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findObjectReferences, kindOfId, mayReferToObjects } from './object-references.ts';

const references = (body: unknown): string[] => findObjectReferences(body).map(({ kind, id }) => `${kind}:${id}`).sort();

test('every way to name a provider object in a body is found (DESIGN section 6)', () => {
  const table: readonly (readonly [body: unknown, expected: readonly string[]])[] = [
    [{ previous_response_id: 'resp_1' }, ['response:resp_1']],
    [{ conversation: 'conv_1' }, ['conversation:conv_1']],
    [{ conversation: { id: 'conv_1' } }, ['conversation:conv_1']],
    [{ input: [{ content: [{ type: 'input_file', file_id: 'file-1' }] }] }, ['file:file-1']],
    [{ tools: [{ type: 'file_search', vector_store_ids: ['vs_1', 'vs_2'] }] }, ['vector_store:vs_1', 'vector_store:vs_2']],
    [{ tools: [{ type: 'code_interpreter', container: { type: 'auto', file_ids: ['file-2'] } }] }, ['file:file-2']],
    [{ container: 'container_1' }, ['container:container_1']],
    [{ messages: [{ content: [{ type: 'document', source: { type: 'file', file_id: 'file_3' } }] }] }, ['file:file_3']],
    [{ cachedContent: 'cachedContents/x' }, ['cache:cachedContents/x']],
    [{ contents: [{ parts: [{ fileData: { fileUri: 'https://example.test/v1beta/files/abc' } }] }] }, ['file:files/abc']],
    [{ input_file_id: 'file-9' }, ['file:file-9']],
  ];
  for (const [body, expected] of table) {
    assert.deepEqual(references(body), expected, JSON.stringify(body));
    assert.equal(mayReferToObjects(Buffer.from(JSON.stringify(body))), true, JSON.stringify(body));
  }
});

test("what is the caller's own data is not a reference", () => {
  const bodies: readonly unknown[] = [
    { messages: [{ role: 'user', content: 'read file_id file-1' }] },
    { messages: [{ content: [{ type: 'tool_use', id: 't', name: 'read', input: { file_id: 'mine' } }] }] },
    { tools: [{ input_schema: { properties: { file_id: { type: 'string' } } } }] },
    { tools: [{ type: 'code_interpreter', container: 'auto' }] },
    { metadata: { conversation: 'x' } },
    { contents: [{ parts: [{ functionCall: { name: 'f', args: { file_id: 'x' } } }] }] },
  ];
  for (const body of bodies) assert.deepEqual(references(body), [], JSON.stringify(body));
});

test('an escaped member name does not hide a reference', () => {
  const body = '{"previous_respons\\u0065_id":"resp_1"}';
  assert.equal(mayReferToObjects(Buffer.from(body)), true);
  assert.deepEqual(references(JSON.parse(body)), ['response:resp_1']);
});

test('the kind of an id is told by its prefix', () => {
  assert.equal(kindOfId('resp_1'), 'response');
  assert.equal(kindOfId('msgbatch_1'), 'message_batch');
  assert.equal(kindOfId('whatever'), null);
});
