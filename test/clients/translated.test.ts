/**
 * The real agents on a provider that does not speak their format, in a network namespace that has only
 * loopback (docs/routing.md, "Translation").
 */
import { strict as assert } from 'node:assert';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../postern-process.ts';
import { ANSWER_TEXT } from '../upstream/index.ts';
import { realAgent } from './agents.ts';
import type { Report } from './inside.ts';
import { installedAgents } from './install.ts';

const INSIDE = fileURLToPath(new URL('./inside.ts', import.meta.url));
const NAMESPACE_TIMEOUT_MS = 240_000;

let programs = '';

before(async () => {
  programs = await installedAgents();
});

for (const { name, model, path } of [
  { name: 'claude', model: 'gpt-fake', path: '/v1/responses' },
  { name: 'codex', model: 'claude-fake', path: '/v1/messages' },
] as const) {
  test(`${name} works on a provider that only serves ${path}`, async () => {
    const job = JSON.stringify({ agent: name, target: 'upstream', programs, question: 'say hello', model });
    const node = [process.execPath, '--disable-warning=ExperimentalWarning', INSIDE, job];
    const env = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/' };
    const result = await run(
      'unshare',
      ['-rn', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh', ...node],
      env,
      { timeoutMs: NAMESPACE_TIMEOUT_MS },
    );
    assert.equal(result.code, 0, `the run inside the namespace failed:\n${result.stderr}`);
    const report = JSON.parse(result.stdout) as Report;
    const { agent, records, received, violations, log } = report;
    assert.equal(
      agent.code,
      0,
      `the agent ended with ${agent.code}\n${agent.stdout}\n${agent.stderr}\n${log}`,
    );
    assert.ok(agent.stdout.includes(ANSWER_TEXT), agent.stdout);
    assert.deepEqual(violations, []);
    assert.ok(received.length > 0 && received.every(({ target }) => target.startsWith(path)));
    for (const record of records) {
      assert.equal(record['outcome'], 'ok');
      assert.equal(record['format'], realAgent(name).format);
      assert.equal(record['model'], model);
      assert.match(JSON.stringify(record['decisions']), /"translation"/);
    }
  });
}
