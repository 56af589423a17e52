/** A thread that reads large bodies, one after the other; the bytes come and go without a copy. */
import { parentPort } from 'node:worker_threads';
import { readBodyFacts, type BodyQuestion, type BodyReading, type BodyRefusal } from './read-body-facts.ts';

export interface WorkerQuestion extends BodyQuestion {
  readonly id: number;
  readonly bytes: ArrayBuffer;
}

export interface WorkerAnswer {
  readonly id: number;
  readonly bytes: ArrayBuffer;
  readonly read: BodyReading | BodyRefusal;
}

parentPort?.on('message', ({ id, bytes, ...question }: WorkerQuestion) => {
  const read = readBodyFacts(Buffer.from(bytes), question);
  const answer: WorkerAnswer = { id, bytes, read };
  parentPort?.postMessage(answer, [bytes]);
});
