import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BODY_MEMORY_LIMITS, BodyMemory, type ReadBody } from './body-memory.ts';

const QUESTION = { conversation: 'messages', isWhole: true };
const FILL = 'x'.repeat(1000);

function conversation(name: string, turns: number): Buffer {
  const messages = Array.from({ length: turns }, (_, i) => ({
    role: 'user',
    content: `${name} ${i} ${FILL}`,
  }));
  return Buffer.from(JSON.stringify({ model: 'm', messages }), 'utf8');
}

/** As the body writer does. */
function number(body: ReadBody, first: number): void {
  body.itemIds.forEach((id, i) => {
    if (id === 0) body.itemIds[i] = first + i;
  });
}

test('the very same body of the same owner is known, also when the former bytes have changed since', () => {
  const memory = new BodyMemory();
  const bytes = conversation('a', 3);
  number(memory.read('alice', bytes, QUESTION), 1);
  const again = Buffer.from(bytes);
  bytes.fill(0);
  assert.ok(memory.read('alice', again, QUESTION).itemIds.every((id) => id > 0));
});

test('nothing that one owner sent is known of another (DESIGN section 12)', () => {
  const memory = new BodyMemory();
  number(memory.read('alice', conversation('a', 3), QUESTION), 1);
  const other = memory.read('bob', conversation('a', 3), QUESTION);
  assert.ok(other.itemIds.every((id) => id === 0));
  assert.deepEqual(other.chain, []);
});

test('conversations that take turns are each gone on from', () => {
  const memory = new BodyMemory();
  for (let turns = 2; turns < 12; turns += 1) {
    for (const name of ['a', 'b', 'c']) {
      const read = memory.read('alice', conversation(name, turns), QUESTION);
      const fresh = read.itemIds.filter((id) => id === 0).length;
      // Head, elements and tail; later the new element, and a tail that is the same.
      if (turns > 4) assert.ok(fresh <= 2, `${name} ${turns}: ${fresh} new items`);
      number(read, turns * 100);
    }
  }
});

test('links of the chain come along as far as the conversation is the same', () => {
  const memory = new BodyMemory();
  const first = memory.read('alice', conversation('a', 4), QUESTION);
  for (let i = 0; i < 4; i += 1) first.chain.push({ hash: Uint8Array.of(i), key: String(i) });
  assert.deepEqual(
    memory.read('alice', conversation('a', 6), QUESTION).chain.map(({ key }) => key),
    ['0', '1', '2', '3'],
  );
});

test('memory is bounded: the owners that came first are forgotten, and a large body is not kept', () => {
  const memory = new BodyMemory({ ...BODY_MEMORY_LIMITS, bytes: 20_000, bodyBytes: 9_000, owners: 3 });
  const isKnown = (owner: string, turns: number): boolean => {
    const read = memory.read(owner, conversation('a', turns), QUESTION);
    const known = read.itemIds.every((id) => id > 0);
    number(read, 1);
    return known;
  };
  assert.deepEqual([isKnown('a', 2), isKnown('a', 2)], [false, true]);
  assert.deepEqual([isKnown('b', 10), isKnown('b', 10)], [false, false], 'larger than a body may be');
  for (const owner of ['c', 'd', 'e', 'f']) isKnown(owner, 2);
  assert.equal(isKnown('a', 2), false, 'more than three owners');
  for (const owner of ['g', 'h', 'i']) isKnown(owner, 7);
  assert.equal(isKnown('g', 7), false, 'more bytes than the bound');
});

test('after a rollback nothing is known', () => {
  const memory = new BodyMemory();
  number(memory.read('alice', conversation('a', 3), QUESTION), 1);
  memory.forget();
  assert.ok(memory.read('alice', conversation('a', 3), QUESTION).itemIds.every((id) => id === 0));
});

test('what was changed at the same length is not taken for what it was, neither within nor at the end', () => {
  const body = (message: string, tool: string): Buffer =>
    Buffer.from(
      JSON.stringify({
        messages: [{ content: `a ${FILL}` }, { content: `${message} ${FILL}` }],
        tools: [{ name: `b ${FILL}` }, { name: `${tool} ${FILL}` }],
      }),
      'utf8',
    );
  const memory = new BodyMemory();
  const first = body('c', 'd');
  number(memory.read('alice', first, QUESTION), 1);
  for (const changed of [body('C', 'd'), body('c', 'D'), body('C', 'D')]) {
    const read = memory.read('alice', changed, QUESTION);
    read.itemEnds.forEach((end, i) => {
      const start = read.itemEnds[i - 1] ?? 0;
      const isChanged = changed.compare(first, start, end, start, end) !== 0;
      assert.ok(!isChanged || read.itemIds[i] === 0, changed.toString('utf8', start, start + 40));
    });
    number(read, 100);
    memory.forget();
    number(memory.read('alice', first, QUESTION), 1);
  }
});

test('a number that goes on is not the number that it was', () => {
  const memory = new BodyMemory();
  const body = (last: string): Buffer =>
    Buffer.from(`{"fill":"${FILL.repeat(3)}","messages":[{"a":1}],"n":12${last}`);
  memory.read('alice', body('}'), QUESTION);
  for (const last of ['3}', '.5}', 'x}']) {
    const fresh = new BodyMemory().read('alice', body(last), QUESTION);
    assert.deepEqual(memory.read('alice', body(last), QUESTION).outline, fresh.outline, last);
  }
});

test('a conversation that comes first now is the conversation, though the rest is as before', () => {
  const memory = new BodyMemory();
  const body = (head: string): Buffer =>
    Buffer.from(`{"fill":"${FILL.repeat(3)}","a":1,${head}"b":2,"messages":[{"a":1},{"b":1}]}`);
  memory.read('alice', body(''), QUESTION);
  const again = memory.read('alice', body('"messages":[{"c":1}],'), QUESTION);
  assert.deepEqual(again.outline?.starts.length, 1);
});
