/**
 * Postern's rungs: the same requests with more and more kept and decided. The rules of the upper rungs
 * hold for every request and let every one pass: what is measured is deciding, not refusing.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run, startPostern } from '../test/postern-process.ts';
import { INSTANT_MODEL, TOOL_NAME, streamModel } from './bodies.ts';
import { TARGET_CORE, pinnedTo } from './processes.ts';

const CLI = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url));

/** One way to run Postern. */
export interface Rung {
  readonly name: string;
  /** What it does for each request, for the table. */
  readonly does: string;
  readonly capture: 'none' | 'metadata' | 'full';
  readonly decides: readonly ('budgets' | 'guardrails' | 'tools')[];
}

/** The rung with everything on, which `guard.ts` holds against `METADATA`. */
export const EVERYTHING = 'Postern, everything on';
export const METADATA = 'Postern, capture metadata';
export const FULL = 'Postern, capture full';

export const RUNGS: readonly Rung[] = [
  {
    name: 'Postern, capture none',
    does: 'identity, policy, key, metering, record',
    capture: 'none',
    decides: [],
  },
  {
    name: METADATA,
    does: 'the same, and sessions from the conversation',
    capture: 'metadata',
    decides: [],
  },
  { name: FULL, does: 'the same, and bodies kept, encrypted', capture: 'full', decides: [] },
  {
    name: 'Postern, metadata + budgets',
    does: 'capture metadata, and two budgets in dollars and tokens, reserved and settled',
    capture: 'metadata',
    decides: ['budgets'],
  },
  {
    name: 'Postern, metadata + guardrails',
    does: 'capture metadata, and a search for secrets and mail addresses in requests and answers',
    capture: 'metadata',
    decides: ['guardrails'],
  },
  {
    name: 'Postern, metadata + tool gate',
    does: 'capture metadata, and answers watched for a tool that asks first',
    capture: 'metadata',
    decides: ['tools'],
  },
  {
    name: EVERYTHING,
    does: 'capture full, budgets, guardrails and tool gate',
    capture: 'full',
    decides: ['budgets', 'guardrails', 'tools'],
  },
];

/** The document of a rung; `mock` is the upstream's origin. */
export function documentOf({ capture, decides }: Rung, mock: string): object {
  const bench = {
    baseurl: mock,
    apikey: 'sk-bench',
    models: [
      INSTANT_MODEL,
      streamModel(50, 20),
      streamModel(100, 20),
      streamModel(100, 5),
      streamModel(20, 500),
    ],
    compatibility: { openai_chat: true },
    // A price, or a budget in dollars would have to refuse.
    cost_basis: 'openai',
    model_cost_map: [{ match: 'bench-*', as: 'gpt-4o-mini' }],
  };
  const hasBudgets = decides.includes('budgets');
  const grant = {
    role: 'user',
    models: '**',
    capture,
    ...(hasBudgets ? { quotas: Object.keys(BUDGETS).map((bucket) => ({ bucket })) } : {}),
  };
  return {
    providers: { bench },
    grants: [{ src: ['(loopback)'], app: { 'postern.dev/cap/gateway': [grant] } }],
    ...(hasBudgets ? { quotas: BUDGETS } : {}),
    ...(decides.includes('guardrails') ? { guardrails: GUARDRAILS } : {}),
    ...(decides.includes('tools') ? { tools: TOOLS } : {}),
  };
}

/** Far from their limits; reserve `bounded`, which is the default. */
const BUDGETS = {
  'bench:<user>': { capacity: '$1000000.00', rate: '$1000000.00/day' },
  'bench-shared': { unit: 'tokens', capacity: '1000000000000', rate: '1000000000000/day' },
};
const GUARDRAILS = {
  bench: {
    src: ['*', '(loopback)'],
    on: ['request', 'answer'],
    detect: ['secrets', 'email'],
    action: 'flag',
  },
};
/** The tool stands in every request, and no answer calls it. */
const TOOLS = [{ tools: [TOOL_NAME], action: 'ask' }];

/** Begins the reason of a rung whose rules this build does not act on. */
export const NOT_BUILT = 'not built';

interface Checked {
  readonly problems: readonly {
    readonly severity: string;
    readonly code: string;
    readonly path: string;
    readonly message: string;
  }[];
}

/**
 * Why a rung cannot be measured, or null: `postern config check` refuses its document, or reads rules in
 * it that this build does not act on, whose row would be that of a lower rung.
 */
export async function whyAbsent(rung: Rung): Promise<string | null> {
  if (rung.decides.length === 0) return null;
  const folder = await mkdtemp(join(tmpdir(), 'postern-bench-check-'));
  try {
    const path = join(folder, 'gateway.json');
    await writeFile(path, JSON.stringify(documentOf(rung, 'http://127.0.0.1:1')));
    const words = ['--disable-warning=ExperimentalWarning', CLI, 'config', 'check', '--json', path];
    const { stdout, stderr } = await run(process.execPath, words, {
      PATH: process.env['PATH'] ?? '',
      HOME: folder,
    });
    const { problems } = readChecked(stdout, stderr);
    const unbuilt = problems.filter(({ code }) => code === 'not_built');
    if (unbuilt.length > 0) return `${NOT_BUILT}: ${unbuilt.map((one) => one.path).join(', ')}`;
    const refused = problems.find(({ severity }) => severity === 'error');
    return refused === undefined ? null : `its document is refused: ${refused.message}`;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function readChecked(stdout: string, stderr: string): Checked {
  try {
    return JSON.parse(stdout);
  } catch (cause) {
    throw new Error(`postern config check said nothing that could be read: ${stderr}`, { cause });
  }
}

/** Starts Postern as the rung has it, on the target's core. */
export function startRung(rung: Rung, mock: string): ReturnType<typeof startPostern> {
  return startPostern({
    document: documentOf(rung, mock),
    prefix: pinnedTo(TARGET_CORE),
    flags: ['--log-level', 'error'],
  });
}
