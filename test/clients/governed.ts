/**
 * What runs inside the network namespace for tool rules: a fake upstream that asks for the agent's own
 * shell once, Postern with a rule on it, and one real agent. Prints one JSON report.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startPostern } from '../postern-process.ts';
import type { CommandResult, PosternProcess } from '../postern-process.ts';
import { startFakeUpstream, type CallScript, type FakeToolCall } from '../upstream/index.ts';
import { toolNames, type JsonObject } from '../upstream/json.ts';
import { realAgent } from './agents.ts';
import { documentFor } from './inside.ts';
import { startTap } from './tap.ts';

/** What the rule says of the shell, and what the approver does where it asks. */
export type Ruling = 'none' | 'denied' | 'approved' | 'rejected' | 'edited';

/** What to do, given as JSON in the first argument. */
export interface GovernedJob {
  readonly agent: string;
  readonly ruling: Ruling;
  /** How long the approver waits before deciding. */
  readonly thinkMs: number;
  /** Folder with the agents' launchers. */
  readonly programs: string;
}

export interface GovernedReport {
  readonly agent: CommandResult;
  /** What the commands wrote, a line each; null where none ran. */
  readonly marker: string | null;
  /** Bodies that the agent sent after the call was asked for. */
  readonly bodiesAfter: readonly string[];
  /** The answer that bore the call, as the agent got it. */
  readonly governedAnswer: string;
  readonly decisions: readonly unknown[];
  readonly states: readonly string[];
  readonly violations: readonly string[];
  readonly log: string;
}

const AGENT_TIMEOUT_MS = 150_000;
const ADMIN_TOKEN = 'break-glass-token-of-this-test-0123456789';
/** What the fake asks the agents to run; the approver's edit writes another word. */
const commandFor = (word: string): string => `echo ${word} >> marker`;

/** The shells of the agents, and what each takes. */
const SHELLS: Readonly<Record<string, (command: string) => object>> = {
  Bash: (command) => ({ command, description: 'writes a line' }),
  bash: (command) => ({ command, description: 'writes a line' }),
  run_shell_command: (command) => ({ command, description: 'writes a line' }),
  shell: (command) => ({ command: ['bash', '-c', command] }),
  shell_command: (command) => ({ command }),
  exec_command: (command) => ({ cmd: command }),
};

/** The agent's own shell, as far as the request offers one. */
function shellOf(body: JsonObject): string | undefined {
  return toolNames(body).find((name) => Object.hasOwn(SHELLS, name));
}

/** Claude Code goes on where another call stays; what it reads is there. */
const READ: FakeToolCall = { name: 'Read', arguments: JSON.stringify({ file_path: '/etc/hostname' }) };

/** Asks for the shell in the first answer that can, and for nothing later. */
function once(onCall: () => void): CallScript {
  let isAsked = false;
  return (body) => {
    const shell = shellOf(body);
    if (isAsked || shell === undefined) return null;
    isAsked = true;
    onCall();
    const call = { name: shell, arguments: JSON.stringify(SHELLS[shell]?.(commandFor('ran'))) };
    return shell === 'Bash' ? [call, READ] : [call];
  };
}

async function perform({ agent: name, ruling, thinkMs, programs }: GovernedJob): Promise<GovernedReport> {
  const agent = realAgent(name);
  let asked = 0;
  const upstream = await startFakeUpstream({ pairing: true, calls: once(() => (asked += 1)) });
  const postern = await startPostern({
    document: { ...documentFor(upstream.url), tools: rulesFor(ruling) },
    env: { POSTERN_ADMIN_TOKEN: ADMIN_TOKEN },
  });
  const tap = await startTap(postern.url);
  const work = join(postern.stateDir, 'work');
  const leaving = new AbortController();
  try {
    await mkdir(work);
    const approver = decideWhatWaits(postern, ruling, { thinkMs, signal: leaving.signal });
    const result = await postern.cli(
      [
        'run',
        '--url',
        tap.url,
        '--model',
        agent.model,
        agent.name,
        ...agent.ask('write the marker', agent.model),
        ...agent.mayRun,
      ],
      { ...agent.env, PATH: `${programs}:${process.env['PATH'] ?? ''}`, TERM: 'dumb', NO_COLOR: '1' },
      { cwd: work, timeoutMs: AGENT_TIMEOUT_MS },
    );
    leaving.abort();
    await approver;
    const bodies = tap.exchanges.filter(
      ({ method, target }) => method === 'POST' && !target.startsWith('/api/'),
    );
    const bearing = bodies.findIndex(({ body }) => shellOf(JSON.parse(body.toString())) !== undefined);
    return {
      agent: result,
      marker: await readFile(join(work, 'marker'), 'utf8').catch(() => null),
      bodiesAfter: asked === 0 ? [] : bodies.slice(bearing + 1).map(({ body }) => body.toString()),
      governedAnswer: bodies[bearing]?.answer.toString() ?? '',
      decisions: ruling === 'none' ? [] : await decisionsOf(postern),
      states: (await listApprovals(postern)).map(({ state }) => state),
      violations: upstream.violations,
      log: postern.log(),
    };
  } finally {
    leaving.abort();
    await tap.close();
    await postern.stop();
    await upstream.close();
  }
}

function rulesFor(ruling: Ruling): readonly object[] {
  if (ruling === 'none') return [];
  const tools = Object.keys(SHELLS);
  return ruling === 'denied'
    ? [{ tools, action: 'deny', message: 'no shell here' }]
    : [{ tools, action: 'ask' }];
}

interface ListedApproval {
  readonly id: string;
  readonly state: string;
}

async function operatorCli(postern: PosternProcess, args: readonly string[]): Promise<string> {
  const result = await postern.cli(['approvals', ...args, '--json'], { POSTERN_TOKEN: ADMIN_TOKEN });
  if (result.code !== 0) throw new Error(`postern approvals ${args.join(' ')}: ${result.stderr}`);
  return result.stdout;
}

async function listApprovals(postern: PosternProcess): Promise<readonly ListedApproval[]> {
  const { items } = JSON.parse(await operatorCli(postern, ['list'])) as { items: ListedApproval[] };
  return items;
}

/** The operator at another terminal: decides every question by the command line. */
async function decideWhatWaits(
  postern: PosternProcess,
  ruling: Ruling,
  { thinkMs, signal }: { readonly thinkMs: number; readonly signal: AbortSignal },
): Promise<void> {
  if (ruling === 'none' || ruling === 'denied') return;
  while (!signal.aborted) {
    for (const { id, state } of await listApprovals(postern)) {
      if (state !== 'pending') continue;
      await sleep(thinkMs);
      await operatorCli(postern, await wordsFor(postern, ruling, id));
    }
    await sleep(200);
  }
}

async function wordsFor(postern: PosternProcess, ruling: Ruling, id: string): Promise<readonly string[]> {
  if (ruling === 'rejected') return ['deny', id, '--reason', 'not today'];
  if (ruling === 'approved') return ['approve', id];
  const shown = JSON.parse(await operatorCli(postern, ['show', id])) as { arguments: string };
  return ['approve', id, '--edited', shown.arguments.replace('echo ran', 'echo edited')];
}

async function decisionsOf(postern: PosternProcess): Promise<readonly unknown[]> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const answer = await fetch(`${postern.url}/api/v1/requests?limit=50`);
    const { items } = (await answer.json()) as { items: { decisions?: unknown[] }[] };
    const decisions = items.flatMap((item) => item.decisions ?? []);
    if (decisions.length > 0 || Date.now() > deadline) return decisions;
    await sleep(100);
  }
}

if (import.meta.main)
  process.stdout.write(JSON.stringify(await perform(JSON.parse(process.argv[2] ?? '{}'))));
