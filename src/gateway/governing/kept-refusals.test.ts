import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRefusalMemory, type RefusedTurn } from '../../llm/answer/index.ts';
import type { Keeping } from './keeping.ts';
import { keepRefusals } from './kept-refusals.ts';

function turn(responseId: string, conversationId: string | null = null): RefusedTurn {
  return {
    responseId,
    conversationId,
    calls: [
      { markerId: `msg_${responseId}`, text: `refused ${responseId}`, item: '{"type":"function_call"}' },
    ],
  };
}

/** A store whose rows come back in the order of their last write. */
function keep(): { readonly keeping: Keeping; values(): readonly unknown[] } {
  const kept = new Map<string, unknown>();
  return {
    keeping: {
      put(name, value) {
        kept.delete(JSON.stringify(name));
        kept.set(JSON.stringify(name), JSON.parse(JSON.stringify(value)));
      },
      delete: (name) => void kept.delete(JSON.stringify(name)),
    },
    values: () => [...kept.values()],
  };
}

test('refused turns are known after a restart, to their caller alone (issue 3, Proof)', () => {
  const { keeping, values } = keep();
  keepRefusals(createRefusalMemory(), keeping, []).add('home ann', turn('r1'));
  const after = keepRefusals(createRefusalMemory(), keeping, [null, { owner: 1 }, ...values()]);
  assert.deepEqual(after.of('home ann').byResponse('r1'), turn('r1'));
  assert.equal(after.of('home bob').isEmpty, true);
});

test('what was answered before a restart is not answered again after it', () => {
  const { keeping, values } = keep();
  const before = keepRefusals(createRefusalMemory(), keeping, []);
  before.add('home ann', turn('r1', 'conv'));
  before.answered('home ann', 'conv');
  before.add('home ann', turn('r2', 'conv'));
  before.add('home ann', turn('r3', 'other'));
  const after = keepRefusals(createRefusalMemory(), keeping, values()).of('home ann');
  assert.deepEqual(
    after.byConversation('conv').map(({ responseId }) => responseId),
    ['r2'],
  );
  assert.equal(after.byConversation('other').length, 1);
  assert.notEqual(after.byResponse('r1'), null);
});

test('what is answered after a restart stays so at the next', () => {
  const { keeping, values } = keep();
  keepRefusals(createRefusalMemory(), keeping, []).add('home ann', turn('r1', 'conv'));
  const second = keepRefusals(createRefusalMemory(), keeping, values());
  assert.equal(second.of('home ann').byConversation('conv').length, 1);
  second.answered('home ann', 'conv');
  const third = keepRefusals(createRefusalMemory(), keeping, values());
  assert.equal(third.of('home ann').byConversation('conv').length, 0);
});
