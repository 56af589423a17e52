/** The events of a stream that hooks are told of (issue 3, hooks: `raw_responses`). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../../test/property-seed.ts';
import { encodeEventStreamMessage } from '../../wire/aws-event-stream.ts';
import { eventTexts } from './event-texts.ts';

const FRAMES = 'application/vnd.amazon.eventstream';

function frame(names: Readonly<Record<string, string>>, payload: object): Buffer {
  const headers = Object.entries(names).map(([name, value]) => [name, { type: 'string', value }] as const);
  return encodeEventStreamMessage({
    headers: new Map(headers),
    payload: Buffer.from(JSON.stringify(payload)),
  });
}

function texts(stream: Buffer, contentType: string): readonly string[] {
  return eventTexts(stream, contentType).map(String);
}

test('server-sent events and Gemini’s lists are told byte for byte', () => {
  const sse = Buffer.from('event: a\ndata: {"n": 1}\n\n: sign of life\n\ndata: [DONE]\n\n');
  assert.deepEqual(texts(sse, 'text/event-stream; charset=utf-8'), ['{"n": 1}', '[DONE]']);
  const list = Buffer.from('[{"n": 1},\r\n{"text": "}]{[", "deep": [{}]}]');
  assert.deepEqual(texts(list, 'application/json; charset=UTF-8'), [
    '{"n": 1}',
    '{"text": "}]{[", "deep": [{}]}',
  ]);
});

test('AWS event streams: InvokeModel’s are the model’s own events, Converse’s stand under their name', () => {
  const own = { type: 'message_stop', ü: [1] };
  const stream = Buffer.concat([
    frame({ ':event-type': 'chunk' }, { bytes: Buffer.from(JSON.stringify(own)).toString('base64') }),
    frame({ ':event-type': 'messageStop' }, { stopReason: 'end_turn' }),
    frame({ ':exception-type': 'throttlingException' }, { message: 'slow down' }),
  ]);
  assert.deepEqual(texts(stream, FRAMES), [
    JSON.stringify(own),
    '{"messageStop":{"stopReason":"end_turn"}}',
    '{"throttlingException":{"message":"slow down"}}',
  ]);
});

test('what follows a damaged frame is left out, and no bytes throw', () => {
  const good = frame({ ':event-type': 'messageStop' }, {});
  const damaged = Buffer.from(good);
  damaged.writeUInt8(damaged.readUInt8(20) ^ 1, 20);
  assert.deepEqual(texts(Buffer.concat([good, damaged, good]), FRAMES), ['{"messageStop":{}}']);
  const types = fc.constantFrom(FRAMES, 'application/json', 'text/event-stream', '');
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), types, (bytes, type) => {
      eventTexts(Buffer.from(bytes), type);
    }),
  );
});
