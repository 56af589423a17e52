import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { fullCollection, releaseIdleMemory } from './idle-memory.ts';

const MEGABYTE = 1024 * 1024;

/** A server whose use the test decides, on a clock that the test moves. */
function setUp(t: TestContext): {
  underWay: number;
  served: number;
  unused: number;
  collections: number;
  tick(): void;
} {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const server = {
    underWay: 0,
    served: 0,
    unused: 64 * MEGABYTE,
    collections: 0,
    tick: () => t.mock.timers.tick(2000),
  };
  const stop = releaseIdleMemory({
    activity: { underWay: () => server.underWay, served: () => server.served },
    collect: () => {
      server.collections += 1;
    },
    unusedBytes: () => server.unused,
    afterUseMs: 6000,
  });
  t.after(stop);
  return server;
}

test('memory is given back once after the start, not again while nothing happens', (t) => {
  const server = setUp(t);
  for (let i = 0; i < 5; i += 1) server.tick();
  assert.equal(server.collections, 1);
});

test('a server in use is not paused: no collection while requests run, or soon after one', (t) => {
  const server = setUp(t);
  for (let i = 0; i < 5; i += 1) {
    server.served += 10;
    server.tick();
  }
  server.underWay = 1;
  server.tick();
  assert.equal(server.collections, 0);
  server.underWay = 0;
  server.tick();
  server.tick();
  assert.equal(server.collections, 0, 'compiled code would be lost');
  server.served += 1;
  server.tick();
  server.tick();
  server.tick();
  assert.equal(server.collections, 0, 'every request begins the time anew');
  server.tick();
  assert.equal(server.collections, 1);
});

test('after each time of use memory is given back again, if there is something to give', (t) => {
  const server = setUp(t);
  server.tick();
  server.served += 1;
  server.tick();
  server.unused = MEGABYTE;
  for (let i = 0; i < 3; i += 1) server.tick();
  assert.equal(server.collections, 1, 'a megabyte is not worth a pause');
  server.unused = 64 * MEGABYTE;
  server.tick();
  assert.equal(server.collections, 2);
});

test('the full collection frees what nothing refers to', () => {
  const kept = new WeakRef({ large: Buffer.alloc(1000).toString() });
  return new Promise<void>((resolve) => {
    // A reference lives until the end of the turn that made it.
    setImmediate(() => {
      fullCollection()();
      assert.equal(kept.deref(), undefined);
      resolve();
    });
  });
});
