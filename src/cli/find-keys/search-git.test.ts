import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import * as fc from 'fast-check';
import '../../../test/property-seed.ts';
import { type CliRun, runInProcess } from '../fake-server.ts';
import {
  anthropicKey,
  googleKey,
  groqKey,
  leaksOf,
  openAiKey,
  testFolder,
  type TestFolder,
} from './keys.fixture.ts';
import { readGitObjects, readPieces } from './read-git-objects.ts';

/** git without the user's own configuration, at fixed times. */
function git(folder: string, words: readonly string[], day = 1): string {
  const date = `2026-01-${String(day).padStart(2, '0')}T12:00:00Z`;
  return execFileSync(
    'git',
    [
      '-c',
      'user.name=a',
      '-c',
      'user.email=a@example.test',
      '-c',
      'commit.gpgsign=false',
      '-c',
      'init.defaultBranch=main',
      '-C',
      folder,
      ...words,
    ],
    {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: folder,
        GIT_CONFIG_NOSYSTEM: '1',
        GIT_AUTHOR_DATE: date,
        GIT_COMMITTER_DATE: date,
      },
    },
  );
}

function commit(folder: string, message: string, day: number): void {
  git(folder, ['add', '-A']);
  git(folder, ['commit', '-q', '--allow-empty', '-m', message], day);
}

function findIn(path: string): Promise<CliRun> {
  return runInProcess(['find-keys', '--git', '--only-paths', '--json', path], {
    env: { PATH: process.env['PATH'] },
  });
}

function inGit(run: CliRun): readonly Record<string, unknown>[] {
  const all: readonly Record<string, unknown>[] = JSON.parse(run.stdout).findings;
  return all.filter((item) => item['place'] === 'git');
}

describe('the history of a repository', () => {
  let folder: TestFolder;
  const keys = { removed: openAiKey(1), present: anthropicKey(2), message: googleKey(3), lost: groqKey(4) };
  before(() => {
    folder = testFolder();
    git(folder.path, ['init', '-q']);
    folder.write('.env', `OPENAI_API_KEY=${keys.removed}\n`);
    commit(folder.path, 'one', 2);
    folder.write('.env', `OPENAI_API_KEY=${keys.removed}\nMORE=1\n`);
    folder.write('src/a.ts', `const key = '${keys.present}';\n`);
    commit(folder.path, 'two', 3);
    folder.write('.env', 'MORE=1\n');
    commit(folder.path, `without ${keys.message}`, 4);
    folder.write('lost.txt', keys.lost);
    git(folder.path, ['hash-object', '-w', 'lost.txt']);
    folder.write('lost.txt', '');
  });
  after(() => folder.remove());

  test('a key that was removed is found, with the commit and the day since when it is there', async () => {
    const run = await findIn(folder.path);
    assert.equal(run.exitCode, 1);
    const removed = inGit(run).find((item) => item['path'] === '.env');
    const first = git(folder.path, ['rev-list', '--reverse', 'HEAD']).split('\n')[0];
    assert.equal(removed?.['commit'], first);
    assert.match(String(removed?.['since']), /^2026-01-02T12:00:00/);
    assert.equal(removed?.['versions'], 2);
    assert.equal(removed?.['current'], false);
    assert.equal(removed?.['client'], 'dotenv');
  });

  test('one that is still there says so; a message and an object that nothing names are searched, too', async () => {
    const found = inGit(await findIn(folder.path));
    assert.equal(found.find((item) => item['path'] === 'src/a.ts')?.['current'], true);
    assert.equal(found.find((item) => item['holder'] === 'commit')?.['service'], 'google');
    assert.match(String(found.find((item) => item['holder'] === 'commit')?.['since']), /^2026-01-04/);
    const lost = found.find((item) => item['service'] === 'groq');
    assert.deepEqual([lost?.['path'], lost?.['commit'], lost?.['since']], [null, null, null]);
  });

  test('no part of a key is printed', async () => {
    const text = await runInProcess(['find-keys', '--git', '--only-paths', folder.path], {
      env: { PATH: process.env['PATH'] },
    });
    const json = await findIn(folder.path);
    for (const key of Object.values(keys))
      assert.deepEqual(leaksOf(key, text.stdout + text.stderr + json.stdout + json.stderr), []);
    assert.match(text.stdout, /in git since 2026-01-02 \([0-9a-f]{12}\), 2 versions, no longer checked in/);
    assert.match(text.stdout, /rotate it/);
  });

  test('a folder within a repository stands for the repository', async () => {
    assert.equal(inGit(await findIn(join(folder.path, 'src'))).length, 4);
  });

  test('--ignore holds for the history, too', async () => {
    const words = [
      'find-keys',
      '--git',
      '--only-paths',
      '--json',
      '--ignore',
      'src/*',
      '--ignore',
      '.env',
      folder.path,
    ];
    const found = inGit(await runInProcess(words, { env: { PATH: process.env['PATH'] } }));
    assert.deepEqual(
      found.map((item) => item['path']),
      [null, null],
    );
  });

  test('a bare repository is one, too', async () => {
    const bare = testFolder();
    git(bare.path, ['clone', '-q', '--bare', '--no-local', folder.path, 'copy.git']);
    assert.equal(inGit(await findIn(join(bare.path, 'copy.git'))).length, 3);
    bare.remove();
  });
});

describe("a stranger's repository", () => {
  test('starts no program: no monitor, hook, pager, filter, signature check, or transport', async () => {
    const folder = testFolder();
    const proof = join(folder.path, 'proof');
    const evil = folder.write('evil.sh', `#!/bin/sh\ntouch ${proof}\n`, 0o755);
    const repository = join(folder.path, 'repository');
    mkdirSync(repository);
    git(repository, ['init', '-q']);
    writeFileSync(join(repository, '.env'), `OPENAI_API_KEY=${openAiKey()}\n`);
    commit(repository, 'one', 2);
    const signed = git(repository, ['cat-file', 'commit', 'HEAD']).replace(
      '\n\n',
      '\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\n',
    );
    writeFileSync(join(folder.path, 'signed'), signed);
    git(repository, [
      'update-ref',
      'refs/heads/signed',
      git(repository, ['hash-object', '-t', 'commit', '-w', join(folder.path, 'signed')]).trim(),
    ]);
    const settings = {
      'core.fsmonitor': evil,
      'core.pager': evil,
      'core.hooksPath': folder.path,
      'core.sshCommand': evil,
      'diff.external': evil,
      'log.showSignature': 'true',
      'gpg.program': evil,
      'filter.x.smudge': evil,
      'diff.x.textconv': evil,
      'remote.origin.url': `ext::sh -c ${evil}`,
      'remote.origin.promisor': 'true',
      'extensions.partialClone': 'origin',
      'protocol.ext.allow': 'always',
      'alias.log': `!${evil}`,
      'alias.cat-file': `!${evil}`,
    };
    git(repository, ['config', 'core.repositoryformatversion', '1']);
    for (const [name, value] of Object.entries(settings)) git(repository, ['config', name, value]);
    writeFileSync(join(repository, '.git', 'info', 'attributes'), '* filter=x diff=x\n');
    const run = await findIn(repository);
    assert.equal(existsSync(proof), false, 'nothing of the repository ran');
    assert.deepEqual(
      inGit(run).map((item) => item['since']),
      ['2026-01-02T12:00:00+00:00'],
    );
    // A commit whose tree is missing: in a partial clone git would fetch it.
    writeFileSync(join(folder.path, 'gone'), signed.replace(/^tree \w+/, `tree ${'1'.repeat(40)}`));
    git(repository, ['hash-object', '-t', 'commit', '-w', join(folder.path, 'gone')]);
    assert.equal(inGit(await findIn(repository)).length, 1);
    assert.equal(existsSync(proof), false, 'nothing was fetched');
    folder.remove();
  });

  test('a .git that is damaged, or points out of the folder, is said and is not clean', async () => {
    const folder = testFolder();
    folder.write('damaged/.git/HEAD', 'nonsense');
    const damaged = await findIn(join(folder.path, 'damaged'));
    assert.equal(damaged.exitCode, 1);
    assert.equal(JSON.parse(damaged.stdout).complete, false);
    folder.write('outer/inner/.git', 'gitdir: /nonexistent/elsewhere\n');
    const outer = await findIn(join(folder.path, 'outer'));
    assert.deepEqual(
      JSON.parse(outer.stdout).skipped.map((item: { reason: string }) => item.reason),
      ['repository elsewhere'],
    );
    folder.remove();
  });

  test('no git program: said, and not clean', async () => {
    const folder = testFolder();
    git(folder.path, ['init', '-q']);
    const run = await runInProcess(['find-keys', '--git', '--only-paths', '--json', folder.path], {
      env: { PATH: '/nonexistent' },
    });
    assert.equal(run.exitCode, 1);
    assert.match(JSON.parse(run.stdout).stopped_by, /git could not read a repository/);
    folder.remove();
  });
});

/** Bytes in pieces that end where the numbers say. */
async function* inPieces(bytes: Buffer, cuts: readonly number[]): AsyncGenerator<Buffer> {
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  let from = 0;
  for (const end of ends) {
    yield bytes.subarray(from, end);
    from = end;
  }
}

describe('the output of git, cut anywhere', () => {
  test('objects come out whole (git-cat-file(1), BATCH OUTPUT)', async () => {
    const contents = fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(contents, fc.array(fc.nat(500), { maxLength: 12 }), async (objects, cuts) => {
        const bytes = Buffer.concat(
          objects.flatMap((content, index) => [
            ...(index === 1 ? [Buffer.from(`${'f'.repeat(40)} missing\n`)] : []),
            Buffer.from(`${String(index).repeat(40)} blob ${content.length}\n`),
            content,
            Buffer.from('\n'),
          ]),
        );
        const seen: Buffer[] = [];
        for await (const { content } of readGitObjects(inPieces(bytes, cuts)))
          seen.push(Buffer.from(content));
        assert.deepEqual(
          seen.map((content) => content.toString('hex')),
          objects.map((content) => Buffer.from(content).toString('hex')),
        );
      }),
    );
  });

  test('any bytes end it without a fault', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 2_000 }),
        fc.array(fc.nat(2_000), { maxLength: 5 }),
        async (bytes, cuts) => {
          for await (const object of readGitObjects(inPieces(Buffer.from(bytes), cuts)))
            assert.ok(object.content.length <= bytes.length);
          for await (const piece of readPieces(inPieces(Buffer.from(bytes), cuts), '\n', 100))
            assert.ok(piece.length <= bytes.length);
        },
      ),
    );
  });
});
