import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Answers, type CliRun, runInProcess, startFakeServer } from './fake-server.ts';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));

const MODELS: Answers = {
  'GET /api/v1/models': {
    body: {
      items: [
        {
          id: 'postern/echo',
          provider: 'postern',
          formats: ['anthropic_messages', 'openai_responses', 'openai_chat', 'gemini_generate_content'],
          test: true,
        },
        {
          id: 'anthropic/claude-sonnet-4-5',
          provider: 'anthropic',
          formats: ['anthropic_messages'],
          test: false,
        },
        {
          id: 'openai/gpt-5-codex',
          provider: 'openai',
          formats: ['openai_responses', 'openai_chat'],
          test: false,
        },
      ],
    },
  },
};

interface World {
  readonly home: string;
  readonly bin: string;
  readonly stateDir: string;
  /** What the agent saw: its arguments and its environment. */
  readonly seen: () => { readonly args: readonly string[]; readonly env: Readonly<Record<string, string>> };
}

/** A user's home with an agent that writes down how it was started and ends as told. */
function makeWorld(program: string, script: string): World {
  const root = mkdtempSync(join(folder, 'world-'));
  const [home, bin, stateDir] = [join(root, 'home'), join(root, 'bin'), join(root, 'state')];
  for (const path of [home, bin, stateDir]) mkdirSync(path, { mode: 0o700 });
  const report = join(root, 'report');
  writeFileSync(
    join(bin, program),
    `#!/bin/sh\nenv > '${report}.env'\nprintf '%s\\n' "$@" > '${report}.args'\n${script}\n`,
  );
  chmodSync(join(bin, program), 0o755);
  return {
    home,
    bin,
    stateDir,
    seen: () => ({
      args: readFileSync(`${report}.args`, 'utf8').split('\n').slice(0, -1),
      env: Object.fromEntries(
        readFileSync(`${report}.env`, 'utf8')
          .split('\n')
          .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
      ),
    }),
  };
}

async function run(
  world: World,
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
  answers = MODELS,
): Promise<CliRun> {
  const server = await startFakeServer(answers);
  try {
    return await runInProcess(['run', '--url', server.url, '--state-dir', world.stateDir, ...words], {
      env: { PATH: `${world.bin}:/usr/bin:/bin`, HOME: world.home, ...env },
    });
  } finally {
    await server.close();
  }
}

describe('run', () => {
  test('ends as the agent ended, and hands its arguments on, options included', async () => {
    const world = makeWorld('claude', 'exit 7');
    const result = await run(world, ['claude', '-p', 'say hello', '--model', 'theirs', '--json', '--help']);
    assert.equal(result.exitCode, 7, result.stderr);
    assert.deepEqual(world.seen().args, ['-p', 'say hello', '--model', 'theirs', '--json', '--help']);
  });

  test('Claude Code gets the address without /v1, a configuration folder of its own and the best granted model', async () => {
    const world = makeWorld('claude', '');
    assert.equal((await run(world, ['claude'])).exitCode, 0);
    const { env } = world.seen();
    assert.match(env['ANTHROPIC_BASE_URL'] ?? '', /^http:\/\/127\.0\.0\.1:\d+$/);
    assert.equal(env['ANTHROPIC_AUTH_TOKEN'], '-');
    assert.equal(env['ANTHROPIC_MODEL'], 'claude-sonnet-4-5');
    assert.equal(env['CLAUDE_CONFIG_DIR'], join(world.stateDir, 'agents', 'claude'));
    assert.deepEqual(readdirSync(world.home), [], "the user's home is untouched");
    assert.equal(statSync(join(world.stateDir, 'agents', 'claude')).mode & 0o777, 0o700);
  });

  test('Codex reads a config.toml in a home of its own', async () => {
    const world = makeWorld('codex', '');
    await run(world, ['codex', 'exec', 'hi']);
    const { env, args } = world.seen();
    assert.deepEqual(args, ['exec', 'hi']);
    const config = readFileSync(join(env['CODEX_HOME'] ?? '', 'config.toml'), 'utf8');
    assert.match(config, /^model = "gpt-5-codex"$/m);
    assert.match(config, /^base_url = "http:\/\/127\.0\.0\.1:\d+\/v1"$/m);
    assert.match(config, /^wire_api = "responses"$/m);
    assert.equal(env['POSTERN_KEY'], '-');
  });

  test('Gemini CLI and OpenCode get homes of their own; the test model is used only for want of another, and said', async () => {
    const geminiWorld = makeWorld('gemini', '');
    const said = await run(geminiWorld, ['gemini']);
    assert.match(said.stderr, /test model/);
    const gemini = geminiWorld.seen().env;
    assert.equal(gemini['GEMINI_MODEL'], 'postern/echo');
    assert.ok(existsSync(join(gemini['GEMINI_CLI_HOME'] ?? '', '.gemini', 'settings.json')));
    const openCodeWorld = makeWorld('opencode', '');
    await run(openCodeWorld, ['opencode']);
    const opencode = openCodeWorld.seen().env;
    const config = JSON.parse(readFileSync(opencode['OPENCODE_CONFIG'] ?? '', 'utf8'));
    assert.equal(config.model, 'postern/gpt-5-codex');
    for (const name of ['XDG_CONFIG_HOME', 'XDG_DATA_HOME', 'XDG_STATE_HOME', 'XDG_CACHE_HOME']) {
      assert.ok(opencode[name]?.startsWith(openCodeWorld.stateDir), name);
    }
  });

  test("the agent gets no key of the user's and none of Postern's credentials (DESIGN section 5)", async () => {
    const world = makeWorld('claude', '');
    const secrets = {
      ANTHROPIC_API_KEY: 'sk-ant',
      OPENAI_API_KEY: 'sk-o',
      POSTERN_ADMIN_TOKEN: 'root',
      POSTERN_MASTER_KEY: 'key',
      CLAUDE_CODE_USE_BEDROCK: '1',
    };
    await run(world, ['claude'], { ...secrets, EDITOR: 'vi' });
    const { env } = world.seen();
    for (const name of Object.keys(secrets)) assert.equal(env[name], undefined, name);
    assert.equal(env['EDITOR'], 'vi');
  });

  test('a token that can administer is not handed to an agent; a use token is', async () => {
    const world = makeWorld('claude', '');
    const me = (scopes: readonly string[]): Answers => ({
      ...MODELS,
      'GET /api/v1/whoami': { body: { door: 'token', token: { scopes } } },
    });
    const refused = await run(world, ['claude'], { POSTERN_TOKEN: 'pst_admin' }, me(['use', 'admin']));
    assert.equal(refused.exitCode, 4);
    assert.match(refused.stderr, /can administer/);
    await run(world, ['claude'], { POSTERN_TOKEN: 'pst_use' }, me(['use']));
    assert.equal(world.seen().env['ANTHROPIC_AUTH_TOKEN'], 'pst_use');
    assert.equal(world.seen().env['POSTERN_TOKEN'], undefined);
  });

  test('--fresh leaves nothing behind, and the kept configuration is not written anew', async () => {
    const world = makeWorld('claude', 'echo kept > "$CLAUDE_CONFIG_DIR/.claude.json"');
    await run(world, ['--fresh', 'claude']);
    assert.equal(existsSync(world.seen().env['CLAUDE_CONFIG_DIR'] ?? ''), false);
    assert.equal(existsSync(join(world.stateDir, 'agents')), false);
    await run(world, ['claude']);
    await run(world, ['claude']);
    assert.equal(readFileSync(join(world.stateDir, 'agents', 'claude', '.claude.json'), 'utf8'), 'kept\n');
  });

  test('a missing program is told with its install command', async () => {
    const world = makeWorld('claude', '');
    const result = await run(world, ['codex']);
    assert.equal(result.exitCode, 1);
    assert.match(result.stderr, /npm install -g @openai\/codex/);
  });

  test('a program in the current folder is not taken through an empty entry of PATH', async () => {
    const world = makeWorld('claude', '');
    const before = process.cwd();
    process.chdir(world.bin);
    try {
      const result = await run(world, ['claude'], { PATH: ':.' });
      assert.match(result.stderr, /not installed/);
    } finally {
      process.chdir(before);
    }
  });

  test('a signal reaches the agent, whose death by it is 128 and its number', async () => {
    const world = makeWorld('claude', 'echo started; exec sleep 30');
    const server = await startFakeServer(MODELS);
    const child = spawn(
      process.execPath,
      [MAIN, 'run', '--url', server.url, '--state-dir', world.stateDir, 'claude'],
      {
        env: { PATH: `${world.bin}:/usr/bin:/bin`, HOME: world.home },
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    try {
      await firstOutput(child);
      child.kill('SIGTERM');
      const code = await new Promise((resolve) => void child.once('exit', (exitCode) => resolve(exitCode)));
      assert.equal(code, 128 + 15);
    } finally {
      await server.close();
    }
  });
});

function firstOutput(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.stdout?.once('data', () => resolve());
    child.once('exit', (code) => reject(new Error(`it ended with ${code} before it started its agent`)));
  });
}

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-run-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));
