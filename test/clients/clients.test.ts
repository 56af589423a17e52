/**
 * The real agents, pinned, through `postern run`, in a network namespace that has only loopback. A
 * missing tool is a failure. Source of what each client sends: the recorded requests of these runs.
 */
import { strict as assert } from 'node:assert';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../postern-process.ts';
import { ANSWER_TEXT, USAGE } from '../upstream/index.ts';
import { REAL_AGENTS } from './agents.ts';
import type { RealAgent } from './agents.ts';
import type { Job, Report, SeenExchange } from './inside.ts';
import { installedAgents } from './install.ts';

const INSIDE = fileURLToPath(new URL('./inside.ts', import.meta.url));
const QUESTION = 'say hello';
const NAMESPACE_TIMEOUT_MS = 240_000;
/** What the test model begins every answer with. */
const ECHO_LABEL = '[postern/echo test model]';

let programs = '';

before(async () => {
  programs = await installedAgents();
});

async function runInside(job: Omit<Job, 'programs' | 'question'>): Promise<Report> {
  const text = JSON.stringify({ ...job, programs, question: QUESTION });
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', INSIDE, text];
  const script = 'ip link set lo up && exec "$@"';
  const env = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/' };
  const result = await run('unshare', ['-rn', 'sh', '-c', script, 'sh', ...node], env, {
    timeoutMs: NAMESPACE_TIMEOUT_MS,
  });
  assert.equal(result.code, 0, `the run inside the namespace failed:\n${result.stderr}`);
  return JSON.parse(result.stdout);
}

for (const agent of REAL_AGENTS) {
  test(`${agent.name} works on the test model with no key at all, and is recorded`, async () => {
    const report = await runInside({ agent: agent.name, target: 'echo' });
    assertAnswered(report, ECHO_LABEL);
    assertRecorded(report, agent, { provider: 'postern', model: 'echo' });
    assert.deepEqual(report.received, [], 'the test model asks no upstream');
  });

  test(`${agent.name} works through Postern, and every byte arrives`, async () => {
    const report = await runInside({ agent: agent.name, target: 'upstream' });
    assertAnswered(report, ANSWER_TEXT);
    assertRecorded(report, agent, { model: agent.model });
    assert.deepEqual(report.violations, [], 'the upstream saw nothing it must not see');
    assertCarried(report);
    for (const record of report.records) {
      const usage = Object(record['usage']);
      assert.equal(usage.input_tokens, USAGE.plain.input);
      assert.equal(usage.output_tokens, USAGE.plain.output);
    }
  });
}

function assertAnswered(report: Report, text: string): void {
  const { agent } = report;
  assert.equal(
    agent.code,
    0,
    `the agent ended with ${agent.code}\n${agent.stdout}\n${agent.stderr}\n${report.log}`,
  );
  assert.ok(agent.stdout.includes(text), `the answer is not in what the agent printed:\n${agent.stdout}`);
}

function assertRecorded(report: Report, agent: RealAgent, expected: Readonly<Record<string, string>>): void {
  assert.ok(report.records.length > 0, `nothing was recorded\n${report.log}`);
  for (const record of report.records) {
    assert.equal(record['outcome'], 'ok');
    assert.equal(record['agent'], agent.label);
    assert.equal(record['format'], agent.format);
    assert.equal(record['door'], 'local');
    assert.equal(typeof record['session_id'], 'string', 'every request belongs to a session');
    for (const [name, value] of Object.entries(expected)) assert.equal(record[name], value);
    const usage = Object(record['usage']);
    assert.ok(usage.input_tokens > 0 && usage.output_tokens > 0, `tokens: ${JSON.stringify(usage)}`);
  }
  if (agent.namesSession) assertSessionFromHeaders(report);
}

/** The session that the client named is the one recorded; only the tap knows what it named. */
function assertSessionFromHeaders(report: Report): void {
  if (report.sent.length === 0) return;
  const named = new Set(report.sent.flatMap((exchange) => exchange.rawHeaders));
  for (const record of report.records) {
    assert.ok(
      named.has(String(record['session_id'])),
      `session ${String(record['session_id'])} is not one that the client named`,
    );
  }
}

/**
 * What Postern changes on purpose: the credential, the connection's own headers, the encoding it
 * accepts, what a fetch says of itself to the server it talks to, and Postern's own labels. All else
 * is equal.
 */
const OWN_HEADERS = new Set([
  'host',
  'connection',
  'keep-alive',
  'transfer-encoding',
  'content-length',
  'accept-encoding',
  'te',
  'authorization',
  'x-api-key',
  'x-goog-api-key',
]);

function assertCarried(report: Report): void {
  const calls = report.sent.filter((exchange) => exchange.method === 'POST');
  assert.equal(report.received.length, calls.length, 'each call reached the upstream once');
  for (const call of calls) {
    const arrived = report.received.find((request) => request.bodyBase64 === call.bodyBase64);
    assert.ok(arrived !== undefined, `the body of ${call.method} ${call.target} was changed on its way`);
    assert.equal(arrived.target, call.target);
    assert.deepEqual(headersOf(arrived), headersOf(call));
    assert.equal(call.answerBase64, arrived.answerBase64, 'the answer was changed on its way');
  }
}

/** `name: value` lines in order, without those that Postern changes. */
function headersOf(exchange: SeenExchange): string[] {
  const lines: string[] = [];
  for (let i = 0; i + 1 < exchange.rawHeaders.length; i += 2) {
    const name = (exchange.rawHeaders[i] ?? '').toLowerCase();
    const own = OWN_HEADERS.has(name) || name.startsWith('x-postern-') || name.startsWith('sec-fetch-');
    if (!own) lines.push(`${name}: ${exchange.rawHeaders[i + 1]}`);
  }
  return lines.sort();
}
