/** What a Postern holds at this moment, by its own metrics: zero again when nobody calls. */
import assert from 'node:assert/strict';
import type { Postern } from './harness.ts';

export interface Load {
  readonly activeRequests: number;
  readonly bodyBytesHeld: number;
}

async function loadOf(postern: Postern): Promise<Load> {
  const { status, text } = await postern.call('/metrics');
  assert.equal(status, 200, text.slice(0, 300));
  return {
    activeRequests: gauge(text, 'postern_requests_active'),
    bodyBytesHeld: gauge(text, 'postern_request_body_bytes_held'),
  };
}

/** Asks until nothing is held any more, for at most 5 s. */
export async function untilIdle(postern: Postern): Promise<void> {
  const deadline = Date.now() + 5000;
  for (;;) {
    const load = await loadOf(postern);
    if (load.activeRequests === 0 && load.bodyBytesHeld === 0) return;
    if (Date.now() > deadline) assert.fail(`still held after 5 s: ${JSON.stringify(load)}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
}

function gauge(text: string, name: string): number {
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
  assert.ok(line, `no metric ${name}`);
  return Number(line.slice(name.length + 1));
}
