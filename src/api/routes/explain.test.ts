import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileDraft } from '../../gateway/simulate/index.ts';
import { caller, startTestApi } from '../test-api.ts';

const { snapshot } = compileDraft(
  JSON.stringify({
    tools: [
      { tools: ['Bash'], when: [{ path: '$.command', matches: '^rm' }], action: 'deny', message: 'not here' },
      { tools: ['Bash'], action: 'rewrite', set: { '$.dryRun': true } },
    ],
    grants: [{ src: ['(loopback)'], app: { 'postern.dev/cap/gateway': [{ role: 'user', models: '**' }] } }],
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
