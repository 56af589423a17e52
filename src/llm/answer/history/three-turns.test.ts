/**
 * Refused calls, three turns on, against a checker of the providers' pairing rules: however the
 * caller keeps its history, the provider accepts what comes after a refusal.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createOpenAI } from '@ai-sdk/openai';
import { generateText, isStepCount, tool } from 'ai';
import { z } from 'zod';
import {
  checkPairing,
  createPairingState,
  rememberAnswer,
  type PairingState,
} from '../../../../test/upstream/pairing/index.ts';
import { isBodyProblem, readRequestBody } from '../../request-body.ts';
import { matchSurface, isSurfaceMiss } from '../../surfaces.ts';
import { editWholeAnswer } from '../index.ts';
import { deny, gateOf } from '../streams/answer-run.fixture.ts';
import { createRefusalMemory, refusedTurn, repairHistory, type RefusalMemory } from './index.ts';

type Json = Record<string, unknown>;

const GATE = gateOf({ Bash: deny('refused: no shell') });
const ask = (text: string): Json => ({ role: 'user', content: text });
const user = 'alice';

/** A provider that checks every history, behind a gateway that refuses `Bash`. */
class Provider {
  readonly state: PairingState = createPairingState();
  readonly memory: RefusalMemory = createRefusalMemory();
  readonly bodies: Json[] = [];
  readonly #path: string;
  readonly #next: (body: Json, turn: number) => Json;

  constructor(path: string, next: (body: Json, turn: number) => Json) {
    this.#path = path;
    this.#next = next;
  }

  /** One request through repair, provider and edit; the answer as the caller gets it. */
  async send(request: Json): Promise<Json> {
    const sent = Buffer.from(JSON.stringify(request));
    const match = matchSurface('POST', this.#path, false);
    assert.ok(!isSurfaceMiss(match));
    const facts = readRequestBody(sent, match);
    assert.ok(!isBodyProblem(facts));
    const repaired = repairHistory(match.format, sent, facts, this.memory.of(user));
    const body = repaired?.body ?? sent;
    const dialect = match.format === 'openai_chat' ? 'openai_chat' : 'openai_responses';
    assert.equal(checkPairing(dialect, body, this.state), null);
    const conversationId = repaired?.used.conversationId ?? null;
    if (conversationId !== null) this.memory.answered(user, conversationId);
    const seen: Json = JSON.parse(body.toString());
    this.bodies.push(seen);
    const answer = this.#next(seen, this.bodies.length);
    rememberAnswer(dialect, body, answer, this.state);
    const edited = await editWholeAnswer(match.format, Buffer.from(JSON.stringify(answer)), GATE.edits);
    assert.equal(edited.fault, null);
    assert.doesNotMatch(edited.body.toString(), /"Bash"/);
    const conversation = typeof request['conversation'] === 'string' ? request['conversation'] : null;
    const turn = refusedTurn({
      responseId: String(answer['id']),
      conversationId: conversation,
      refused: edited.refused,
    });
    if (turn !== null) this.memory.add(user, turn);
    return JSON.parse(edited.body.toString());
  }
}

/** Turns 1 to 3 ask for a refused call and one that is run; then it is text. */
function responsesTurn(_: Json, turn: number): Json {
  const call = (name: string): Json => ({
    type: 'function_call',
    id: `fc_${name}_${turn}`,
    call_id: `call_${name}_${turn}`,
    name,
    arguments: '{"q":1}',
    status: 'completed',
  });
  const text = {
    type: 'message',
    id: `msg_${turn}`,
    role: 'assistant',
    status: 'completed',
    content: [{ type: 'output_text', text: `answer ${turn}`, annotations: [] }],
  };
  const reasoning = { type: 'reasoning', id: `rs_${turn}`, summary: [], encrypted_content: `sealed ${turn}` };
  return {
    id: `resp_${turn}`,
    object: 'response',
    created_at: 1,
    model: 'm',
    status: 'completed',
    error: null,
    incomplete_details: null,
    output: turn > 3 ? [reasoning, text] : [reasoning, call('Bash'), call('Read')],
    usage: { input_tokens: 1, output_tokens: 1, total_tokens: 2 },
  };
}

/** What a client adds for the calls that it saw. */
function outputs(answer: Json): Json[] {
  const output: Json[] = Array.isArray(answer['output']) ? answer['output'] : [];
  return output
    .filter(({ type }) => type === 'function_call')
    .map(({ call_id }) => ({ type: 'function_call_output', call_id, output: 'done' }));
}

const TURNS = 5;

test('Responses, previous_response_id: the refusing result is put in front of the input', async () => {
  const provider = new Provider('/v1/responses', responsesTurn);
  let answer = await provider.send({ model: 'm', input: 'q' });
  for (let turn = 1; turn < TURNS; turn += 1)
    answer = await provider.send({ model: 'm', previous_response_id: answer['id'], input: outputs(answer) });
  assert.deepEqual(provider.bodies[1]?.['input'], [
    { type: 'function_call_output', call_id: 'call_Bash_1', output: 'refused: no shell' },
    { type: 'function_call_output', call_id: 'call_Read_1', output: 'done' },
  ]);
});

test('Responses, previous_response_id: text input, and the same response gone on from twice', async () => {
  const onlyBash = (body: Json, turn: number): Json => {
    const answer = responsesTurn(body, turn);
    const output = Array.isArray(answer['output']) ? answer['output'].slice(0, 2) : [];
    return { ...answer, output };
  };
  const provider = new Provider('/v1/responses', onlyBash);
  const first = await provider.send({ model: 'm', input: 'q' });
  await provider.send({ model: 'm', previous_response_id: first['id'], input: 'go "on"' });
  await provider.send({ model: 'm', previous_response_id: first['id'], input: [ask('another way')] });
  assert.deepEqual(provider.bodies[1]?.['input'], [
    { type: 'function_call_output', call_id: 'call_Bash_1', output: 'refused: no shell' },
    { role: 'user', content: 'go "on"' },
  ]);
});

test('Responses, conversation: the refusing result is sent once', async () => {
  const provider = new Provider('/v1/responses', responsesTurn);
  let answer = await provider.send({ model: 'm', conversation: 'conv_1', input: 'q' });
  for (let turn = 1; turn < TURNS; turn += 1)
    answer = await provider.send({ model: 'm', conversation: 'conv_1', input: outputs(answer) });
});

for (const [title, back] of [
  ['with their ids', (item: Json): Json => item],
  ['without ids, as Codex does', (item: Json): Json => ({ ...item, id: undefined })],
] as const) {
  test(`Responses, all items back ${title}: the call and its refusal stand where our message stood`, async () => {
    const provider = new Provider('/v1/responses', responsesTurn);
    const history: Json[] = [ask('q')];
    for (let turn = 0; turn < TURNS; turn += 1) {
      const answer = await provider.send({ model: 'm', store: false, input: history });
      const output: Json[] = Array.isArray(answer['output']) ? answer['output'] : [];
      history.push(...output.map(back), ...outputs(answer));
      if (turn >= 3) history.push(ask('and then?'));
    }
    const types = Array.isArray(provider.bodies[1]?.['input'])
      ? provider.bodies[1]['input'].map((item: Json) => item['type'])
      : [];
    assert.deepEqual(types, [
      undefined,
      'reasoning',
      'function_call',
      'function_call_output',
      'function_call',
      'function_call_output',
    ]);
  });
}

test('Responses by the `ai` SDK, which refers to stored items: three refused steps, then an answer', async () => {
  const provider = new Provider('/v1/responses', responsesTurn);
  const openai = createOpenAI({
    apiKey: 'none',
    fetch: async (_, init) =>
      Response.json(await provider.send(JSON.parse(typeof init?.body === 'string' ? init.body : ''))),
  });
  const read = tool({ inputSchema: z.object({ q: z.number() }), execute: async () => 'read' });
  const { text, steps } = await generateText({
    model: openai('gpt-5'),
    prompt: 'q',
    tools: { Read: read },
    stopWhen: isStepCount(6),
  });
  assert.equal(text, 'answer 4');
  assert.deepEqual(
    steps.map((step) => step.text),
    ['refused: no shell', 'refused: no shell', 'refused: no shell', 'answer 4'],
  );
});

test('Chat Completions: the refusing text is a history by itself', async () => {
  const provider = new Provider('/v1/chat/completions', (_, turn) => {
    const call = (name: string): Json => ({
      id: `call_${name}_${turn}`,
      type: 'function',
      function: { name, arguments: '{"q":1}' },
    });
    const calls = turn === 1 ? [call('Bash'), call('Read')] : [call('Bash')];
    const message =
      turn > 3
        ? { role: 'assistant', content: 'end' }
        : { role: 'assistant', content: null, tool_calls: calls };
    return {
      id: `c_${turn}`,
      choices: [{ index: 0, message, finish_reason: turn > 3 ? 'stop' : 'tool_calls' }],
    };
  });
  const messages: unknown[] = [ask('q')];
  for (let turn = 0; turn < TURNS; turn += 1) {
    const answer = await provider.send({ model: 'm', messages });
    const [choice]: { message: { tool_calls?: { id: string }[] }; finish_reason: string }[] = Array.isArray(
      answer['choices'],
    )
      ? answer['choices']
      : [];
    assert.ok(choice);
    const results = (choice.message.tool_calls ?? []).map(({ id }) => ({
      role: 'tool',
      tool_call_id: id,
      content: 'done',
    }));
    assert.equal(choice.finish_reason, turn === 0 ? 'tool_calls' : 'stop');
    messages.push(choice.message, ...results, ...(results.length === 0 ? [ask('go on')] : []));
  }
});
