import assert from 'node:assert/strict';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import type { Logger } from '../base/log.ts';
import { createListenerSet, type ListenerSet } from './listener-set.ts';

function setUp(t: TestContext): { readonly set: ListenerSet; readonly warnings: string[] } {
  const warnings: string[] = [];
  const logger: Logger = { debug() {}, info() {}, error() {}, warn: (text) => void warnings.push(text) };
  const set = createListenerSet({
    name: 'test',
    onRequest: (_, res) => void res.end('ok'),
    limits: {},
    logger,
  });
  t.after(() => set.close(0));
  return { set, warnings };
}

function isOpen(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    http
      .get(url, { agent: false }, (res) => {
        res.resume();
        resolve(true);
      })
      .on('error', () => resolve(false));
  });
}

test('places open once, stay while they are wanted, and close when they are not', async (t) => {
  const { set } = setUp(t);
  const place = { host: '127.0.0.1', port: 0, tls: null };
  await Promise.all([set.want([place]), set.want([place, place])]);
  const [url = ''] = set.urls;
  assert.equal(set.urls.length, 1);
  assert.ok(await isOpen(url));
  await set.want([place]);
  assert.deepEqual(set.urls, [url]);
  assert.deepEqual(set.ports(), [Number(new URL(url).port)]);
  await set.want([]);
  assert.deepEqual(set.urls, []);
  assert.equal(await isOpen(url), false);
});

test('what cannot be opened is told once, tried again with each call, and holds nothing else back', async (t) => {
  const { set, warnings } = setUp(t);
  const other = http.createServer();
  await new Promise<void>((resolve) => void other.listen(0, '127.0.0.1', resolve));
  const { port } = other.address() as AddressInfo;
  const places = [
    { host: '127.0.0.1', port, tls: null },
    { host: '127.0.0.1', port: 0, tls: null },
  ];
  for (let i = 0; i < 2; i += 1) {
    const failures = await set.want(places);
    assert.match(failures.map(({ message }) => message).join(), /in use by another process/);
  }
  assert.equal(warnings.length, 1);
  assert.equal(set.urls.length, 1);
  await new Promise((resolve) => void other.close(resolve));
  assert.deepEqual(await set.want(places), []);
  assert.equal(set.urls.length, 2);
});

test('after the end nothing opens any more', async (t) => {
  const { set } = setUp(t);
  await set.close(0);
  await set.want([{ host: '127.0.0.1', port: 0, tls: null }]);
  assert.deepEqual(set.urls, []);
});
