import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SQLInputValue } from 'node:sqlite';
import * as fc from 'fast-check';
import type { RequestRow } from '../shapes.ts';
import { BatchPacker, BatchView } from './batch-transfer.ts';
import { REQUEST_CODEC } from './request-codec.ts';
import { capturedBodies, requestRow } from './rows.fixture.ts';

function valuesOf(view: BatchView, row: number): SQLInputValue[] {
  const values: SQLInputValue[] = [];
  view.readRow(row, values);
  return values;
}

test('a batch arrives as it was sent, and the sender keeps its own', async () => {
  const request = Buffer.from('from the pool of small buffers');
  const large = new Uint8Array(9 * 1024 * 1024).fill(3);
  const packed = await new BatchPacker().pack({
    rows: [requestRow('req_1'), requestRow('req_2'), requestRow('req_3')],
    bodies: [capturedBodies('req_1', request, large), capturedBodies('req_2', new Uint8Array(0), request)],
    conversations: new Map([
      ['req_1', request],
      ['req_3', Buffer.from('another')],
    ]),
  });
  const view = new BatchView(structuredClone(packed, { transfer: [packed.data] }));
  const [first, second] = [view.bodiesOf(0), view.bodiesOf(1)];
  assert.ok(first?.request.equals(request) === true && first.response.equals(large));
  assert.deepEqual([first.requestContentType, first.responseContentType], ['application/json', null]);
  assert.ok(second?.request.length === 0 && second.response.equals(request));
  assert.deepEqual([view.bodiesOf(2), view.conversationOf(1)], [null, null]);
  assert.ok(view.conversationOf(0)?.equals(request) && view.isConversationTheRequest(0));
  assert.equal(view.conversationOf(2)?.toString(), 'another');
  assert.equal(view.isConversationTheRequest(2), false);
  assert.equal(request.toString(), 'from the pool of small buffers');
});

test('any row arrives as the codec would write it; what is of a wrong type is null', async () => {
  const odd = fc.oneof(
    fc.constantFrom(null, undefined, Number.NaN, Infinity, -0.4, 1.5, 2 ** 60, '', 'a'),
    fc.string({ unit: 'binary' }),
    fc.double(),
    fc.array(fc.string()),
  );
  const flag = fc.constantFrom(null, undefined, true, false);
  const fields = Object.fromEntries(
    REQUEST_CODEC.fields.map(([field, kind]) => [field, kind === 'bool' ? flag : odd] as const),
  );
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- rows of a spill file may hold anything.
  const row = fc.record(fields) as unknown as fc.Arbitrary<RequestRow>;
  await fc.assert(
    fc.asyncProperty(fc.array(row, { maxLength: 4 }), async (rows) => {
      const view = new BatchView(await new BatchPacker().pack({ rows, bodies: [] }));
      rows.forEach((sent, i) => {
        const written = REQUEST_CODEC.toValues(sent).map((value) => (value === 0 ? 0 : value));
        assert.deepEqual(
          valuesOf(view, i).map((value) => (value === 0 ? 0 : value)),
          written,
        );
      });
    }),
  );
});

test('a buffer that came back is used again, and what lay in it is not read', async () => {
  const packer = new BatchPacker();
  const long = Buffer.alloc(70_000, 0x61);
  const full = requestRow('req_1', { capture: 'full' });
  const first = await packer.pack({ rows: [full], bodies: [capturedBodies('req_1', long, long)] });
  packer.giveBack(first.data);
  const second = await packer.pack({ rows: [requestRow('req_2'), requestRow('req_3')], bodies: [] });
  assert.equal(second.data, first.data);
  const third = await packer.pack({ rows: [requestRow('req_4')], bodies: [] });
  assert.notEqual(third.data, first.data, 'it is lent only once');
  const view = new BatchView(second);
  assert.deepEqual([view.bodiesOf(0), view.bodiesOf(1), view.conversationOf(1)], [null, null, null]);
  assert.deepEqual(valuesOf(view, 1), REQUEST_CODEC.toValues(requestRow('req_3')));
});

test('what is no plain data is refused with store_invalid_row', async () => {
  const loop: string[] = [];
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the fault that is tested.
  loop.push(loop as unknown as string);
  await assert.rejects(
    new BatchPacker().pack({ rows: [requestRow('req_1', { groups: loop })], bodies: [] }),
    {
      code: 'store_invalid_row',
    },
  );
});
