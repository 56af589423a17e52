/** Text filters over OpenAI's streams in any cutting, and streams of any bytes at all. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import '../../../test/property-seed.ts';
import type { Format } from '../surface.ts';
import { createAnswerEditor, type AnswerEdits, type TextFilter } from './index.ts';
import {
  CHAT_STREAMED,
  chunk,
  RESPONSES_STREAMED,
  SSE,
  sse,
  type Block,
  type Turn,
} from './openai-turns.fixture.ts';
import { asArray, asText, get } from './streams/event-json.ts';
import {
  deny,
  gateOf,
  piecesOf,
  replacing,
  runEditor,
  textOnly,
  type EditedStream,
  type TestGate,
} from './streams/answer-run.fixture.ts';

const UNCHANGED: TextFilter = { push: (text) => text, finish: () => '' };
/** Replaces SECRET in texts and arguments. */
const filtering = (by: string): AnswerEdits => {
  const make = replacing('SECRET', by);
  return textOnly((kind) => make(kind) ?? UNCHANGED);
};
const NO = deny('refused: no shell');
const BASH: Block = { call: 'Bash', id: 'call_1', args: '{"command":"ls"}', kind: 'function' };
const TURN: Turn = { blocks: [{ text: 'Hm.' }, BASH], stop: 'tool_calls' };

async function run(
  format: Format,
  bytes: Buffer,
  gate: TestGate = gateOf({ Bash: NO }),
): Promise<EditedStream> {
  const editor = createAnswerEditor(format, gate.edits, { contentType: SSE, streamed: true });
  assert.ok(editor);
  return runEditor(editor, [bytes]);
}

void suite('text filters (guardrails), across every cut', () => {
  for (const cell of [CHAT_STREAMED, RESPONSES_STREAMED]) {
    test(`${cell.name}: text and arguments are changed, with the tail before the end`, async () => {
      const spoken: Turn = {
        blocks: [{ text: 'say SECRET and SECR' }, { ...BASH, args: '{"command":"echo SECRET"}' }],
        stop: 'tool_calls',
      };
      const bytes = cell.write(spoken);
      for (let at = 1; at < 60; at += 7) {
        const editor = createAnswerEditor(cell.format, filtering('x"y'), cell);
        assert.ok(editor);
        const edited = await runEditor(editor, piecesOf(bytes, [at]));
        assert.equal(edited.fault, null);
        assert.deepEqual((await cell.read(edited.bytes)).blocks, [
          { text: 'say x"y and SECR' },
          { ...BASH, args: '{"command":"echo x\\"y"}' },
        ]);
      }
    });
  }

  test('legacy completions: the text is changed', async () => {
    const bytes = sse(
      ['SEC', 'RET!'].map((text, at) => chunk([{ text, index: 0, finish_reason: at === 1 ? 'stop' : null }])),
    );
    const editor = createAnswerEditor('openai_completions', filtering('x'), CHAT_STREAMED);
    assert.ok(editor);
    const edited = await runEditor(editor, [bytes]);
    assert.doesNotMatch(edited.bytes.toString(), /SEC/);
    assert.match(edited.bytes.toString(), /"text":"x!"/);
  });
});

void suite('any bytes', () => {
  const seeds = [CHAT_STREAMED.write(TURN), RESPONSES_STREAMED.write(TURN)];
  const formats: readonly Format[] = ['openai_chat', 'openai_responses'];

  test('a stream with any bytes changed never throws, and never shows a call that was not allowed', async () => {
    const change = fc.record({ at: fc.nat(), cut: fc.nat(12), put: fc.string({ maxLength: 6 }) });
    const which = fc.constantFrom(0, 1);
    await fc.assert(
      fc.asyncProperty(which, fc.array(change, { minLength: 1, maxLength: 4 }), async (at, changes) => {
        let text = seeds[at]?.toString('latin1') ?? '';
        for (const { at: where, cut, put } of changes) {
          const from = where % text.length;
          text = text.slice(0, from) + put + text.slice(from + cut);
        }
        const edited = await run(formats[at] ?? 'openai_chat', Buffer.from(text, 'latin1'));
        assert.ok(!called(edited.bytes).includes('Bash'));
      }),
      { numRuns: 300 },
    );
  });
});

/** The tools that readers of either format see called in what went on. */
function called(bytes: Buffer): string[] {
  return bytes
    .toString()
    .split('\n\n')
    .flatMap((event) => {
      const data = event.split('\n').filter((line) => line.startsWith('data:'));
      return calledIn(parsed(data.map((line) => line.slice(5)).join('\n')));
    });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function calledIn(event: unknown): string[] {
  const deltas = asArray(get(event, 'choices')).map((choice) => get(choice, 'delta'));
  const calls = deltas.flatMap((value) =>
    asArray(get(value, 'tool_calls')).map((each) => get(each, 'function')),
  );
  const items = [get(event, 'item'), ...asArray(get(get(event, 'response'), 'output'))];
  const asking = items.filter((each) => get(each, 'type') === 'function_call');
  const ends = get(event, 'type') === 'response.function_call_arguments.done' ? [event] : [];
  const named = [...calls, ...deltas.map((value) => get(value, 'function_call')), ...asking, ...ends];
  return named.flatMap((each) => asText(get(each, 'name')) ?? []);
}
