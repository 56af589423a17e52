/** The countable part of the style: what a reader would otherwise have to say in every review. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { test } from 'node:test';

const ROOT = resolve(import.meta.dirname, '..');

/** Made by a program from another file. */
const GENERATED: ReadonlySet<string> = new Set(['console/src/api/schema.d.ts']);

/** Lines; above this a file holds more than one thing. Tables of data are exempt by name. */
const FILE_LINES_MAX = 600;
const NAMES_THAT_SAY_NOTHING = /^(utils?|helpers?|common|misc|manager)\b/;

interface SourceFile {
  readonly path: string;
  readonly text: string;
}

function files(): SourceFile[] {
  return ['src', 'test', 'bench', 'scripts', 'console/src'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.tsx?$/.test(name) && !name.includes('node_modules') && !name.startsWith('.cache'))
      .filter((name) => !GENERATED.has(join(folder, name)))
      .map((name) => ({ path: join(folder, name), text: readFileSync(join(ROOT, folder, name), 'utf8') })),
  );
}

function offenders(found: readonly SourceFile[], rule: (file: SourceFile) => boolean): string[] {
  return found.filter(rule).map((file) => file.path);
}

test('no file is longer than 600 lines', () => {
  assert.deepEqual(
    offenders(files(), ({ text }) => text.split('\n').length > FILE_LINES_MAX),
    [],
  );
});

test('files are named kebab-case after the thing they hold', () => {
  assert.deepEqual(
    offenders(
      files(),
      ({ path }) =>
        !/^[a-z0-9]+([.-][a-z0-9]+)*\.tsx?$/.test(basename(path)) ||
        NAMES_THAT_SAY_NOTHING.test(basename(path)),
    ),
    [],
  );
});

test('nothing is left to do, skipped or singled out', () => {
  const pattern = /\b(TODO|FIXME|XXX)\b|\b(test|it|describe)\.(only|skip|todo)\(/;
  assert.deepEqual(
    offenders(files(), ({ path, text }) => !path.endsWith('tidy.test.ts') && pattern.test(text)),
    [],
  );
});

test('no compiler or linter rule is silenced without its reason', () => {
  const pattern =
    /@ts-(ignore|nocheck)|@ts-expect-error\s*\n|oxlint-disable(-next-line|-line)?\s*(\*\/)?\s*\n/;
  assert.deepEqual(
    offenders(files(), ({ path, text }) => !path.endsWith('tidy.test.ts') && pattern.test(text)),
    [],
  );
});

test('only the entry points of programs write to the console or end the process', () => {
  const pattern = /^\s*(console\.(log|error|warn|info)|process\.exit)\(/m;
  const isProgram = (path: string): boolean => /^(src\/cli\/|bench\/|scripts\/|test\/)/.test(path);
  assert.deepEqual(
    offenders(files(), ({ path, text }) => !isProgram(path) && pattern.test(text)),
    [],
  );
});

test('the console writes text only, never markup, and loads nothing from elsewhere', () => {
  const pattern =
    /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function\(|DOMParser|https?:\/\/(?!localhost\b)/;
  const inConsole = files().filter(({ path }) => path.startsWith('console/'));
  assert.ok(inConsole.length > 30);
  assert.deepEqual(
    offenders(inConsole, ({ text }) => pattern.test(text)),
    [],
  );
});
