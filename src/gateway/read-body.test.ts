import assert from 'node:assert/strict';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { AppError } from '../base/errors.ts';
import { createBodyBudget, readBody } from './read-body.ts';
import { Refused } from './reasons.ts';

const MAX_BYTES = 1_000_000;

interface Reading {
  readonly req: IncomingMessage;
  readonly budget: ReturnType<typeof createBodyBudget>;
  readonly body: Promise<Buffer>;
  cut(reason: Refused): void;
}

function read(chunks: readonly Buffer[], budgetBytes = MAX_BYTES): Reading {
  const req = new IncomingMessage(new Socket());
  const budget = createBodyBudget(budgetBytes);
  let cut: (reason: Refused) => void = () => assert.fail('nothing took over');
  const active = {
    takeOver: (onCut: (reason: Refused) => void): void => {
      cut = onCut;
    },
  };
  const body = readBody(req, { maxBytes: MAX_BYTES, budget, active }, (whole) => whole);
  for (const chunk of chunks) req.push(chunk);
  return { req, budget, body, cut: (reason) => cut(reason) };
}

function failsWith(body: Promise<Buffer>, code: string): Promise<void> {
  return assert.rejects(body, (error) => error instanceof AppError && error.code === code);
}

test('body: one chunk is given on as it came, without a copy', async () => {
  const chunk = Buffer.from('{"model":"x"}');
  const { req, body, budget } = read([chunk]);
  req.push(null);
  assert.equal(await body, chunk);
  assert.equal(budget.heldBytes, chunk.length);
});

test('body: thousands of single bytes arrive whole and in order', async () => {
  const text = Array.from({ length: 20_000 }, (_, i) => String(i % 10)).join('');
  const { req, body } = read(text.split('').map((letter) => Buffer.from(letter)));
  req.push(null);
  assert.equal(String(await body), text);
});

test('body: small and large chunks mixed arrive whole and in order', async () => {
  const chunks = Array.from({ length: 600 }, (_, i) => Buffer.alloc(i % 7 === 0 ? 8000 : 3, i % 251));
  const { req, body } = read(chunks);
  req.push(null);
  assert.ok((await body).equals(Buffer.concat(chunks)));
});

test('body: what was taken from the budget is given back on every failure', async () => {
  const over = read([Buffer.alloc(MAX_BYTES), Buffer.alloc(1)]);
  await failsWith(over.body, 'body_too_large');
  const crowded = read([Buffer.alloc(600), Buffer.alloc(600)], 1000);
  await failsWith(crowded.body, 'overloaded');
  const left = read([Buffer.alloc(600)]);
  left.req.destroy();
  await failsWith(left.body, 'body_incomplete');
  const cut = read([Buffer.alloc(600)]);
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  assert.equal(cut.budget.heldBytes, 600);
  cut.cut(new Refused('access_revoked', 'withdrawn'));
  await failsWith(cut.body, 'access_revoked');
  for (const { budget } of [over, crowded, left, cut]) assert.equal(budget.heldBytes, 0);
});

test('body: who left before the reading began is told apart from who is slow: it fails at once', async () => {
  const req = new IncomingMessage(new Socket());
  req.on('error', () => {});
  req.destroy();
  await new Promise((resolve) => {
    req.once('close', resolve);
  });
  const active = { takeOver: (): void => {} };
  await failsWith(
    readBody(req, { maxBytes: MAX_BYTES, budget: createBodyBudget(10), active }, (whole) => whole),
    'body_incomplete',
  );
});
