/** Outside policy points through hooks (examples/hooks): the real OPA and Cerbos decide for Postern. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test, type TestContext } from 'node:test';
import { askCerbos } from '../../examples/hooks/cerbos/decide.ts';
import { askOpa } from '../../examples/hooks/opa/decide.ts';
import { createReceiver, type ReceiverOptions } from '../../examples/hooks/receiver.ts';
import {
  bound,
  completionOf,
  hooksFor,
  METADATA,
  requestOf,
} from '../../src/guardrails/hooks/hook-server.fixture.ts';
import type { Hooks } from '../../src/guardrails/hooks/index.ts';
import type { BoundHook, HookEvent } from '../../src/guardrails/hooks/shapes.ts';
import { startCerbos, startOpa } from './policy-engines.ts';

const EVENTS: readonly HookEvent[] = ['pre_request', 'tool_call', 'entire_request'];

interface Bed {
  readonly hooks: Hooks;
  readonly asked: readonly BoundHook[];
}

/** Postern's hooks, the example's receiver, and the engine behind it, as a document would join them. */
async function join(t: TestContext, decide: ReceiverOptions['decide']): Promise<Bed> {
  const { hooks } = hooksFor(t);
  const probe = bound({ url: 'http://127.0.0.1/' }).entry;
  let secret = '';
  const server = createReceiver({
    get secret() {
      return secret;
    },
    decide,
  });
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  const hook = bound(
    { ...probe, url: `http://127.0.0.1:${address.port}/`, failPolicy: 'fail_closed' },
    ['grants'],
    EVENTS,
  );
  secret = hooks.signingSecret(hook.entry)?.reveal() ?? '';
  return { hooks, asked: [hook] };
}

async function models({ hooks, asked }: Bed, grants: object): Promise<string[]> {
  const outcomes: string[] = [];
  for (const model of ['claude-sonnet-4-6', 'claude-opus-4-6']) {
    const metadata = { ...METADATA, model };
    const request = requestOf({ metadata, grants: () => Object.fromEntries(Object.entries(grants)) });
    outcomes.push((await hooks.preRequest(asked, request)).action);
  }
  return outcomes;
}

async function tools({ hooks, asked }: Bed): Promise<string[]> {
  const calls = [
    ['Read', { path: 'README.md' }],
    ['Bash', { command: 'ls' }],
    ['Bash', { command: 'sudo rm -fr /' }],
    ['Bash', {}],
    ['Unheard', { of: true }],
  ] as const;
  const outcomes: string[] = [];
  for (const [name, params] of calls) {
    const call = { id: 'call_1', name, params, argumentsText: JSON.stringify(params) };
    const verdict = await hooks.toolCall(asked, call, { ...requestOf(), request: null });
    outcomes.push(verdict.action);
  }
  return outcomes;
}

async function deliver({ hooks, asked }: Bed): Promise<void> {
  hooks.completed(asked, completionOf());
  while (hooks.stats().queued > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(hooks.stats().deadLetterCount, 0);
}

const TOOLS = ['allow', 'ask', 'deny', 'ask', 'ask'];

describe('policy engines behind hooks (issue: Cerbos, OPA)', () => {
  test('OPA: models by tier, tool calls allowed, asked about and denied', async (t) => {
    const bed = await join(t, askOpa(await startOpa(t)));
    assert.deepEqual(await models(bed, {}), ['allow', 'block']);
    assert.deepEqual(await models(bed, { 'example.com/cap/ai': [{ tier: 'gold' }] }), ['allow', 'allow']);
    assert.deepEqual(await tools(bed), TOOLS);
    await deliver(bed);
  });

  test('Cerbos: models by role, tool calls allowed, asked about and denied', async (t) => {
    const bed = await join(t, askCerbos(await startCerbos(t)));
    assert.deepEqual(await models(bed, {}), ['allow', 'block']);
    assert.deepEqual(await models(bed, { 'example.com/cap/ai': [{ role: 'lead' }] }), ['allow', 'allow']);
    assert.deepEqual(await tools(bed), TOOLS);
    await deliver(bed);
  });
});
