import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { encodeSseEvent, readSseEvent, SseSplitter } from './sse.ts';

interface Split {
  readonly pieces: readonly { readonly kind: 'event' | 'oversized'; readonly text: string }[];
  readonly rest: string;
}

function split(chunks: readonly Buffer[], eventMaxBytes = 1 << 20): Split {
  const splitter = new SseSplitter({ eventMaxBytes });
  const pieces: { kind: 'event' | 'oversized'; text: string }[] = [];
  const sink = {
    event: (raw: Buffer) => void pieces.push({ kind: 'event', text: raw.toString('latin1') }),
    oversized: (raw: Buffer) => void pieces.push({ kind: 'oversized', text: raw.toString('latin1') }),
  };
  for (const chunk of chunks) splitter.push(chunk, sink);
  return { pieces, rest: splitter.finish().toString('latin1') };
}

function cut(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let at = 0;
  for (let i = 0; at < bytes.length; i += 1) {
    const length = 1 + (lengths[i % Math.max(1, lengths.length)] ?? 0);
    chunks.push(bytes.subarray(at, at + length));
    at += length;
  }
  return chunks;
}

const stream = fc
  .array(fc.constantFrom('data: a', 'event: x', 'data', ':comment', '\n', '\r', '\r\n', '\n\n', '\r\r', ''), {
    maxLength: 20,
  })
  .map((parts) => Buffer.from(parts.join('')));

test('events are the same in any chunking, and no byte is lost (WHATWG HTML 9.2.6)', () => {
  fc.assert(
    fc.property(stream, fc.array(fc.nat(7)), fc.constantFrom(4, 12, 1_000), (bytes, lengths, limit) => {
      const found = split(cut(bytes, lengths), limit);
      assert.equal(found.pieces.map((piece) => piece.text).join('') + found.rest, bytes.toString('latin1'));
      if (limit === 1_000) assert.deepEqual(found, split([bytes]));
    }),
    { numRuns: 2_000 },
  );
});

test('lines end in LF, CRLF or CR', () => {
  for (const end of ['\n', '\r\n', '\r']) {
    const { pieces, rest } = split([Buffer.from(`data: a${end}${end}event: e${end}data: b${end}${end}:`)]);
    const events = pieces.map((piece) => readSseEvent(Buffer.from(piece.text)));
    assert.deepEqual(
      events.map((event) => [event?.name, event?.data.toString()]),
      [
        ['', 'a'],
        ['e', 'b'],
      ],
    );
    assert.equal(rest, ':');
  }
});

test('data lines are joined, one space is cut, a comment is no event', () => {
  assert.equal(readSseEvent(Buffer.from('data:  a\ndata\ndata:b\n\n'))?.data.toString(), ' a\n\nb');
  assert.equal(readSseEvent(Buffer.from(': ping\n\n')), null);
  assert.equal(readSseEvent(Buffer.from('datax: 1\n\n')), null);
  assert.equal(readSseEvent(Buffer.from('\ufeffdata: a\n\n'))?.data.toString(), 'a');
});

test('an event beyond the limit is passed on in pieces and not kept', () => {
  const big = Buffer.from(`data: ${'x'.repeat(50)}\n\n`);
  const { pieces } = split([...cut(big, [9]), Buffer.from('data: y\n\n')], 20);
  assert.equal(
    pieces
      .filter((piece) => piece.kind === 'oversized')
      .map((piece) => piece.text)
      .join(''),
    big.toString(),
  );
  assert.deepEqual(pieces.at(-1), { kind: 'event', text: 'data: y\n\n' });
});

test('what is written is read back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (data) => {
      const text = Buffer.from(data, 'utf8').toString('utf8');
      const event = readSseEvent(encodeSseEvent({ name: 'n', data: text }));
      assert.equal(event?.name, 'n');
      assert.equal(event?.data.toString('utf8'), text.replaceAll(/\r\n|\r/g, '\n'));
    }),
  );
});
