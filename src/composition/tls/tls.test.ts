/** Where the certificates of listeners come from, and how they are renewed. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mock, test, type TestContext } from 'node:test';
import { silentLogger } from '../../base/log.ts';
import { createSelfSignedCertificate, readCertificate } from '../../crypto/index.ts';
import { openOwnCertificate } from './own-files.ts';
import { ensureSelfSigned } from './self-signed.ts';
import { keepTailnetCertificate } from './tailnet-certificate.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const START = Date.UTC(2026, 10, 23);

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'postern-tls-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

function pairFor(name: string, notAfter = START + 90 * DAY_MS) {
  return createSelfSignedCertificate({
    commonName: name,
    names: [name],
    addresses: [],
    notBefore: START - DAY_MS,
    notAfter,
  });
}

test('own files: a renewal is taken, a pair that does not fit is not, and the start refuses one', async (t) => {
  const path = folder(t);
  const [certFile, keyFile] = [join(path, 'cert.pem'), join(path, 'key.pem')];
  const write = ({ cert, key }: { cert: string; key: string }): void => {
    writeFileSync(certFile, cert);
    writeFileSync(keyFile, key);
  };
  const [first, second] = [pairFor('a.test'), pairFor('a.test')];
  const open = () => openOwnCertificate({ certFile, keyFile, logger: silentLogger });
  await assert.rejects(open(), { code: 'tls_files_invalid', message: /cannot be read/ });
  write({ cert: 'nonsense', key: first.key });
  await assert.rejects(open(), { code: 'tls_files_invalid', message: /holds no certificate/ });
  write({ cert: first.cert, key: second.key });
  await assert.rejects(open(), { code: 'tls_files_invalid', message: /is not the key/ });
  write(first);
  const own = await open();
  t.after(() => own.close());
  let changes = 0;
  own.onChange(() => (changes += 1));
  await own.reload();
  write({ cert: second.cert, key: first.key });
  await own.reload();
  assert.deepEqual([own.current.cert, changes], [first.cert, 0]);
  write(second);
  await own.reload();
  assert.deepEqual([own.current.cert, changes], [second.cert, 1]);
});

test('self-signed: made once for its names, again near its end; the key is the owner’s alone', async (t) => {
  const stateDir = folder(t);
  let now = START;
  const clock = { now: () => now, monotonicMs: () => 0 };
  const ensure = (names: readonly string[]) =>
    ensureSelfSigned({ stateDir, names, besides: ['localhost', '192.0.2.7', 'fd00::7'], clock });
  const made = await ensure(['ai.example.net', '198.51.100.1']);
  assert.equal(made.isNew, true);
  assert.equal(readFileSync(made.file, 'utf8'), made.material.cert);
  assert.equal(statSync(join(stateDir, 'tls', 'public-key.pem')).mode & 0o777, 0o600);
  const facts = readCertificate(made.material.cert);
  assert.ok(facts?.covers('ai.example.net') === true && facts.covers('localhost'));
  assert.ok(facts.notAfter - facts.notBefore <= 825 * DAY_MS);
  now = START + 700 * DAY_MS;
  assert.equal((await ensure(['ai.example.net'])).fingerprint, made.fingerprint);
  const other = await ensure(['other.example.net']);
  assert.notEqual(other.fingerprint, made.fingerprint);
  now += 800 * DAY_MS;
  const renewed = await ensure(['other.example.net']);
  assert.deepEqual([renewed.isNew, renewed.fingerprint === other.fingerprint], [true, false]);
  writeFileSync(made.file, 'broken');
  assert.equal((await ensure(['other.example.net'])).isNew, true);
});

test('the tailnet’s: asked daily, used when it changes, kept when the daemon fails', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  const [first, second] = [
    pairFor('gateway.tail1.ts.net'),
    pairFor('gateway.tail1.ts.net', START + 180 * DAY_MS),
  ];
  let answer: typeof first | null = first;
  let asked = 0;
  let changes = 0;
  const kept = keepTailnetCertificate({
    name: 'gateway.tail1.ts.net',
    fetch: async () => {
      asked += 1;
      return answer ?? Promise.reject(new Error('the authority is away'));
    },
    onChange: () => (changes += 1),
    clock: { now: () => START, monotonicMs: () => 0 },
    logger: silentLogger,
  });
  t.after(() => kept.close());
  const pass = async (ms: number): Promise<void> => {
    mock.timers.tick(ms);
    await new Promise(setImmediate);
  };
  await pass(0);
  assert.deepEqual([kept.current?.cert, asked, changes], [first.cert, 1, 1]);
  await pass(DAY_MS);
  assert.deepEqual([asked, changes], [2, 1]);
  answer = null;
  await pass(DAY_MS);
  assert.deepEqual([kept.current?.cert, asked], [first.cert, 3]);
  answer = second;
  await pass(30_000);
  assert.deepEqual([kept.current?.cert, asked, changes], [second.cert, 4, 2]);
  kept.close();
  await pass(DAY_MS);
  assert.equal(asked, 4);
});
