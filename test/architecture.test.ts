/**
 * The layers of the code (docs/design/0001-layers.md): a folder imports only from rows above its
 * own, never a sibling in its row, and some modules have exactly one importer.
 */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { test } from 'node:test';

const SRC = resolve(import.meta.dirname, '../src');

const ROWS: readonly (readonly string[])[] = [
  ['base'],
  ['crypto', 'wire'],
  ['net', 'config', 'identity'],
  ['policy', 'store', 'events'],
  ['tailnet', 'oidc', 'llm', 'mcp'],
  ['doors', 'vault', 'quotas', 'guardrails', 'approvals', 'recorder'],
  ['gateway'],
  ['api'],
  ['cli'],
  ['composition'],
  ['server.ts'],
  ['demo'],
];

/** Packages and built-ins that only some folders may import, and why. */
const ONLY_IN: readonly {
  readonly pattern: RegExp;
  readonly folders: readonly string[];
  readonly why: string;
}[] = [
  { pattern: /^node:crypto$/, folders: ['crypto'], why: 'cryptography is reviewed in one place' },
  { pattern: /^@noble\//, folders: ['crypto'], why: 'cryptography is reviewed in one place' },
  { pattern: /^node:sqlite$/, folders: ['store'], why: 'SQL lives behind the store port' },
  {
    pattern: /^(?:openid-client|oauth4webapi)$/,
    folders: ['oidc'],
    why: 'identity providers are asked in one place',
  },
  { pattern: /^undici$/, folders: ['net'], why: 'every outbound connection goes through the guarded dialer' },
  { pattern: /^node:ffi$/, folders: ['tailnet'], why: 'memory outside the engine is touched in one place' },
  { pattern: /^node:child_process$/, folders: ['cli'], why: 'the gateway never starts a process' },
  { pattern: /^hono|^@hono\//, folders: ['api'], why: 'the framework serves the admin API only' },
];

interface ImportEdge {
  readonly from: string;
  readonly specifier: string;
}

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));
}

function importsOf(file: string): ImportEdge[] {
  const text = readFileSync(file, 'utf8');
  const pattern =
    /(?:^|\n)\s*(?:import|export)\s[^'"`;]*?from\s*['"]([^'"]+)['"]|(?:^|[^.\w])import\(\s*['"]([^'"]+)['"]\s*\)|\bgetBuiltinModule\(\s*['"]([^'"]+)['"]|(?:^|\n)\s*import\s*['"]([^'"]+)['"]/g;
  const edges: ImportEdge[] = [];
  for (const match of text.matchAll(pattern)) {
    const specifier = match[1] ?? match[2] ?? match[3] ?? match[4];
    if (specifier !== undefined) edges.push({ from: relative(SRC, file), specifier });
  }
  return edges;
}

/** The folder of the map that a path below src/ belongs to. */
function partOf(path: string): string {
  return path.split(sep)[0] ?? path;
}

function rowOf(part: string): number {
  return ROWS.findIndex((row) => row.includes(part));
}

/** Why an import breaks the layers, or null. Exported shape kept small so that the rule itself is tested below. */
function violation(edge: ImportEdge): string | null {
  const from = partOf(edge.from);
  const isTest = edge.from.endsWith('.test.ts');
  if (!edge.specifier.startsWith('.')) {
    if (isTest) return null;
    const rule = ONLY_IN.find(
      (candidate) => candidate.pattern.test(edge.specifier) && !candidate.folders.includes(from),
    );
    return rule === undefined
      ? null
      : `src/${edge.from} imports ${edge.specifier}, which only ${rule.folders.join(', ')} may: ${rule.why}`;
  }
  const target = relative(SRC, resolve(SRC, dirname(edge.from), edge.specifier));
  if (target.startsWith('..'))
    return isTest ? null : `src/${edge.from} imports ${edge.specifier}, outside src/`;
  const to = partOf(target);
  if (to === from) {
    const ownIndex = join(dirname(edge.from), 'index.ts');
    return target === ownIndex && !isTest ? `src/${edge.from} imports its own folder's index.ts` : null;
  }
  if (edge.from === join('cli', 'serve.ts') && to === 'server.ts') return null;
  if (edge.from === join('cli', 'demo.ts') && to === 'demo') return null;
  if (from === 'demo' && to === 'store')
    return `src/${edge.from} imports ${edge.specifier}: the demo writes no row itself`;
  const [fromRow, toRow] = [rowOf(from), rowOf(to)];
  if (fromRow < 0 || toRow < 0)
    return `src/${edge.from} imports ${edge.specifier}: "${fromRow < 0 ? from : to}" has no row in the map`;
  if (toRow < fromRow) return null;
  const relation = toRow === fromRow ? 'a sibling in its own row' : 'a row below its own';
  return `src/${edge.from} (row ${fromRow}) imports ${edge.specifier} (${to}, row ${toRow}): ${relation}`;
}

test('a folder imports only from rows above it (docs/design/0001-layers.md)', () => {
  const violations = sourceFiles(SRC)
    .flatMap(importsOf)
    .map(violation)
    .filter((text) => text !== null);
  assert.deepEqual(violations, []);
});

test('the rule catches an upward import, a sibling and a reserved package', () => {
  assert.match(violation({ from: join('base', 'x.ts'), specifier: '../llm/index.ts' }) ?? '', /row below/);
  assert.match(violation({ from: join('policy', 'x.ts'), specifier: '../store/index.ts' }) ?? '', /sibling/);
  assert.match(violation({ from: join('gateway', 'x.ts'), specifier: 'undici' }) ?? '', /guarded dialer/);
  assert.match(violation({ from: join('gateway', 'x.ts'), specifier: './index.ts' }) ?? '', /own folder/);
  assert.equal(violation({ from: join('gateway', 'x.ts'), specifier: '../policy/index.ts' }), null);
  assert.match(violation({ from: join('demo', 'x.ts'), specifier: '../store/index.ts' }) ?? '', /no row/);
  for (const from of ['server.ts', join('cli', 'serve.ts'), join('composition', 'x.ts')])
    assert.match(
      violation({
        from,
        specifier: from.includes('x.ts') || from.includes('cli') ? '../demo/index.ts' : './demo/index.ts',
      }) ?? '',
      /row below/,
    );
});
