import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemRandom } from '../base/random.ts';
import { Secret } from '../base/secret.ts';
import { SettingsError } from './errors.ts';
import { settingsFiles } from './files.ts';
import { decodeMasterKey, ensureMasterKey, MASTER_KEY_FILE, parseMasterKey } from './master-key.ts';

test('master key: base64, base64url and hex of 32 bytes are read, nothing else', () => {
  const bytes = Buffer.alloc(32, 0xfb);
  for (const text of [
    bytes.toString('base64'),
    bytes.toString('base64url'),
    bytes.toString('hex'),
    ` ${bytes.toString('hex')}\n`,
  ]) {
    assert.deepEqual(Buffer.from(parseMasterKey(text) ?? []), bytes);
  }
  for (const text of [
    '',
    'short',
    'a'.repeat(63),
    'a'.repeat(65),
    Buffer.alloc(31).toString('base64'),
    Buffer.alloc(33).toString('base64'),
  ]) {
    assert.equal(parseMasterKey(text), null);
  }
});

test('master key: made once, 0600, in a 0700 folder, and the same afterwards', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'postern-key-'));
  t.after(() => rmSync(root, { recursive: true }));
  const stateDir = join(root, 'state');
  const settings = { masterKey: null, stateDir };
  const first = ensureMasterKey({ settings, files: settingsFiles, random: systemRandom });
  const again = ensureMasterKey({ settings, files: settingsFiles, random: systemRandom });
  assert.equal(first.reveal(), again.reveal());
  assert.equal(decodeMasterKey(first).length, 32);
  assert.equal(statSync(join(stateDir, MASTER_KEY_FILE)).mode & 0o777, 0o600);
  assert.equal(statSync(stateDir).mode & 0o777, 0o700);
  assert.deepEqual(readdirSync(stateDir), [MASTER_KEY_FILE]);
});

test('master key: a file that holds something else is never replaced', (t) => {
  const stateDir = mkdtempSync(join(tmpdir(), 'postern-key-'));
  t.after(() => rmSync(stateDir, { recursive: true }));
  writeFileSync(join(stateDir, MASTER_KEY_FILE), 'half a k');
  const input = { settings: { masterKey: null, stateDir }, files: settingsFiles, random: systemRandom };
  assert.throws(
    () => ensureMasterKey(input),
    (error) =>
      error instanceof SettingsError &&
      error.code === 'settings_bad_key_file' &&
      !error.message.includes('half a k'),
  );
});

test("master key: the operator's own comes first and nothing is written", () => {
  const key = new Secret(Buffer.alloc(32, 1).toString('base64'));
  const files = { readFile: () => assert.fail('not read'), createFile: () => assert.fail('not written') };
  assert.equal(
    ensureMasterKey({ settings: { masterKey: key, stateDir: '/x' }, files, random: systemRandom }),
    key,
  );
});

test('master key: of two processes that make one, both use the first', () => {
  const winner = Buffer.alloc(32, 2).toString('base64');
  let there = false;
  const files = { readFile: () => (there ? winner : null), createFile: () => ((there = true), false) };
  assert.equal(
    ensureMasterKey({ settings: { masterKey: null, stateDir: '/x' }, files, random: systemRandom }).reveal(),
    winner,
  );
});

test('settings files: no file is null, a folder or a huge file is refused', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'postern-files-'));
  t.after(() => rmSync(root, { recursive: true }));
  assert.equal(settingsFiles.readFile(join(root, 'none')), null);
  assert.throws(() => settingsFiles.readFile(root));
  writeFileSync(join(root, 'huge'), Buffer.alloc(1024 * 1024 + 1));
  chmodSync(join(root, 'huge'), 0o600);
  assert.throws(() => settingsFiles.readFile(join(root, 'huge')), /more than/);
});
