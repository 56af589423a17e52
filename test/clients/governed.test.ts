/**
 * The real agents under rules on their shell, in a network namespace that has only loopback: what is
 * refused is not run and the agent goes on; what is asked waits, and runs once when somebody else
 * approves it (issue 3, "Proof").
 */
import { strict as assert } from 'node:assert';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../postern-process.ts';
import { ANSWER_TEXT } from '../upstream/index.ts';
import type { GovernedJob, GovernedReport } from './governed.ts';
import { installedAgents } from './install.ts';

const INSIDE = fileURLToPath(new URL('./governed.ts', import.meta.url));
const NAMESPACE_TIMEOUT_MS = 240_000;
/** Longer than the 10 s after which a held stream shows a sign of life. */
const LONG_THOUGHT_MS = 11_000;

let programs = '';

before(async () => {
  programs = await installedAgents();
});

async function runGoverned(job: Omit<GovernedJob, 'programs'>): Promise<GovernedReport> {
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', INSIDE];
  const script = 'ip link set lo up && exec "$@"';
  const env = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/' };
  const text = JSON.stringify({ ...job, programs });
  const result = await run('unshare', ['-rn', 'sh', '-c', script, 'sh', ...node, text], env, {
    timeoutMs: NAMESPACE_TIMEOUT_MS,
  });
  assert.equal(result.code, 0, `the run inside the namespace failed:\n${result.stderr}`);
  const report = JSON.parse(result.stdout) as GovernedReport;
  const { agent } = report;
  assert.equal(
    agent.code,
    0,
    `the agent ended with ${agent.code}\n${agent.stdout}\n${agent.stderr}\n${report.log}`,
  );
  assert.deepEqual(report.violations, []);
  return report;
}

const quick = { thinkMs: 0 };

for (const agent of ['claude', 'codex', 'gemini', 'opencode']) {
  test(`${agent}: without a rule the command runs, so that what follows is a proof`, async () => {
    const report = await runGoverned({ agent, ruling: 'none', ...quick });
    assert.equal(report.marker, 'ran\n', report.agent.stdout);
    assert.ok(report.agent.stdout.includes(ANSWER_TEXT), report.agent.stdout);
  });

  test(`${agent}: a denied command is not run, and the agent is told why`, async () => {
    const report = await runGoverned({ agent, ruling: 'denied', ...quick });
    assert.equal(report.marker, null);
    assert.match(report.governedAnswer, /refused by policy: no shell here/);
    assert.match(JSON.stringify(report.decisions), /"action":"denied"/);
    // Claude Code was asked for another call beside it: it makes that one and goes on to its answer.
    const isDone = agent === 'claude' ? report.bodiesAfter.length > 0 : true;
    assert.ok(isDone, report.agent.stdout);
    const expected = agent === 'claude' ? ANSWER_TEXT : 'refused by policy';
    assert.ok(report.agent.stdout.includes(expected), report.agent.stdout);
    if (agent === 'claude')
      assert.ok(report.bodiesAfter.some((body) => body.includes('refused by policy: no shell here')));
  });
}

for (const agent of ['claude', 'codex']) {
  test(`${agent}: an asked command waits with signs of life, and runs once when somebody else approves it`, async () => {
    const report = await runGoverned({ agent, ruling: 'approved', thinkMs: LONG_THOUGHT_MS });
    assert.equal(report.marker, 'ran\n', report.agent.stdout);
    assert.deepEqual(report.states, ['used']);
    assert.ok(report.agent.stdout.includes(ANSWER_TEXT), report.agent.stdout);
    const signs =
      agent === 'claude'
        ? report.governedAnswer.split('event: ping').length - 1
        : report.governedAnswer.split(/^:/m).length;
    assert.ok(signs >= 2, report.governedAnswer);
  });

  test(`${agent}: an asked command that is denied does not run`, async () => {
    const report = await runGoverned({ agent, ruling: 'rejected', ...quick });
    assert.equal(report.marker, null);
    assert.deepEqual(report.states, ['denied']);
    assert.match(report.governedAnswer, /refused by policy: not today/);
  });

  test(`${agent}: what the approver wrote runs in place of what was asked`, async () => {
    const report = await runGoverned({ agent, ruling: 'edited', ...quick });
    assert.equal(report.marker, 'edited\n', report.agent.stdout);
    assert.ok(report.agent.stdout.includes(ANSWER_TEXT), report.agent.stdout);
  });
}
