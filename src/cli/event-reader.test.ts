import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { createEventReader, type ServerEvent } from './event-reader.ts';

function read(...chunks: readonly string[]): readonly ServerEvent[] {
  const events: ServerEvent[] = [];
  const reader = createEventReader((event) => events.push(event));
  for (const chunk of chunks) reader.push(chunk);
  return events;
}

test('events end at an empty line; comments, ids and unknown fields are left out (HTML, section 9.2.6)', () => {
  assert.deepEqual(read(': hi\nevent: a\nid: 7\ndata: 1\ndata:2\nwhat\n\ndata: 3\n\n'), [
    { name: 'a', data: '1\n2' },
    { name: 'message', data: '3' },
  ]);
});

test('an event without data is none, and an unfinished one is not told', () => {
  assert.deepEqual(read('event: a\n\ndata: 1\n'), []);
});

test('every chunking gives the same events, with each of the three line ends', () => {
  const text = 'event: a\r\ndata: 1\r\n\r\ndata: 2\n\ndata: 3\r\rdata: 4\n\n';
  const whole = read(text);
  assert.equal(whole.length, 4);
  fc.assert(
    fc.property(fc.array(fc.nat(text.length)), (cuts) => {
      const places = [...new Set([0, ...cuts, text.length])].sort((a, b) => a - b);
      const chunks = places.slice(1).map((end, index) => text.slice(places[index], end));
      assert.deepEqual(read(...chunks), whole);
    }),
  );
});

test('never throws, whatever a server sends', () => {
  fc.assert(
    fc.property(fc.array(fc.string()), (chunks) => {
      read(...chunks);
    }),
  );
});

test('an event beyond the limit is dropped, and the next one is read', () => {
  const long = 'x'.repeat(1024 * 1024);
  const chunks = ['data: ', long, long, long, long, long, '\ndata: more\n\n', 'data: next\n\n'];
  assert.deepEqual(read(...chunks), [{ name: 'message', data: 'next' }]);
});
