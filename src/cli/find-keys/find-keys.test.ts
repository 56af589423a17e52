import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type CliRun, runInProcess } from '../fake-server.ts';
import {
  anthropicKey,
  gitLabKey,
  googleKey,
  groqKey,
  leaksOf,
  mistralKey,
  npmToken,
  openAiKey,
  privateKeyBlock,
  signs,
  testFolder,
  type TestFolder,
} from './keys.fixture.ts';

/** Runs without the environment and home unless told. */
function find(
  folder: TestFolder,
  words: readonly string[],
  env: Record<string, string> = {},
): Promise<CliRun> {
  return runInProcess(['find-keys', ...words], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    homedir: folder.path,
  });
}

function foundIn(run: CliRun): readonly Record<string, unknown>[] {
  return JSON.parse(run.stdout).findings;
}

describe("every client's settings (docs/find-keys.md)", () => {
  const home = testFolder();
  const keys = {
    claudeSettings: anthropicKey(1),
    claudeJson: anthropicKey(2),
    codex: openAiKey(3),
    codexToml: openAiKey(4),
    gemini: googleKey(5),
    opencodeAuth: mistralKey(6),
    opencode: openAiKey(7),
    cursor: openAiKey(8),
    continueYaml: anthropicKey(9),
    continueJson: openAiKey(10),
    aider: openAiKey(11),
    zed: openAiKey(12),
    code: anthropicKey(13),
    jetbrains: openAiKey(14),
    bashrc: openAiKey(15),
    fish: anthropicKey(16),
    netrc: gitLabKey(17),
    npmrc: npmToken(18),
    dotenv: groqKey(19),
    environment: googleKey(20),
    named: mistralKey(21),
  };

  before(() => {
    const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
    home.write('.claude/settings.json', json({ env: { ANTHROPIC_API_KEY: keys.claudeSettings } }));
    home.write('.claude.json', json({ primaryApiKey: keys.claudeJson, numStartups: 3 }));
    home.write('.codex/auth.json', json({ OPENAI_API_KEY: keys.codex, tokens: null }));
    home.write('.codex/config.toml', `[mcp_servers.x.env]\nOPENAI_API_KEY = "${keys.codexToml}"\n`);
    home.write('.gemini/.env', `GEMINI_API_KEY=${keys.gemini}\n`);
    home.write('.local/share/opencode/auth.json', json({ mistral: { type: 'api', key: keys.opencodeAuth } }));
    home.write(
      '.config/opencode/opencode.json',
      json({ provider: { openai: { options: { apiKey: keys.opencode } } } }),
    );
    home.write('.cursor/mcp.json', json({ mcpServers: { a: { env: { OPENAI_API_KEY: keys.cursor } } } }));
    home.write('.continue/config.yaml', `models:\n  - name: a\n    apiKey: ${keys.continueYaml}\n`);
    home.write(
      '.continue/config.json',
      json({ models: [{ provider: 'openai', apiKey: keys.continueJson }] }),
    );
    home.write('.aider.conf.yml', `openai-api-key: ${keys.aider}\n`);
    home.write('.config/zed/settings.json', json({ context_servers: { a: { env: { KEY: keys.zed } } } }));
    home.write('.config/Code/User/settings.json', `{\n  // mine\n  "x.apiKey": "${keys.code}",\n}\n`);
    home.write('.config/JetBrains/IDE1/options/other.xml', `<option value="${keys.jetbrains}"/>\n`);
    home.write('.bashrc', `# mine\nexport OPENAI_API_KEY="${keys.bashrc}"\n`, 0o644);
    home.write('.config/fish/config.fish', `set -gx ANTHROPIC_API_KEY ${keys.fish}\n`);
    home.write('.netrc', `machine gitlab.test\n  login me\n  password ${keys.netrc}\n`);
    home.write('.npmrc', `//registry.test/:_authToken=${keys.npmrc}\n`);
    home.write('.env.local', `GROQ_API_KEY=${keys.dotenv}\n`);
  });
  after(() => home.remove());
  const env = {
    GOOGLE_API_KEY: keys.environment,
    MISTRAL_API_KEY: keys.named,
    POSTERN_TOKEN: ['pst', signs(40, 22)].join('_'),
  };

  test('finds each, and says which client it belongs to, in which setting, at which line', async () => {
    const run = await find(home, ['--json'], env);
    assert.equal(run.exitCode, 1);
    const shown = foundIn(run).map((item) =>
      [
        item['service'],
        item['client'],
        item['setting'],
        item['variable'] ?? `${String(item['path'])}:${String(item['line'])}`,
      ].join(' | '),
    );
    assert.deepEqual(shown.toSorted(), [
      'anthropic | claude | ANTHROPIC_API_KEY | ~/.claude/settings.json:3',
      'anthropic | claude | primaryApiKey | ~/.claude.json:2',
      'anthropic | continue | apiKey | ~/.continue/config.yaml:3',
      'anthropic | shell | ANTHROPIC_API_KEY | ~/.config/fish/config.fish:1',
      'anthropic | vscode | x.apiKey | ~/.config/Code/User/settings.json:3',
      'gitlab | netrc | password | ~/.netrc:3',
      'google |  | GOOGLE_API_KEY | GOOGLE_API_KEY',
      'google | gemini | GEMINI_API_KEY | ~/.gemini/.env:1',
      'groq | dotenv | GROQ_API_KEY | ~/.env.local:1',
      'mistral |  | MISTRAL_API_KEY | MISTRAL_API_KEY',
      'mistral | opencode | key | ~/.local/share/opencode/auth.json:4',
      'npm | npm | _authToken | ~/.npmrc:1',
      'openai | aider | openai-api-key | ~/.aider.conf.yml:1',
      'openai | codex | OPENAI_API_KEY | ~/.codex/auth.json:2',
      'openai | codex | OPENAI_API_KEY | ~/.codex/config.toml:2',
      'openai | continue | apiKey | ~/.continue/config.json:5',
      'openai | cursor | OPENAI_API_KEY | ~/.cursor/mcp.json:5',
      'openai | jetbrains | value | ~/.config/JetBrains/IDE1/options/other.xml:1',
      'openai | opencode | apiKey | ~/.config/opencode/opencode.json:5',
      'openai | shell | OPENAI_API_KEY | ~/.bashrc:2',
      'openai | zed | KEY | ~/.config/zed/settings.json:5',
    ]);
  });

  test('no part of any key is in what is printed, as text and as JSON', async () => {
    for (const words of [[], ['--json'], ['--all']]) {
      const run = await find(home, words, env);
      for (const [name, key] of Object.entries(keys))
        assert.deepEqual(leaksOf(key, run.stdout + run.stderr), [], `${name} ${words.join(' ')}`);
    }
  });

  test('the report names key, place, client and what is wrong with the file', async () => {
    const run = await find(home, []);
    const key = keys.bashrc;
    assert.match(run.stdout, new RegExp(`${key.slice(0, 6)}…${key.slice(-2)}  OpenAI openai_key`));
    assert.match(
      run.stdout,
      /~\/\.bashrc:2 in OPENAI_API_KEY \(shell start-up file\)\n    others may read this file \(0644\): chmod 600/,
    );
    assert.match(run.stdout, /19 keys in 19 places; searched \d+ files/);
    assert.match(run.stdout, /find-keys --adopt/);
  });
});

describe('what is searched', () => {
  let folder: TestFolder;
  before(() => {
    folder = testFolder();
  });
  after(() => folder.remove());

  test('exit code 0 if there is nothing', async () => {
    folder.write('clean/readme.md', 'OPENAI_API_KEY=your-api-key-here\nsk-ant-...\n');
    const run = await find(folder, ['--only-paths', join(folder.path, 'clean')]);
    assert.equal(run.exitCode, 0);
    assert.match(run.stdout, /^no keys found; searched 1 files/);
  });

  test("what stands for a key is none: AWS' own examples, zeros, a program's names", async () => {
    const lines = [
      `aws_access_key_id = ${['AKIA', 'IOSFODNN7', 'EXAMPLE'].join('')}`,
      `token = ${['pst', '0'.repeat(40)].join('_')}`,
      'aws_secret_access_key = self.settings2.s3_aws_secret_access_key',
      `OPENAI_API_KEY=${['sk', 'proj', 'x'.repeat(60)].join('-')}`,
    ];
    folder.write('examples/a.py', lines.join('\n'));
    assert.equal((await find(folder, ['--only-paths', join(folder.path, 'examples')])).exitCode, 0);
  });

  test('--ignore leaves out paths of a folder, and says so', async () => {
    folder.write('ignored/test/a/plant.ts', openAiKey(51));
    folder.write('ignored/docs/b.md', openAiKey(52));
    const path = join(folder.path, 'ignored');
    assert.equal((await find(folder, ['--only-paths', path, '--ignore', 'test/**'])).exitCode, 1);
    const run = await find(folder, ['--only-paths', path, '--ignore', 'test/**', '--ignore', 'docs']);
    assert.equal(run.exitCode, 0);
    assert.match(run.stdout, /not searched: 2 x ignored/);
  });

  test('a symbolic link is not followed, neither to a file nor to a folder', async () => {
    folder.write('outside/.env', `OPENAI_API_KEY=${openAiKey()}\n`);
    mkdirSync(join(folder.path, 'links'));
    symlinkSync(join(folder.path, 'outside', '.env'), join(folder.path, 'links', '.env'));
    symlinkSync(join(folder.path, 'outside'), join(folder.path, 'links', 'folder'));
    symlinkSync('.', join(folder.path, 'links', 'loop'));
    const run = await find(folder, ['--only-paths', join(folder.path, 'links')]);
    assert.equal(run.exitCode, 0);
    assert.match(run.stdout, /not searched: 3 x symbolic link/);
  });

  test('a dotfile that is a link is followed within the home, and not out of it', async () => {
    const home = testFolder();
    const other = testFolder();
    try {
      home.write('dotfiles/zshrc', `export OPENAI_API_KEY=${openAiKey(1)}\n`);
      symlinkSync(join('dotfiles', 'zshrc'), join(home.path, '.zshrc'));
      symlinkSync(
        other.write('bashrc', `export OPENAI_API_KEY=${openAiKey(2)}\n`),
        join(home.path, '.bashrc'),
      );
      const found = foundIn(await find(home, ['--json']));
      assert.deepEqual(
        found.map((item) => item['path']),
        ['~/dotfiles/zshrc'],
      );
    } finally {
      home.remove();
      other.remove();
    }
  });

  test('binaries, huge files and node_modules are left out, and said; node_modules on request not', async () => {
    const key = openAiKey();
    folder.write('mixed/data.bin', Buffer.concat([Buffer.from([0, 1, 2]), Buffer.from(key)]));
    folder.write('mixed/huge.log', Buffer.alloc(16 * 1024 * 1024 + 1, 0x61));
    folder.write('mixed/node_modules/p/.env', `A=${key}\n`);
    const path = join(folder.path, 'mixed');
    const run = await find(folder, ['--only-paths', path]);
    assert.equal(run.exitCode, 0);
    for (const reason of ['binary', 'too large', 'node_modules'])
      assert.match(run.stdout, new RegExp(`not searched: 1 x ${reason}`));
    assert.equal((await find(folder, ['--only-paths', '--node-modules', path])).exitCode, 1);
  });

  test('UTF-16 and byte order marks, and Latin-1, hide nothing', async () => {
    const text = `é OPENAI_API_KEY=${openAiKey()}\n`;
    folder.write('odd/a.txt', Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, 'utf16le')]));
    folder.write(
      'odd/b.txt',
      Buffer.concat([Buffer.from([0xfe, 0xff]), Buffer.from(text, 'utf16le').swap16()]),
    );
    folder.write('odd/c.txt', Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(text)]));
    folder.write('odd/d.txt', Buffer.from(text, 'latin1'));
    const found = foundIn(await find(folder, ['--only-paths', '--json', join(folder.path, 'odd')]));
    assert.equal(found.length, 4);
    assert.deepEqual(new Set(found.map((item) => item['key_number'])), new Set([1]));
  });

  test('a key in the name of a file or a variable is not shown either', async () => {
    const key = openAiKey(31);
    folder.write(`names/${key}.txt`, `${key}\n`);
    const run = await find(folder, ['--only-paths', join(folder.path, 'names')]);
    assert.equal(run.exitCode, 1);
    assert.deepEqual(leaksOf(key, run.stdout + run.stderr), []);
    const missing = await find(folder, ['--only-paths', join(folder.path, key)]);
    assert.equal(missing.exitCode, 2);
    assert.deepEqual(leaksOf(key, missing.stdout + missing.stderr), []);
  });

  test('private keys and values that only their name makes a secret are listed with --all', async () => {
    folder.write('more/notes.txt', `db_password = "${signs(30, 5)}"\n${privateKeyBlock(6)}`);
    const path = join(folder.path, 'more');
    assert.equal((await find(folder, ['--only-paths', path])).exitCode, 0);
    const found = foundIn(await find(folder, ['--only-paths', '--all', '--json', path]));
    assert.deepEqual(
      found.map((item) => item['kind']),
      ['secret', 'private_key'],
    );
  });

  test('a named pipe is not waited for, and a file of two names is found by both', async () => {
    mkdirSync(join(folder.path, 'special'));
    execFileSync('mkfifo', [join(folder.path, 'special', 'pipe')]);
    linkSync(folder.write('special/a.env', `A=${openAiKey()}\n`), join(folder.path, 'special', 'b.env'));
    const run = await find(folder, ['--only-paths', '--json', join(folder.path, 'special')]);
    assert.equal(foundIn(run).length, 2);
    assert.deepEqual(JSON.parse(run.stdout).skipped, [
      { reason: 'not a regular file', count: 1, example: '~/special/pipe' },
    ]);
  });
});

describe('usage', () => {
  test('2 for what does not go together', async () => {
    for (const words of [
      ['--undo', '--adopt'],
      ['--undo', '.'],
      ['--yes'],
      ['--provider', 'openai=x'],
      ['--adopt', '--yes', '--provider', 'nonsense'],
      ['--adopt', '--json'],
      ['--seconds', '0'],
      ['--seconds', 'long'],
      ['/nonexistent/folder'],
    ])
      assert.equal((await runInProcess(['find-keys', ...words])).exitCode, 2, words.join(' '));
  });

  test('a search that could not finish is not clean', async () => {
    const folder = testFolder();
    folder.write('a.txt', 'nothing');
    let now = 0;
    const run = await runInProcess(['find-keys', '--only-paths', '--json', '--seconds', '1', folder.path], {
      homedir: folder.path,
      clock: { now: () => 0, monotonicMs: () => (now += 2_000) },
    });
    folder.remove();
    assert.equal(run.exitCode, 1);
    assert.equal(JSON.parse(run.stdout).complete, false);
  });
});
