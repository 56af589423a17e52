/** A day with keys and tokens at the real command line; afterwards no secret lies anywhere it should not. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startPostern, type CommandResult, type PosternProcess } from '../postern-process.ts';
import { startFakeUpstream } from '../upstream/index.ts';
import { claimProcess, documentWithoutKeys, loginByCli } from './administration.ts';

const KEYS = { first: 'sk-planted-first-7f3a9c01', second: 'sk-planted-second-b81e44d2' };
const BREAK_GLASS = 'break-glass-planted-0f8e7d6c5b4a';
const PROMPT = 'a planted prompt that nobody may find: zebra-crossing-4711';

interface Key {
  readonly id: string;
  readonly name: string;
  readonly state: string;
}

test('keys and tokens by the command line, everything in the audit, and no secret on disk or in print (DESIGN section 12)', async (t) => {
  const upstream = await startFakeUpstream({ strict: false });
  t.after(() => upstream.close());
  const postern = await startPostern({ env: { POSTERN_ADMIN_TOKEN: BREAK_GLASS } });
  let running = true;
  t.after(() => (running ? postern.stop() : undefined));
  const printed: string[] = [];
  const cli = async (args: readonly string[], env: Record<string, string> = {}): Promise<CommandResult> => {
    const result = await postern.cli(args, env);
    printed.push(result.stdout, result.stderr);
    return result;
  };
  const done = async (args: readonly string[], env: Record<string, string> = {}): Promise<CommandResult> => {
    const result = await cli(args, env);
    assert.equal(result.code, 0, `${args.join(' ')}: ${result.stdout}${result.stderr}`);
    return result;
  };
  const keys = async (): Promise<readonly Key[]> =>
    (JSON.parse((await done(['keys', '--json'])).stdout) as { items: Key[] }).items;
  const state = async (name: string): Promise<string | undefined> =>
    (await keys()).find((key) => key.name === name)?.state;

  await claimProcess(postern);
  assert.equal((await cli(['keys', 'add', 'openai', '--from-env', 'K'], { K: KEYS.first })).code, 5);
  printed.push(await loginByCli(postern));
  const document = join(postern.stateDir, 'document.json');
  writeFileSync(document, JSON.stringify(documentWithoutKeys(upstream.url)));
  await done(['config', 'apply', document]);

  await done(['keys', 'add', 'openai', '--name', 'first', '--from-env', 'K'], { K: KEYS.first });
  assert.equal(await ask(postern), 200);
  await done(['keys', 'add', 'openai', '--name', 'second', '--stage', '--from-env', 'K'], { K: KEYS.second });
  assert.deepEqual([await state('first'), await state('second')], ['active', 'staged']);
  assert.equal(await ask(postern), 200);
  assert.equal(credentialOf(upstream), `Bearer ${KEYS.first}`);
  const idOf = async (name: string): Promise<string> =>
    (await keys()).find((key) => key.name === name)?.id ?? '';
  await done(['keys', 'promote', await idOf('second')]);
  assert.deepEqual([await state('first'), await state('second')], ['retired', 'active']);
  assert.equal(await ask(postern), 200);
  assert.equal(credentialOf(upstream), `Bearer ${KEYS.second}`);
  await done(['keys', 'retire', await idOf('first')]);
  await done(['keys', 'revoke', await idOf('second')]);
  assert.equal(await ask(postern), 503);
  assert.equal((await cli(['keys', 'promote', await idOf('second')])).code, 1);
  assert.equal((await cli(['keys', 'add', 'none-such', '--from-env', 'K'], { K: KEYS.first })).code, 1);
  await done(['keys', 'promote', await idOf('first')]);

  const created = await postern.cli(['tokens', 'create', 'ci', '--ttl', '1h', '--model', 'openai/*']);
  const token = created.stdout.trim();
  assert.match(token, /^pst_[0-9a-z]{52}$/);
  assert.ok(!created.stderr.includes(token));
  assert.equal(await ask(postern, { authorization: `Bearer ${token}` }), 200);
  const id =
    (JSON.parse((await done(['tokens', '--json'])).stdout) as { items: { id: string }[] }).items[0]?.id ?? '';
  await done(['tokens', 'revoke', id]);
  assert.equal(await ask(postern, { authorization: `Bearer ${token}` }), 401);
  assert.equal((await cli(['tokens', 'list'], { POSTERN_TOKEN: token })).code, 4);
  await done(['audit', '--json'], { POSTERN_TOKEN: BREAK_GLASS });

  const verified = await done(['audit', 'verify', '--json']);
  assert.equal((JSON.parse(verified.stdout) as { broken_at: unknown }).broken_at, null);
  const audit = JSON.parse((await done(['audit', '--json', '--limit', '100'])).stdout) as {
    items: { action: string; presence: string | null }[];
  };
  const actions = audit.items.toReversed().map(({ action }) => action);
  assert.deepEqual(
    actions.filter((action) => !action.startsWith('presence.')),
    [
      'claim',
      'config.save',
      'key.add',
      'key.add',
      'key.promote',
      'key.retire',
      'key.revoke',
      'key.promote',
      'token.create',
      'token.revoke',
    ],
  );
  const present = audit.items.filter(({ action }) => /^(?:key|config|token\.create)/.test(action));
  assert.ok(
    present.every(({ presence }) => presence === 'link'),
    JSON.stringify(audit.items),
  );

  const secrets = [...Object.values(KEYS), BREAK_GLASS, token];
  for (const secret of secrets) {
    assert.ok(!printed.join('\n').includes(secret), `a command printed ${secret}`);
    assert.ok(!postern.log().includes(secret), `the log holds ${secret}`);
    assert.ok(!JSON.stringify(postern.banner).includes(secret));
  }
  assert.ok(postern.log().length > 0);
  searchFolder(postern.stateDir, [...secrets, PROMPT]);
  running = false;
  await stopAndSearch(postern, [...secrets, PROMPT]);
});

/** Status of a chat request of the local caller, or of a token. */
async function ask(postern: PosternProcess, headers: Record<string, string> = {}): Promise<number> {
  const reply = await fetch(`${postern.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model: 'gpt-5', messages: [{ role: 'user', content: PROMPT }] }),
  });
  await reply.arrayBuffer();
  return reply.status;
}

function credentialOf(upstream: Awaited<ReturnType<typeof startFakeUpstream>>): string | undefined {
  const raw = upstream.requests.at(-1)?.rawHeaders ?? [];
  return raw[raw.findIndex((name) => name.toLowerCase() === 'authorization') + 1];
}

/** Fails if a file below the folder holds one of the texts, in UTF-8, UTF-16, base64 or hex. */
function searchFolder(folder: string, texts: readonly string[]): void {
  const needles = texts.flatMap((text) => {
    const bytes = Buffer.from(text);
    // Base64 of the middle, whatever its alignment: three shifts.
    const shifted = [0, 1, 2].map((shift) =>
      bytes.subarray(shift, shift + 3 * Math.floor((bytes.length - shift) / 3)).toString('base64'),
    );
    return [
      bytes,
      Buffer.from(text, 'utf16le'),
      Buffer.from(bytes.toString('hex')),
      ...shifted.map((part) => Buffer.from(part)),
    ];
  });
  let searched = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = readFileSync(path);
    searched += bytes.length;
    for (const needle of needles)
      assert.ok(!bytes.includes(needle), `${path} holds ${needle.toString('latin1')}`);
  }
  assert.ok(searched > 50_000, `only ${searched} bytes were there to search`);
}

/** The same once all is written and the log of the database is folded in; `stop` removes the folder. */
async function stopAndSearch(postern: PosternProcess, texts: readonly string[]): Promise<void> {
  const ended = postern.exited();
  process.kill(postern.pid, 'SIGTERM');
  await ended;
  searchFolder(postern.stateDir, texts);
  await postern.stop();
}
