/**
 * What runs inside the network namespace: a fake upstream, Postern, and one agent that `postern run`
 * starts. Prints one JSON report; judging it is `clients.test.ts`'s part.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { startPostern } from '../postern-process.ts';
import type { CommandResult, PosternProcess } from '../postern-process.ts';
import { startFakeUpstream } from '../upstream/index.ts';
import type { ReceivedRequest } from '../upstream/index.ts';
import { realAgent } from './agents.ts';

import { startTap } from './tap.ts';
import type { TappedExchange } from './tap.ts';

/** What to do, given as JSON in the first argument. */
export interface Job {
  readonly agent: string;
  /** `echo`: Postern's test model over its socket's address; `upstream`: the fake, with a tap in front of Postern. */
  readonly target: 'echo' | 'upstream';
  /** Folder with the agents' launchers. */
  readonly programs: string;
  readonly question: string;
  /** Of the fake, where it is not the one for the agent's format: the request is translated. */
  readonly model?: string;
}

export interface SeenExchange {
  readonly method: string;
  readonly target: string;
  readonly rawHeaders: readonly string[];
  readonly bodyBase64: string;
  /** What the agent was answered, or what the fake sent. */
  readonly answerBase64: string;
  readonly status: number;
}

export interface Report {
  readonly agent: CommandResult;
  /** Postern's own records, oldest first, as its API shows them. */
  readonly records: readonly Record<string, unknown>[];
  readonly sent: readonly SeenExchange[];
  readonly received: readonly SeenExchange[];
  readonly violations: readonly string[];
  readonly log: string;
}

const AGENT_TIMEOUT_MS = 120_000;
/** The recorder writes within 250 ms; a loaded machine may need more. */
const RECORDS_TIMEOUT_MS = 10_000;

async function perform({ agent: name, target, programs, question, ...job }: Job): Promise<Report> {
  const agent = realAgent(name);
  const upstream = await startFakeUpstream();
  const postern = await startPostern({ document: documentFor(upstream.url) });
  const tap = target === 'upstream' ? await startTap(postern.url) : null;
  try {
    const model = target === 'echo' ? 'postern/echo' : (job.model ?? agent.model);
    const where = tap === null ? [] : ['--url', tap.url];
    const work = join(postern.stateDir, 'work');
    await mkdir(work);
    const result = await postern.cli(
      ['run', ...where, '--model', model, agent.name, ...agent.ask(question, model)],
      { ...agent.env, PATH: `${programs}:${process.env['PATH'] ?? ''}`, TERM: 'dumb', NO_COLOR: '1' },
      { cwd: work, timeoutMs: AGENT_TIMEOUT_MS },
    );
    const sent = (tap?.exchanges ?? []).filter((exchange) => !exchange.target.startsWith('/api/'));
    return {
      agent: result,
      records: await readRecords(
        postern,
        tap === null ? 1 : sent.filter(({ method }) => method === 'POST').length,
      ),
      sent: sent.map(seenBySender),
      received: upstream.requests.map(seenByUpstream),
      violations: upstream.violations,
      log: postern.log(),
    };
  } finally {
    await tap?.close();
    await postern.stop();
    await upstream.close();
  }
}

/** One provider of the fake for each dialect; everybody on this machine may use all models. */
export function documentFor(baseurl: string): object {
  return {
    providers: {
      'fake-openai': {
        baseurl,
        apikey: 'sk-fake-openai',
        models: ['gpt-fake'],
        compatibility: { openai_chat: true, openai_responses: true },
      },
      'fake-anthropic': {
        baseurl,
        apikey: 'sk-fake-anthropic',
        authorization: 'x-api-key',
        models: ['claude-fake'],
        compatibility: { anthropic_messages: true },
      },
      'fake-google': {
        baseurl,
        apikey: 'fake-google-key',
        authorization: 'x-goog-api-key',
        models: ['gemini-fake'],
        compatibility: { gemini_generate_content: true },
      },
    },
    grants: [{ src: ['(loopback)'], app: { 'postern.dev/cap/gateway': [{ role: 'user', models: '**' }] } }],
  };
}

/** Waits for at least `count` records, and gives up with those that came. */
async function readRecords(postern: PosternProcess, count: number): Promise<Record<string, unknown>[]> {
  const deadline = Date.now() + RECORDS_TIMEOUT_MS;
  for (;;) {
    const result = await postern.cli(['logs', '--json', '-n', '100']);
    if (result.code !== 0) throw new Error(`postern logs ended with ${result.code}: ${result.stderr}`);
    const items: Record<string, unknown>[] = JSON.parse(result.stdout).items;
    if (items.length >= count || Date.now() > deadline) return items.toReversed();
  }
}

function seenBySender(exchange: TappedExchange): SeenExchange {
  const { method, target, rawHeaders, status } = exchange;
  const answerBase64 = exchange.answer.toString('base64');
  return { method, target, rawHeaders, status, bodyBase64: exchange.body.toString('base64'), answerBase64 };
}

function seenByUpstream(request: ReceivedRequest): SeenExchange {
  const { method, target, rawHeaders } = request;
  const answerBase64 = Buffer.concat(request.sent).toString('base64');
  return { method, target, rawHeaders, status: 0, bodyBase64: request.body.toString('base64'), answerBase64 };
}

if (import.meta.main)
  process.stdout.write(JSON.stringify(await perform(JSON.parse(process.argv[2] ?? '{}'))));
