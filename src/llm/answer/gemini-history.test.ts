import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkPairing, createPairingState, rememberAnswer } from '../../../test/upstream/pairing/index.ts';
import { readRequestBody, isBodyProblem, type BodyFacts } from '../request-body.ts';
import type { SurfaceMatch } from '../surface.ts';
import { createRefusalMemory } from './history/index.ts';
import { editWholeAnswer, markRefusal, refusedGeminiTurn, restoreRefused } from './index.ts';
import { allow, deny, gateOf, type Rule } from './streams/answer-run.fixture.ts';

const MATCH: SurfaceMatch = {
  format: 'gemini_generate_content',
  dialect: 'google',
  model: 'gemini-3-pro-preview',
  modelInBody: false,
  stream: false,
  action: 'generateContent',
  objectId: null,
};

function factsOf(body: Buffer): BodyFacts {
  const facts = readRequestBody(body, MATCH);
  assert.ok(!isBodyProblem(facts));
  return facts;
}

function restore(body: Buffer, ledger: Parameters<typeof restoreRefused>[3]): Buffer {
  return restoreRefused('gemini_generate_content', body, factsOf(body), ledger) ?? body;
}

function answerOf(parts: readonly object[]): Buffer {
  return Buffer.from(
    JSON.stringify({
      candidates: [{ content: { role: 'model', parts }, finishReason: 'STOP', index: 0 }],
      modelVersion: 'gemini-3-pro-preview',
    }),
  );
}

interface Part {
  readonly text?: string;
  readonly functionCall?: { readonly id?: string; readonly name: string };
}

/** What a client of Gemini sends next: the answer as it came, and a result for each call in it. */
function nextContents(contents: readonly object[], answer: Buffer): object[] {
  const { candidates }: { candidates: [{ content: { parts: Part[] } }] } = JSON.parse(
    answer.toString('utf8'),
  );
  const { content } = candidates[0];
  const results = content.parts.flatMap(({ functionCall }) =>
    functionCall === undefined
      ? []
      : [{ functionResponse: { ...functionCall, args: undefined, response: { output: 'done' } } }],
  );
  const next = results.length > 0 ? results : [{ text: 'then go on without it' }];
  return [...contents, content, { role: 'user', parts: next }];
}

function call(name: string, signature?: string): object {
  const functionCall = { id: `id-${name}`, name, args: { n: 1 } };
  return signature === undefined ? { functionCall } : { functionCall, thoughtSignature: signature };
}

/** Three turns with one gate; gives the bodies as the provider gets them. */
async function converse(
  answers: readonly (readonly object[])[],
  rules: Readonly<Record<string, Rule>>,
  keeps: boolean,
): Promise<{ readonly sent: string[] }> {
  const state = createPairingState();
  const memory = createRefusalMemory();
  const sent: string[] = [];
  let contents: object[] = [{ role: 'user', parts: [{ text: 'go' }] }];
  for (const parts of answers) {
    const asked = Buffer.from(JSON.stringify({ contents }));
    const body = restore(asked, memory.of('caller'));
    sent.push(body.toString('utf8'));
    assert.equal(checkPairing('gemini', body, state), null);
    const answer = answerOf(parts);
    rememberAnswer('gemini', body, answer, state);
    const edited = await editWholeAnswer('gemini_generate_content', answer, gateOf(rules).edits);
    assert.equal(edited.fault, null);
    const turn = refusedGeminiTurn(edited.refused);
    if (turn !== null && keeps) memory.add('caller', turn);
    contents = nextContents(contents, edited.body);
  }
  const last = restore(Buffer.from(JSON.stringify({ contents })), memory.of('caller'));
  sent.push(last.toString('utf8'));
  assert.equal(checkPairing('gemini', last, state), null);
  return { sent };
}

const REFUSED = markRefusal('Refused: Bash is not for you.', 'a1b2c3');

const STEPS = [
  [{ text: 'I try.' }, call('Bash', 'sig-1'), call('Read'), call('List')],
  [call('Read', 'sig-2')],
  [call('Bash', 'sig-3')],
  [{ text: 'done' }],
];

for (const keeps of [true, false]) {
  test(`a refused Gemini call with a signature: the next turns are accepted, ${keeps ? 'restored' : 'or by the placeholder alone'}`, async () => {
    const { sent } = await converse(STEPS, { Bash: deny(REFUSED), Read: allow }, keeps);
    const second = sent[1] ?? '';
    assert.equal(second.includes('skip_thought_signature_validator'), !keeps);
    assert.equal(second.includes('sig-1'), keeps);
  });
}

test('the restored step has the call where it stood and its refusal first among the results', async () => {
  const { sent } = await converse(STEPS.slice(0, 1), { Bash: deny(REFUSED) }, true);
  const { contents } = JSON.parse(sent[1] ?? '');
  assert.deepEqual(contents[1].parts, STEPS[0]);
  assert.deepEqual(contents[2].parts[0], {
    functionResponse: { id: 'id-Bash', name: 'Bash', response: { error: REFUSED } },
  });
  assert.deepEqual(
    contents[2].parts.map((part: { functionResponse: { name: string } }) => part.functionResponse.name),
    ['Bash', 'Read', 'List'],
  );
});

test('a text that a client joined with ours is split again', () => {
  const memory = createRefusalMemory();
  const original = JSON.stringify(call('Bash', 'sig-1'));
  const turn = refusedGeminiTurn([{ id: null, name: 'Bash', text: REFUSED, original }]);
  assert.ok(turn);
  memory.add('caller', turn);
  const body = Buffer.from(
    JSON.stringify({
      contents: [
        { role: 'user', parts: [{ text: 'go' }] },
        { role: 'model', parts: [{ text: `Before. ${REFUSED} After.` }, call('Read')] },
        { role: 'user', parts: [{ functionResponse: { name: 'Read', response: {} } }] },
      ],
    }),
  );
  const { contents } = JSON.parse(restore(body, memory.of('caller')).toString('utf8'));
  assert.deepEqual(contents[1].parts, [
    { text: 'Before. ' },
    call('Bash', 'sig-1'),
    { text: ' After.' },
    call('Read'),
  ]);
  assert.equal(contents[2].parts.length, 2);
  assert.equal(restore(body, memory.of('another caller')), body);
});

test('a history without our texts, or with every call of the step refused, stays byte for byte', () => {
  const memory = createRefusalMemory();
  const turn = refusedGeminiTurn([
    { id: null, name: 'Bash', text: REFUSED, original: JSON.stringify(call('Bash', 's')) },
  ]);
  assert.ok(turn);
  memory.add('caller', turn);
  const ledger = memory.of('caller');
  for (const parts of [[{ text: 'hello [ref pst-call-none]' }, call('Read')], [{ text: REFUSED }]]) {
    const body = Buffer.from(
      JSON.stringify({
        contents: [
          { role: 'model', parts },
          { role: 'user', parts: [{ text: 'x' }] },
        ],
      }),
    );
    assert.equal(restore(body, ledger), body);
  }
});

test('only refused calls that bore a signature and fit the limit are kept', () => {
  assert.equal(refusedGeminiTurn([{ id: null, name: 'Bash', text: REFUSED }]), null);
  assert.equal(refusedGeminiTurn([{ id: null, name: 'Bash', text: 'unmarked', original: '{}' }]), null);
  assert.equal(
    refusedGeminiTurn([{ id: null, name: 'Bash', text: REFUSED, original: 'x'.repeat(70_000) }]),
    null,
  );
});
