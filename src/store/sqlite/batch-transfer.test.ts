import assert from 'node:assert/strict';
import { test } from 'node:test';
import { packBatch, unpackBatch } from './batch-transfer.ts';
import { capturedBodies, requestRow } from './rows.fixture.ts';

test('a batch arrives as it was sent, each byte string once, and the sender keeps its own', async () => {
  const request = Buffer.from('from the pool of small buffers');
  const large = new Uint8Array(9 * 1024 * 1024).fill(3);
  const batch = {
    rows: [requestRow('req_1'), requestRow('req_2')],
    bodies: [capturedBodies('req_1', request, large), capturedBodies('req_2', new Uint8Array(0), request)],
    conversations: new Map([['req_1', request]]),
  };
  const packed = await packBatch(batch);
  assert.equal(packed.data.byteLength, request.byteLength + large.byteLength);
  const arrived = unpackBatch(structuredClone(packed, { transfer: [packed.data] }));
  assert.deepEqual(arrived.rows, batch.rows);
  assert.deepEqual(arrived.bodies[0]?.request, Uint8Array.from(request));
  assert.ok(Buffer.from(large).equals(arrived.bodies[0]?.response ?? new Uint8Array(0)));
  assert.deepEqual(arrived.conversations?.get('req_1'), Uint8Array.from(request));
  assert.equal(request.toString(), 'from the pool of small buffers');
});

test('a batch without conversations is one without', async () => {
  const arrived = unpackBatch(await packBatch({ rows: [], bodies: [] }));
  assert.deepEqual(arrived, { rows: [], bodies: [], conversations: new Map() });
});
