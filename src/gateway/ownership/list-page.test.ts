import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { providerQuery, readListQuestion, readProviderPage, renderPage } from './list-page.ts';

test('objects of a page keep their bytes', () => {
  const page = readProviderPage(
    Buffer.from(
      '{"object":"list", "data":[ {"id":"file-1" , "x":1.50}, {"id":"file-2","\\u0078":[]} ],"has_more":true,"last_id":"file-2"}',
    ),
    'openai',
  );
  assert.deepEqual(
    page?.objects.map(({ id, bytes }) => [id, bytes.toString()]),
    [
      ['file-1', '{"id":"file-1" , "x":1.50}'],
      ['file-2', '{"id":"file-2","\\u0078":[]}'],
    ],
  );
  assert.equal(page?.next, 'file-2');
});

test('ends and marks of the rendered page are those of its own objects, in each dialect', () => {
  const objects = [
    { id: 'a', bytes: Buffer.from('{"id":"a"}') },
    { id: 'b', bytes: Buffer.from('{"id":"b"}') },
  ];
  const page = (dialect: 'openai' | 'anthropic' | 'google', given: typeof objects): string =>
    renderPage(dialect, { objects: given, hasMore: true, next: 'mark' }).toString();
  assert.equal(
    page('openai', objects),
    '{"object":"list","data":[{"id":"a"},{"id":"b"}],"first_id":"a","last_id":"b","has_more":true}',
  );
  assert.equal(page('anthropic', []), '{"data":[],"first_id":null,"last_id":null,"has_more":true}');
  assert.equal(page('google', objects), '{"cachedContents":[{"id":"a"},{"id":"b"}],"nextPageToken":"mark"}');
});

test('what the caller asks is bounded, and said once', () => {
  assert.equal(readListQuestion('limit=5000', 'openai', 'batch').limit, 100);
  assert.equal(readListQuestion('', 'openai', 'file').limit, 1_000);
  assert.equal(readListQuestion('', 'anthropic', 'file').limit, 20);
  for (const query of [
    'limit=0',
    'limit=x',
    'limit=1.5',
    'after=a&after=b',
    `after=${'a'.repeat(2_000)}`,
    'order=asc&order=desc',
  ]) {
    assert.throws(() => readListQuestion(query, 'openai', 'file'), { code: 'body_invalid' }, query);
  }
  const question = readListQuestion(
    'limit=3&purpose=batch&after=file-1&key=secret&unknown=1',
    'openai',
    'file',
  );
  assert.equal(
    providerQuery(question, { dialect: 'openai', kind: 'file' }),
    'purpose=batch&limit=1000&after=file-1',
  );
});

test('no bytes of a provider make a page throw', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 200 }),
        fc.json().map((text) => Buffer.from(`{"data":${text},"has_more":1}`)),
      ),
      (bytes) => {
        for (const dialect of ['openai', 'anthropic', 'google'] as const)
          readProviderPage(Buffer.from(bytes), dialect);
      },
    ),
    { numRuns: 300 },
  );
});
