/** For the tests of this folder: a document, rows in memory, and one simulation. */
import { systemClock } from '../../base/clock.ts';
import { assert } from '../../base/errors.ts';
import { createPriceBook, type PriceBook } from '../../llm/index.ts';
import type { RequestRow } from '../../store/index.ts';
import { NOON } from '../../store/sqlite/rows.fixture.ts';
import { compileDraft, type CompiledDraft } from './draft.ts';
import type { FormatAbilities, RecordedRows } from './ports.ts';
import type { SimulationReport } from './report.ts';
import { simulate, type SimulationInput } from './simulate.ts';

export const BUILT = new Set(['tools', 'guardrails', 'approvals', 'quotas', 'hooks'] as const);

export const DOCUMENT = {
  providers: {
    anthropic: {
      baseurl: 'https://api.anthropic.com',
      authorization: 'x-api-key',
      compatibility: { anthropic_messages: true, openai_chat: false },
      models: ['claude-*'],
      cost_basis: 'anthropic',
    },
    openai: {
      baseurl: 'https://api.openai.com',
      models: ['gpt-*'],
      cost_basis: 'openai',
    },
  },
  grants: [{ src: ['*'], app: { 'postern.dev/cap/gateway': [{ role: 'user', models: '**' }] } }],
};

export const ABILITIES: FormatAbilities = {
  canGovern: () => true,
  canTranslate: (format) => format === 'anthropic_messages',
};

/** Throws on a problem beyond notes. */
export function compiled(document: object): CompiledDraft {
  const draft = compileDraft(JSON.stringify(document), {
    tailnet: 'home',
    source: 'api',
    found: [],
    storedGrants: [{ principal: 'local:0', role: 'admin', models: [] }],
    built: BUILT,
  });
  const problems = draft.problems.filter(
    ({ severity, code }) =>
      severity === 'error' ||
      (severity === 'warning' && !['nobody_is_admin', 'grants_missing', 'never_matches'].includes(code)),
  );
  assert(problems.length === 0, JSON.stringify(problems));
  return draft;
}

/** Rows as a store lists them: newest first, in pages. */
export function rowsOf(rows: readonly RequestRow[]): RecordedRows {
  const newest = rows.toSorted((a, b) => b.startedAt - a.startedAt);
  return {
    listRequests({ from = -Infinity, to = Infinity }, { cursor, limit }) {
      const found = newest.filter((row) => row.startedAt >= from && row.startedAt < to);
      const start = Number(cursor ?? 0);
      const end = start + limit;
      return Promise.resolve({
        items: found.slice(start, end),
        nextCursor: end < found.length ? String(end) : null,
      });
    },
  };
}

let priceBook: PriceBook | null = null;

export function replay(
  store: RecordedRows,
  before: object,
  draft: object,
  more: Partial<SimulationInput> = {},
): Promise<SimulationReport> {
  priceBook ??= createPriceBook();
  return simulate({
    tailnet: 'home',
    store,
    prices: priceBook,
    abilities: ABILITIES,
    tokenOf: () => null,
    clock: systemClock,
    before: compiled(before).snapshot,
    draft: compiled(draft).snapshot,
    from: NOON - 7 * 86_400_000,
    to: NOON + 7 * 86_400_000,
    requestsMax: 100,
    signal: new AbortController().signal,
    pause: () => new Promise((resolve) => void setImmediate(resolve)),
    onProgress: () => undefined,
    ...more,
  });
}
