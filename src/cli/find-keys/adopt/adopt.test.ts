import assert from 'node:assert/strict';
import {
  existsSync,
  linkSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, test } from 'node:test';
import {
  type Answers,
  type CliRun,
  type FakeServer,
  problem,
  runInProcess,
  startFakeServer,
} from '../../fake-server.ts';
import { anthropicKey, googleKey, leaksOf, openAiKey, testFolder, type TestFolder } from '../keys.fixture.ts';

const DOCUMENT = `{
  // mine
  "providers": {
    "openai": {"baseurl": "https://api.openai.com", "models": ["*"]},
    "claude": {"baseurl": "https://api.anthropic.com", "models": ["*"]},
    "gemini": {"baseurl": "https://generativelanguage.googleapis.com", "models": ["*"]},
  },
}`;

const ANSWERS: Answers = {
  'GET /api/v1/config': { body: { text: DOCUMENT } },
  'GET /api/v1/keys': { body: { items: [{ id: 'key_0', provider: 'claude', state: 'active' }] } },
  'POST /api/v1/keys': ({ body }) => ({ status: 201, body: { id: `key_of_${JSON.parse(body).provider}` } }),
};

let home: TestFolder;
let state: TestFolder;
let server: FakeServer;

beforeEach(async () => {
  home = testFolder();
  state = testFolder();
  server = await startFakeServer(ANSWERS);
});
afterEach(async () => {
  home.remove();
  state.remove();
  await server.close();
});

function run(words: readonly string[], stdin?: Readable & { isTTY?: boolean }): Promise<CliRun> {
  return runInProcess(['find-keys', ...words, '--url', server.url, '--state-dir', state.path], {
    homedir: home.path,
    ...(stdin === undefined ? {} : { stdin }),
  });
}

/** Everything under the home, by its path. */
function snapshot(): Record<string, string> {
  const files = readdirSync(home.path, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return Object.fromEntries(
    files.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [
        path.slice(home.path.length + 1),
        `${(statSync(path).mode & 0o777).toString(8)} ${readFileSync(path, 'base64')}`,
      ];
    }),
  );
}

function textOf(name: string): string {
  return readFileSync(join(home.path, name), 'utf8');
}

const KEYS = {
  claude: anthropicKey(1),
  claudeJson: anthropicKey(2),
  codex: openAiKey(3),
  gemini: googleKey(4),
  opencode: openAiKey(5),
  bashrc: openAiKey(6),
  fish: anthropicKey(7),
  continueYaml: anthropicKey(8),
  aider: openAiKey(9),
  dotenv: googleKey(10),
};

function fillHome(): void {
  home.write(
    '.claude/settings.json',
    `{\n  // keep this\n  "env": {\n    "OTHER": "1",\n    "ANTHROPIC_API_KEY": "${KEYS.claude}", // and this\n  },\n}\n`,
  );
  home.write('.claude.json', `{"primaryApiKey":"${KEYS.claudeJson}","numStartups":3}`);
  home.write('.codex/auth.json', `{\n  "OPENAI_API_KEY": "${KEYS.codex}"\n}`);
  home.write('.codex/config.toml', 'model = "m"\r\n\r\n[tools]\r\nopenai_base_url = "not mine"\r\n');
  home.write('.gemini/.env', `GEMINI_API_KEY=${KEYS.gemini}`);
  home.write(
    '.local/share/opencode/auth.json',
    `{\n\t"openai": {\n\t\t"type": "api",\n\t\t"key": "${KEYS.opencode}"\n\t}\n}\n`,
  );
  home.write(
    '.bashrc',
    `alias ll='ls -l'\n  export OPENAI_API_KEY="${KEYS.bashrc}" # work\nexport OPENAI_BASE_URL=https://api.openai.com/v1\n`,
    0o644,
  );
  home.write('.config/fish/config.fish', `set -gx ANTHROPIC_API_KEY ${KEYS.fish}\nset -gx EDITOR vi\n`);
  home.write(
    '.continue/config.yaml',
    `models:\n  - name: a # first\n    apiKey: ${KEYS.continueYaml}\n    model: x\n  - name: b\n    apiBase: http://other.test\n`,
  );
  home.write('.aider.conf.yml', `## mine\nopenai-api-key: "${KEYS.aider}"\n`);
  home.write('.env', `A=1\r\nGOOGLE_API_KEY='${KEYS.dotenv}'\r\nB=2\r\n`, 0o640);
}

describe('--adopt', () => {
  test("turns every client's setting to Postern and leaves all else as it was", async () => {
    fillHome();
    const done = await run(['--adopt', '--yes']);
    assert.equal(done.exitCode, 0, done.stdout + done.stderr);
    const origin = server.url;
    assert.equal(
      textOf('.claude/settings.json'),
      `{\n  // keep this\n  "env": {\n    "ANTHROPIC_BASE_URL": "${origin}",\n    "OTHER": "1",\n    "ANTHROPIC_AUTH_TOKEN": "-", // and this\n  },\n}\n`,
    );
    assert.equal(textOf('.claude.json'), '{"primaryApiKey":"-","numStartups":3}');
    assert.equal(textOf('.codex/auth.json'), '{\n  "OPENAI_API_KEY": "-"\n}');
    assert.equal(
      textOf('.codex/config.toml'),
      `openai_base_url = "${origin}/v1"\r\nmodel = "m"\r\n\r\n[tools]\r\nopenai_base_url = "not mine"\r\n`,
    );
    assert.equal(textOf('.gemini/.env'), `GEMINI_API_KEY=-\nGOOGLE_GEMINI_BASE_URL=${origin}`);
    assert.equal(
      textOf('.local/share/opencode/auth.json'),
      '{\n\t"openai": {\n\t\t"type": "api",\n\t\t"key": "-"\n\t}\n}\n',
    );
    assert.deepEqual(JSON.parse(textOf('.config/opencode/opencode.json')), {
      provider: { openai: { options: { baseURL: `${origin}/v1` } } },
    });
    assert.equal(
      textOf('.bashrc'),
      `alias ll='ls -l'\n  export OPENAI_API_KEY="-" # work\nexport OPENAI_BASE_URL=${origin}/v1\n`,
    );
    assert.equal(
      textOf('.config/fish/config.fish'),
      `set -gx ANTHROPIC_API_KEY -\nset -gx ANTHROPIC_BASE_URL ${origin}\nset -gx EDITOR vi\n`,
    );
    assert.equal(
      textOf('.continue/config.yaml'),
      `models:\n  - name: a # first\n    apiKey: "-"\n    apiBase: "${origin}/v1/"\n    model: x\n  - name: b\n    apiBase: http://other.test\n`,
    );
    assert.equal(
      textOf('.aider.conf.yml'),
      `## mine\nopenai-api-key: "-"\nopenai-api-base: "${origin}/v1"\n`,
    );
    assert.equal(
      textOf('.env'),
      `A=1\r\nGOOGLE_API_KEY='-'\r\nGOOGLE_GEMINI_BASE_URL='${origin}'\r\nB=2\r\n`,
    );
    assert.equal(statSync(join(home.path, '.bashrc')).mode & 0o777, 0o644);
  });

  test('each key goes into the vault once, under the provider of its host; active only where there was none', async () => {
    fillHome();
    home.write('.zshrc', `export OPENAI_API_KEY=${KEYS.codex}\n`);
    await run(['--adopt', '--yes']);
    const posts = server.requests
      .filter(({ method }) => method === 'POST')
      .map(({ body }) => JSON.parse(body));
    assert.deepEqual(new Set(posts.map(({ secret }) => secret)), new Set(Object.values(KEYS)));
    assert.equal(posts.length, Object.keys(KEYS).length);
    const states = (provider: string): string[] =>
      posts.filter((post) => post.provider === provider).map((post) => post.state);
    assert.deepEqual(states('openai'), ['active', 'staged', 'staged', 'staged']);
    assert.deepEqual(new Set(states('claude')), new Set(['staged']));
  });

  test('and --undo makes every file what it was, byte for byte, with its permissions', async () => {
    fillHome();
    const before = snapshot();
    await run(['--adopt', '--yes']);
    const backups = Object.entries(snapshot()).filter(([name]) => name.includes('.postern-backup-'));
    assert.ok(backups.length >= 10);
    for (const [name, content] of backups) assert.match(content, /^600 /, name);
    const undone = await run(['--undo']);
    assert.equal(undone.exitCode, 0, undone.stderr);
    assert.deepEqual(snapshot(), before);
    assert.match(undone.stdout, /the keys stay in the vault: key_of_/);
    assert.equal((await run(['--undo'])).exitCode, 1, 'only once');
  });

  test('--undo changes nothing if one of the files was edited since', async () => {
    fillHome();
    await run(['--adopt', '--yes']);
    writeFileSync(join(home.path, '.bashrc'), 'mine now\n');
    const before = snapshot();
    const undone = await run(['--undo']);
    assert.equal(undone.exitCode, 1);
    assert.match(undone.stderr, /\.bashrc: it was edited/);
    assert.deepEqual(snapshot(), before);
  });

  test('--undo refuses a backup that was edited', async () => {
    home.write('.bashrc', `export OPENAI_API_KEY=${KEYS.bashrc}\n`);
    await run(['--adopt', '--yes']);
    const backup = readdirSync(home.path).find((name) => name.includes('.postern-backup-')) ?? '';
    writeFileSync(join(home.path, backup), 'other\n');
    const undone = await run(['--undo']);
    assert.equal(undone.exitCode, 1);
    assert.match(undone.stderr, /its backup was edited/);
  });

  test('no part of a key is printed or written to the journal', async () => {
    fillHome();
    const done = await run(['--adopt', '--yes', '--json']);
    const journal = readdirSync(join(state.path, 'find-keys')).map((name) =>
      readFileSync(join(state.path, 'find-keys', name), 'utf8'),
    );
    assert.equal(journal.length, 1);
    for (const key of Object.values(KEYS))
      assert.deepEqual(leaksOf(key, done.stdout + done.stderr + journal.join('')), []);
    const answer = JSON.parse(done.stdout);
    assert.equal(answer.adopted.length, 10);
    assert.equal(answer.changed_files.length, 12);
  });

  test('without presence nothing changes (exit code 5)', async () => {
    await server.close();
    server = await startFakeServer({
      ...ANSWERS,
      'POST /api/v1/keys': problem(403, 'presence_required', 'show presence'),
    });
    fillHome();
    const before = snapshot();
    assert.equal((await run(['--adopt', '--yes'])).exitCode, 5);
    assert.deepEqual(snapshot(), before);
    assert.equal(existsSync(join(state.path, 'find-keys')), false);
  });

  test('a provider that the document does not have, or has twice, has to be said; nothing changes until then', async () => {
    await server.close();
    const twice =
      '{"providers": {"a": {"baseurl": "https://api.openai.com"}, "b": {"baseurl": "https://api.openai.com"}}}';
    server = await startFakeServer({ ...ANSWERS, 'GET /api/v1/config': { body: { text: twice } } });
    home.write('.bashrc', `export OPENAI_API_KEY=${KEYS.bashrc}\n`);
    const refused = await run(['--adopt', '--yes']);
    assert.equal(refused.exitCode, 1);
    assert.match(refused.stderr, /2 providers for OpenAI/);
    assert.match(textOf('.bashrc'), /OPENAI_API_KEY=sk-/);
    assert.equal((await run(['--adopt', '--yes', '--provider', 'openai=b'])).exitCode, 0);
    home.write('.zshrc', `export ANTHROPIC_API_KEY=${KEYS.claude}\n`);
    assert.match((await run(['--adopt', '--yes'])).stderr, /no provider for Anthropic/);
  });

  test("a provider that is only in the server's environment is known by its key", async () => {
    await server.close();
    const keys = {
      items: [{ id: 'env:1', provider: 'openai', origin: 'https://api.openai.com', state: 'active' }],
    };
    server = await startFakeServer({
      ...ANSWERS,
      'GET /api/v1/config': { body: { text: '' } },
      'GET /api/v1/keys': { body: keys },
    });
    home.write('.bashrc', `export OPENAI_API_KEY=${KEYS.bashrc}\n`);
    assert.equal((await run(['--adopt', '--yes'])).exitCode, 0);
    const post = server.requests.find(({ method }) => method === 'POST')?.body ?? '{}';
    assert.deepEqual([JSON.parse(post).provider, JSON.parse(post).state], ['openai', 'staged']);
  });

  test('clients get a token of their own where nothing else tells who calls, never that of this command', async () => {
    home.write('.bashrc', `export OPENAI_API_KEY=${KEYS.bashrc}\n`);
    const before = snapshot();
    const token = ['pst', 'c'.repeat(10) + 'a1b2c3d4e5f6'].join('_');
    const onMac = (words: readonly string[]): Promise<CliRun> =>
      runInProcess(
        ['find-keys', '--adopt', '--yes', '--url', server.url, '--state-dir', state.path, ...words],
        {
          homedir: home.path,
          platform: 'darwin',
          env: { CLIENTS: token, EMPTY: '', POSTERN_TOKEN: 'pst_administrator' },
        },
      );
    const refused = await onMac([]);
    assert.equal(refused.exitCode, 1);
    assert.match(refused.stderr, /--client-token/);
    assert.equal((await onMac(['--client-token', 'EMPTY'])).exitCode, 2);
    assert.deepEqual(snapshot(), before);
    const done = await onMac(['--client-token', 'CLIENTS']);
    assert.match(textOf('.bashrc'), new RegExp(`OPENAI_API_KEY=${token}\n`));
    assert.deepEqual(leaksOf(token, done.stdout + done.stderr), []);
  });

  test('asks for each finding, and does only what was agreed to', async () => {
    home.write('.bashrc', `export OPENAI_API_KEY=${KEYS.bashrc}\n`);
    home.write('.profile', `export ANTHROPIC_API_KEY=${KEYS.claude}\n`);
    home.write('.zshrc', `export GEMINI_API_KEY=${KEYS.gemini}\n`);
    const before = textOf('.bashrc');
    const answers: Readable & { isTTY?: boolean } = Readable.from(['n\ny\nq\n']);
    answers.isTTY = true;
    const done = await run(['--adopt'], answers);
    assert.equal(done.exitCode, 1, 'something is left');
    assert.equal(textOf('.bashrc'), before);
    assert.match(textOf('.profile'), /ANTHROPIC_API_KEY=-\n/);
    assert.match(textOf('.zshrc'), /GEMINI_API_KEY=AI/);
    assert.match(done.stdout, /left: you said no/);
    assert.match(done.stdout, /left: not asked/);
  });

  test('what cannot be changed safely is left, with the reason', async () => {
    const cases = [
      ['.netrc', `machine x\n password ${openAiKey(31)}\n`, /not a file that can be changed safely/],
      ['.zshrc', `export OPENAI_API_KEY=prefix=${openAiKey(32)}\n`, /part of a longer value/],
      [
        '.bashrc',
        `curl -H "Authorization: Bearer ${openAiKey(33)}" https://api.openai.com\n`,
        /part of a longer value/,
      ],
      ['.profile', `export MY_OWN=${openAiKey(34)}\n`, /MY_OWN is not a variable/],
      ['.bash_history', `export OPENAI_API_KEY=${openAiKey(35)}\n`, /delete the line/],
      ['.claude/settings.json', `{"broken": "${anthropicKey(36)}"`, /not in the format/],
      ['.aider.conf.yml', `anthropic-api-key: ${anthropicKey(37)}\n`, /only for OpenAI/],
      ['.codex/config.toml', `x = "${openAiKey(38)}"\n`, /not a file that can be changed safely/],
    ] as const;
    for (const [name, text] of cases) home.write(name, text);
    linkSync(
      home.write('.zprofile', `export OPENAI_API_KEY=${openAiKey(39)}\n`),
      join(home.path, 'second-name'),
    );
    home.write('.zshenv', Buffer.from(`# \xe9\nexport OPENAI_API_KEY=${openAiKey(40)}\n`, 'latin1'));
    const before = snapshot();
    const done = await run(['--adopt', '--yes']);
    assert.equal(done.exitCode, 1);
    for (const [, , why] of cases) assert.match(done.stdout, why);
    assert.match(done.stdout, /second name \(hard link\)/);
    assert.match(done.stdout, /it is not UTF-8/);
    assert.deepEqual(snapshot(), before);
    assert.equal(
      server.requests.some(({ method }) => method === 'POST'),
      false,
    );
  });

  test('a dotfile that is a link stays one; its target is changed', async () => {
    home.write('dotfiles/bashrc', `export OPENAI_API_KEY=${KEYS.bashrc}\n`);
    symlinkSync(join('dotfiles', 'bashrc'), join(home.path, '.bashrc'));
    assert.equal((await run(['--adopt', '--yes'])).exitCode, 0);
    assert.match(textOf('dotfiles/bashrc'), /OPENAI_API_KEY=-\n/);
    assert.match(textOf('.bashrc'), /OPENAI_API_KEY=-\n/);
  });

  test('after adoption only the backups are found, and said to be that', async () => {
    home.write('.env', `GEMINI_API_KEY=${KEYS.dotenv}\n`);
    home.write('.bashrc', `export OPENAI_API_KEY=${KEYS.bashrc}\n`);
    await run(['--adopt', '--yes']);
    const again = await runInProcess(['find-keys', '--only-paths', '--json', home.path], {
      homedir: home.path,
    });
    const found: readonly { client: string }[] = JSON.parse(again.stdout).findings;
    assert.deepEqual(
      found.map(({ client }) => client),
      ['backup', 'backup'],
    );
  });
});
