import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileDraft } from '../../gateway/simulate/index.ts';
import type { SimulationsPort } from '../ports.ts';
import { caller, startTestApi } from '../test-api.ts';

const { snapshot } = compileDraft(
  JSON.stringify({
    tools: [
      { tools: ['Bash'], when: [{ path: '$.command', matches: '^rm' }], action: 'deny', message: 'not here' },
      { tools: ['Bash'], action: 'rewrite', set: { '$.dryRun': true } },
    ],
    grants: [
      { src: ['(loopback)'], app: { 'postern.dev/cap/gateway': [{ role: 'user', models: '**' }] } },
      { src: ['local:1'], app: { 'postern.dev/cap/gateway': [{ role: 'auditor' }] } },
    ],
  }),
  { tailnet: 'home', source: 'api', found: [], storedGrants: [], adminsElsewhere: true },
);

test('POST /api/v1/explain tells what becomes of a call; names in its arguments stay as written', async () => {
  const t = await startTestApi({ policy: { current: () => snapshot } });
  const ask = async (call: unknown) => {
    const body = { model: 'postern/echo', call };
    return (await t.send(caller('local:1'), 'POST', '/api/v1/explain', { body })).json;
  };
  const stepOf = (json: Record<string, unknown>) => Object(json['call']).steps[0];
  try {
    const denied = stepOf(await ask({ tool: 'Bash', arguments: '{"command":"rm -rf /"}' }));
    assert.deepEqual([denied.action, denied.rule, denied.message], ['deny', 'tools[0]', 'not here']);
    const rewritten = stepOf(await ask({ tool: 'Bash', arguments: '{"workDir":"/"}' }));
    assert.equal(rewritten.arguments_text, '{"workDir":"/","dryRun":true}');
    const unread = await ask({ tool: 'Bash', arguments: '{"command":' });
    assert.deepEqual([Object(unread['call']).arguments_read, stepOf(unread).action], [false, 'deny']);
    assert.match(String(unread['text']), /call of Bash/);
    assert.equal((await ask({ arguments: '{}' }))['code'], 'invalid_request');
    assert.equal((await ask(undefined))['call'], null);
  } finally {
    await t.close();
  }
});

test('an auditor may ask by a draft, which stays out of force; others may not, and one with errors is refused', async () => {
  const refuse = (): never => {
    throw new Error('no simulation is asked for');
  };
  const simulations: SimulationsPort = {
    start: refuse,
    view: refuse,
    cancel: refuse,
    compile: async (text) =>
      compileDraft(text, {
        tailnet: 'home',
        source: 'api',
        found: [],
        storedGrants: [],
        adminsElsewhere: true,
      }),
  };
  const t = await startTestApi({ policy: { current: () => snapshot }, simulations });
  const subject = { principal: 'local:1', door: 'local' };
  const ask = (who: string, draft?: string) =>
    t.send(caller(who), 'POST', '/api/v1/explain', {
      body: { model: 'postern/echo', draft, ...(who === 'local:1' ? { subject } : {}) },
    });
  const nobody = JSON.stringify({ grants: [] });
  try {
    assert.equal((await ask('local:1')).json['allowed'], true);
    const answer = await ask('local:1', nobody);
    assert.equal(answer.json['allowed'], false, answer.text);
    assert.equal((await ask('local:1')).json['allowed'], true);
    assert.equal((await ask('local:2', nobody)).json['code'], 'role_missing');
    const broken = await ask('local:1', '{ "grants": [ ');
    assert.equal(broken.json['code'], 'document_refused', broken.text);
    assert.match(String(broken.json['detail']), /the draft has errors: line 1, column/);
  } finally {
    await t.close();
  }
});
