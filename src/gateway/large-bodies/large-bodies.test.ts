import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { createLogger } from '../../base/log.ts';
import type { SurfaceMatch } from '../../llm/index.ts';
import { Refused } from '../reasons.ts';
import { createLargeBodies, type LargeBodies, type LargeBodiesOptions } from './large-bodies.ts';

const CHAT: SurfaceMatch = {
  format: 'openai_chat',
  dialect: 'openai',
  model: null,
  modelInBody: true,
  stream: null,
  action: '',
  objectId: null,
};
const QUESTION = { match: CHAT, contentType: 'application/json' };
const logger = createLogger({ format: 'text', level: 'error', write: () => undefined, now: () => 0 });

const open: LargeBodies[] = [];
afterEach(async () => {
  for (const bodies of open.splice(0)) await bodies.close();
});

function create(options: Partial<LargeBodiesOptions> = {}): LargeBodies {
  const bodies = createLargeBodies({ logger, ...options });
  open.push(bodies);
  return bodies;
}

function chat(content: unknown, bytes = 2_000_000): Buffer {
  return Buffer.from(
    JSON.stringify({
      model: 'm',
      stream: true,
      messages: [{ role: 'user', content }],
      pad: 'x'.repeat(bytes),
    }),
  );
}

function isRefused(code: string): (error: unknown) => boolean {
  return (error) => error instanceof Refused && error.code === code;
}

test('a large body comes back byte for byte, with its facts (DESIGN section 11)', async () => {
  const body = chat('hello');
  const copy = Buffer.from(body);
  const read = await create().read(body, QUESTION);
  assert.ok(read.body.equals(copy));
  assert.equal(read.facts.model, 'm');
  assert.equal(read.facts.stream, true);
  assert.deepEqual(read.facts.member('messages'), [{ role: 'user', content: 'hello' }]);
  assert.equal(read.facts.span('absent'), null);
  assert.deepEqual(read.references, []);
});

test('the objects that a large body names are found with it (DESIGN section 6)', async () => {
  const { references } = await create().read(
    chat([{ type: 'file', file: { file_id: 'file-abc' } }]),
    QUESTION,
  );
  assert.deepEqual(references, [{ kind: 'file', id: 'file-abc' }]);
});

test('a body that is part of a larger array is copied, and its neighbours stay', async () => {
  const whole = Buffer.concat([Buffer.from('before'), chat('hi'), Buffer.from('after')]);
  const read = await create().read(whole.subarray(6, whole.length - 5), QUESTION);
  assert.equal(read.facts.model, 'm');
  assert.equal(whole.toString('latin1', 0, 6), 'before');
});

test('what is refused on the request loop is refused in the thread, with the same code', async () => {
  const bodies = create();
  await assert.rejects(
    bodies.read(Buffer.from('{"model":"m","model":"n"}'), QUESTION),
    isRefused('body_invalid'),
  );
  await assert.rejects(bodies.read(Buffer.from('{}'), QUESTION), isRefused('model_missing'));
  await assert.rejects(bodies.read(Buffer.from([0xff]), QUESTION), isRefused('body_invalid'));
  assert.equal((await bodies.read(chat('still works'), QUESTION)).facts.model, 'm');
});

test('bodies beyond the bytes that may wait are refused as overload, and the rest is served', async () => {
  const bodies = create({ waitingMaxBytes: 5_000_000 });
  const first = bodies.read(chat('one'), QUESTION);
  const second = bodies.read(chat('two'), QUESTION);
  await assert.rejects(bodies.read(chat('three'), QUESTION), isRefused('overloaded'));
  assert.equal((await first).facts.model, 'm');
  assert.equal((await second).facts.model, 'm');
  assert.equal((await bodies.read(chat('four'), QUESTION)).facts.model, 'm', 'their bytes are free again');
});

test('a body that takes too long is refused, and the next one gets a new thread', async () => {
  const bodies = create({ readMs: 1 });
  await assert.rejects(bodies.read(chat('slow', 30_000_000), QUESTION), isRefused('overloaded'));
});

test('an idle thread ends, and the next body starts another', async () => {
  const bodies = create({ idleMs: 1 });
  await bodies.read(chat('one'), QUESTION);
  await new Promise((resolve) => {
    setTimeout(resolve, 20);
  });
  assert.equal((await bodies.read(chat('two'), QUESTION)).facts.model, 'm');
});

test('after the close nothing is read, and what waited is refused', async () => {
  const bodies = create();
  const waiting = bodies.read(chat('one'), QUESTION);
  const closing = bodies.close();
  await assert.rejects(waiting, isRefused('overloaded'));
  await closing;
  await assert.rejects(bodies.read(chat('two'), QUESTION), isRefused('overloaded'));
});
