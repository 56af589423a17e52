/** What holds for streams of every dialect: order, limits, ends, text filters. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import '../../../test/property-seed.ts';
import { encodeSseEvent } from '../../wire/sse.ts';
import {
  CELLS,
  anthropicEvents,
  anthropicSse,
  geminiResponse,
  type Cell,
  type Turn,
} from './answer-turns.fixture.ts';
import type { AnswerEdits, ToolVerdict } from './editor.ts';
import { canGovern, createAnswerEditor, editingMode, editWholeAnswer, type AnswerEditor } from './index.ts';
import {
  allow,
  deny,
  gateOf,
  piecesOf,
  replacing,
  rewrite,
  runEditor,
  singleBytes,
  textOnly,
} from './streams/answer-run.fixture.ts';

const STREAMED = CELLS.filter(({ streamed }) => streamed);
const TURN: Turn = {
  blocks: [
    { text: 'First some text.' },
    { call: 'Bash', id: 'b', args: { command: 'x'.repeat(300) } },
    { call: 'Read', id: 'r', args: {} },
  ],
  stop: 'tool_use',
};

function editorOf(cell: Cell, edits: AnswerEdits): AnswerEditor {
  const editor = createAnswerEditor(cell.format, edits, {
    contentType: cell.contentType,
    streamed: true,
    bedrockModel: cell.model,
  });
  assert.ok(editor);
  return editor;
}

function namesOf({ blocks }: Turn): string[] {
  return blocks.flatMap((block) => ('call' in block ? [block.call] : []));
}

function textsOf({ blocks }: Turn): string {
  return blocks.map((block) => ('text' in block ? block.text : '')).join('');
}

describe('order and limits of held calls (issue: tool calls in the stream)', () => {
  for (const cell of STREAMED) {
    test(`${cell.name}: text flows, a held call and what follows it waits`, async () => {
      const decision = Promise.withResolvers<ToolVerdict>();
      const gate = gateOf({ Bash: decision.promise });
      const editor = editorOf(cell, gate.edits);
      const bytes = cell.write(TURN);
      const sent = editor.push(bytes);
      assert.ok(sent.length > 0 && bytes.subarray(0, sent.length).equals(sent));
      assert.equal(gate.asked.length, 1);
      const { held } = editor;
      assert.ok(held !== null && editor.heldBytes > 0);
      decision.resolve(allow);
      await held;
      const rest = editor.push(Buffer.alloc(0));
      assert.equal(editor.held, null);
      assert.equal(editor.heldBytes, 0);
      assert.ok(Buffer.concat([sent, rest, editor.finish()]).equals(bytes));
    });

    test(`${cell.name}: a call beyond the limit is refused as too large, the rest goes on`, async () => {
      const gate = gateOf({ Bash: allow }, { heldMaxBytes: 200 });
      for (const chunks of [[cell.write(TURN)], singleBytes(cell.write(TURN))]) {
        const { bytes, refused, fault } = await runEditor(editorOf(cell, gate.edits), chunks);
        assert.equal(fault, null);
        assert.deepEqual(
          refused.map(({ name, text }) => [name, text]),
          [['Bash', 'too large to decide']],
        );
        const read = await cell.read(bytes);
        assert.deepEqual(namesOf(read), ['Read']);
        assert.ok(textsOf(read).includes('too large to decide'));
      }
    });

    test(`${cell.name}: what waits behind an open question counts; beyond the limit the answer is no`, async () => {
      const never = new Promise<ToolVerdict>(() => undefined);
      const size = cell.write(TURN).length;
      const gate = gateOf({ Bash: never }, { heldMaxBytes: size });
      const editor = editorOf(cell, gate.edits);
      editor.push(cell.write({ ...TURN, blocks: TURN.blocks.slice(0, 2) }).subarray(0, size));
      const long: Turn = {
        blocks: [...TURN.blocks.slice(0, 2), { text: 'more '.repeat(size) }],
        stop: 'tool_use',
      };
      const other = editorOf(cell, gate.edits);
      const { bytes, refused, fault } = await runEditor(other, [cell.write(long)]);
      assert.deepEqual([fault, refused.length], [null, 1]);
      assert.deepEqual(namesOf(await cell.read(bytes)), []);
    });

    test(`${cell.name}: a stream that ends in a held call loses it, and says so`, async () => {
      const bytes = cell.write({ blocks: TURN.blocks.slice(0, 2), stop: 'tool_use' });
      const gate = gateOf({ Bash: allow });
      let whole = 0;
      for (let at = bytes.length - 400; at > 0; at -= 40) {
        const before = gate.asked.length;
        const { bytes: out, fault } = await runEditor(editorOf(cell, gate.edits), [bytes.subarray(0, at)]);
        if (gate.asked.length > before) whole += 1;
        else assert.ok(!out.includes('xxxx'), `cut at ${at}: ${fault ?? 'no fault'}`);
      }
      assert.ok(whole < 20);
    });
  }

  test('two calls are asked about side by side, and go out in their order', async () => {
    const [first, second] = [Promise.withResolvers<ToolVerdict>(), Promise.withResolvers<ToolVerdict>()];
    const gate = gateOf({ Bash: first.promise, Read: second.promise });
    const [cell] = STREAMED;
    assert.ok(cell);
    const editor = editorOf(cell, gate.edits);
    const sent = editor.push(cell.write(TURN));
    assert.deepEqual(
      gate.asked.map(({ name }) => name),
      ['Bash', 'Read'],
    );
    second.resolve(deny('no Read'));
    await new Promise<void>((resolve) => setImmediate(resolve));
    assert.equal(editor.push(Buffer.alloc(0)).length, 0);
    first.resolve(allow);
    await editor.held;
    const rest = Buffer.concat([sent, editor.push(Buffer.alloc(0)), editor.finish()]);
    assert.deepEqual(namesOf(await cell.read(rest)), ['Bash']);
  });

  test('a decision that fails ends the stream', async () => {
    const gate = gateOf({ Bash: () => Promise.reject(new Error('lost')) });
    const [cell] = STREAMED;
    assert.ok(cell);
    const { fault } = await runEditor(editorOf(cell, gate.edits), [cell.write(TURN)]);
    assert.equal(fault, 'a decision on a tool call failed');
  });

  test('signs of life are events that SDKs skip', async () => {
    for (const cell of STREAMED) {
      const alive = editorOf(cell, gateOf({}).edits).keepAlive();
      const bytes = cell.write(TURN);
      if (cell.contentType.startsWith('text/event-stream'))
        assert.deepEqual(await cell.read(Buffer.concat([alive, bytes])), await cell.read(bytes));
      else assert.equal(alive.toString().trim(), '');
    }
  });
});

describe('text filters (issue: guardrails, reversible redaction on streams)', () => {
  const word = '[S1-secret]';
  const turn: Turn = {
    blocks: [
      { thinking: `thinking of ${word}`, signature: 'none' },
      { text: `${word} and ${word}, then a start [S1-sec` },
      { call: 'Bash', id: 'b', args: { command: `echo "${word}"`, list: [word, 1] } },
    ],
    stop: 'tool_use',
  };
  const expected: Turn = {
    blocks: [
      { thinking: `thinking of ${word}`, signature: 'none' },
      { text: 'a "b"\n and a "b"\n, then a start [S1-sec' },
      { call: 'Bash', id: 'b', args: { command: 'echo "a "b"\n"', list: ['a "b"\n', 1] } },
    ],
    stop: 'tool_use',
  };
  const filter = replacing(word, 'a "b"\n');

  for (const cell of CELLS) {
    test(`${cell.name}: a word is replaced wherever it is split, in text and arguments, never in thinking`, async () => {
      const bytes = cell.write(turn);
      const run = async (chunks: readonly Buffer[]): Promise<Buffer> => {
        if (cell.streamed) {
          const { bytes: out, fault } = await runEditor(editorOf(cell, textOnly(filter)), chunks);
          assert.equal(fault, null);
          return out;
        }
        const edited = await editWholeAnswer(cell.format, bytes, textOnly(filter), cell.model);
        assert.equal(edited.fault, null);
        return edited.body;
      };
      const once = await run([bytes]);
      const stop = cell.format.endsWith('generate_content') ? 'STOP' : 'tool_use';
      assert.deepEqual(await cell.read(once), { ...expected, stop });
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 6 }),
          async (cuts) => {
            assert.ok((await run(piecesOf(bytes, cuts))).equals(once));
          },
        ),
        { numRuns: 15 },
      );
    });

    test(`${cell.name}: what no filter changes stays byte for byte`, async () => {
      const bytes = cell.write({ ...turn, blocks: [{ text: 'nothing here' }, ...TURN.blocks] });
      const edits = textOnly(replacing('absent', ''));
      const out = cell.streamed
        ? (await runEditor(editorOf(cell, edits), [bytes])).bytes
        : (await editWholeAnswer(cell.format, bytes, edits, cell.model)).body;
      assert.ok(out.equals(bytes));
    });
  }

  test('the gate sees arguments as the caller will, and may still rewrite them', async () => {
    const gate = gateOf({ Bash: rewrite({ command: 'ls' }) }, { text: filter });
    const bytes = anthropicSse(turn);
    const [cell] = STREAMED;
    assert.ok(cell);
    const { bytes: out } = await runEditor(editorOf(cell, gate.edits), [bytes]);
    assert.deepEqual(gate.asked[0]?.arguments, { command: 'echo "a "b"\n"', list: ['a "b"\n', 1] });
    assert.deepEqual((await cell.read(out)).blocks.at(-1), {
      call: 'Bash',
      id: 'b',
      args: { command: 'ls' },
    });
  });

  test('what is left of a filter comes before the next block, and at the end of a cut stream', async () => {
    const [cell] = STREAMED;
    assert.ok(cell);
    const events = [...anthropicEvents({ blocks: [{ text: 'ends in [S1' }], stop: 'end_turn' })];
    const cut = Buffer.concat(
      events.slice(0, -3).map((value) => encodeSseEvent({ name: value.type, data: JSON.stringify(value) })),
    );
    const { bytes } = await runEditor(editorOf(cell, textOnly(filter)), [cut]);
    const texts = [...bytes.toString().matchAll(/"type":"text_delta","text":"([^"]*)"/g)].map(
      ([, text]) => text,
    );
    assert.equal(texts.join(''), 'ends in [S1');
  });
});

describe('Gemini: calls in pieces and several candidates', () => {
  const piece = (functionCall: object): Buffer =>
    Buffer.from(`data: ${JSON.stringify(geminiResponse([{ functionCall }]))}\n\n`);
  const stream = Buffer.concat([
    piece({ name: 'Bash', willContinue: true }),
    piece({
      partialArgs: [{ jsonPath: '$.command', stringValue: 'rm ', willContinue: true }],
      willContinue: true,
    }),
    piece({
      partialArgs: [
        { jsonPath: '$.command', stringValue: '-rf' },
        { jsonPath: '$.deep.list[0]', numberValue: 1 },
      ],
      willContinue: true,
    }),
    piece({
      partialArgs: [
        { jsonPath: "$['o k']", boolValue: true },
        { jsonPath: '$.n', nullValue: 'NULL_VALUE' },
      ],
      willContinue: true,
    }),
    piece({}),
    Buffer.from(`data: ${JSON.stringify(geminiResponse([{ text: '' }], 'STOP'))}\n\n`),
  ]);
  const args = { command: 'rm -rf', deep: { list: [1] }, 'o k': true, n: null };
  const kind = { contentType: 'text/event-stream', streamed: true };

  async function run(rule: ToolVerdict, chunks: readonly Buffer[]) {
    const gate = gateOf({ Bash: rule });
    const editor = createAnswerEditor('google_generate_content', gate.edits, kind);
    assert.ok(editor);
    return { ...(await runEditor(editor, chunks)), gate };
  }

  test('are decided whole: allowed byte for byte, rewritten to one part, refused to one text', async () => {
    for (const chunks of [[stream], singleBytes(stream)]) {
      const allowed = await run(allow, chunks);
      assert.ok(allowed.bytes.equals(stream));
      assert.deepEqual(allowed.gate.asked[0]?.arguments, args);
      const rewritten = await run(rewrite({ command: 'ls' }), chunks);
      assert.equal(rewritten.bytes.toString().match(/functionCall/g)?.length, 1);
      assert.ok(rewritten.bytes.includes('{"name":"Bash","args":{"command":"ls"}}'));
      const denied = await run(deny('no'), chunks);
      assert.ok(!denied.bytes.includes('functionCall') && denied.bytes.includes('{"text":"no"}'));
      assert.equal(denied.bytes.toString().match(/data: /g)?.length, 2);
    }
  });

  test('arguments that cannot be put together for certain are undefined to the gate', async () => {
    for (const partialArgs of [
      [{ jsonPath: '$..x', stringValue: 'a' }],
      [
        { jsonPath: '$.x', stringValue: 'a' },
        { jsonPath: '$.x', stringValue: 'b' },
      ],
      [{ jsonPath: '$.x[7]', stringValue: 'a' }],
      [
        { jsonPath: '$.x', stringValue: 'a', willContinue: true },
        { jsonPath: '$.y', stringValue: 'b' },
      ],
      [{ stringValue: 'a' }],
      'x',
    ]) {
      const { gate } = await run(deny('no'), [piece({ name: 'Bash', partialArgs })]);
      assert.deepEqual(
        gate.asked.map((call) => call.arguments),
        [undefined],
      );
    }
  });

  test('each candidate has its own calls', async () => {
    const part = (name: string) => ({ parts: [{ functionCall: { name, args: {} } }] });
    const both = {
      candidates: [
        { index: 0, content: part('Bash') },
        { index: 1, content: part('Read') },
      ],
    };
    const { bytes, fault } = await run(deny('no'), [Buffer.from(`data: ${JSON.stringify(both)}\n\n`)]);
    assert.equal(fault, null);
    assert.equal(
      bytes.toString(),
      'data: {"candidates":[{"index":0,"content":{"parts":[{"text":"no"}]}},{"index":1,"content":{"parts":[{"functionCall":{"name":"Read","args":{}}}]}}]}\n\n',
    );
  });

  test('a model that checks no signatures gets no placeholder', async () => {
    const parts = [
      { functionCall: { name: 'Bash' }, thoughtSignature: 's' },
      { functionCall: { name: 'Read' } },
    ];
    const body = Buffer.from(
      JSON.stringify({ ...geminiResponse(parts, 'STOP'), modelVersion: 'gemini-2.5-pro' }),
    );
    const edited = await editWholeAnswer('gemini_generate_content', body, gateOf({ Bash: deny('no') }).edits);
    assert.ok(edited.fault === null && !edited.body.includes('skip_thought'));
    assert.equal(edited.refused[0]?.original, JSON.stringify(parts[0]));
  });
});

describe('which formats can be governed', () => {
  test('Bedrock InvokeModel by the family of the model', () => {
    const yes = [
      'anthropic.claude-3-haiku-20240307-v1:0',
      'global.anthropic.claude-sonnet-4-5-20250929-v1:0',
      'arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-4-1-20250805-v1:0',
      'arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0',
      'us-gov.anthropic.claude-3-haiku-20240307-v1:0',
      'amazon.nova-micro-v1:0',
    ];
    const no = [
      'meta.llama3-70b-instruct-v1:0',
      'mistral.mistral-large-2407-v1:0',
      'amazon.titan-text-express-v1',
      'amazon.nova',
      'arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc',
      'arn:aws:bedrock:us-east-1:123456789012:imported-model/anthropic.claude-x',
      'evil/anthropic.claude-3',
      '',
    ];
    assert.deepEqual(
      [...yes, ...no].filter((model) => canGovern('bedrock_model_invoke', model)),
      yes,
    );
    assert.equal(canGovern('bedrock_model_invoke'), false);
  });

  test('formats without an editor cannot be, those without calls or text need not', async () => {
    assert.equal(canGovern('anthropic_batches'), false);
    assert.equal(canGovern('openai_files'), false);
    assert.equal(canGovern('anthropic_count_tokens'), true);
    assert.equal(
      editingMode('anthropic_count_tokens', { contentType: 'application/json', streamed: false }),
      'unneeded',
    );
    const edited = await editWholeAnswer('anthropic_batches', Buffer.from('{}'), gateOf({}).edits);
    assert.match(edited.fault ?? '', /cannot be governed/);
  });

  test('errors of a provider pass, other shapes that hold a governed name do not', async () => {
    const { edits } = gateOf({ Bash: deny('no') });
    const error = Buffer.from('{"type":"error","error":{"type":"api_error","message":"x"}}');
    assert.equal((await editWholeAnswer('anthropic_messages', error, edits)).body, error);
    for (const [format, body] of [
      ['anthropic_messages', '{"type":"message","content":{"name":"Bash"}}'],
      ['anthropic_messages', '{"type":"message","content":[],"extra":{"name":"Bash"}}'],
      ['anthropic_messages', '{"type":"message","content":[{"type":"tool_use"}]}'],
      ['anthropic_messages', '[]'],
      ['bedrock_converse', '{"output":{"message":{"content":[{"text":"a","toolUse":{"name":"Bash"}}]}}}'],
      ['bedrock_converse', '{"message":{"name":"Bash"}}'],
      ['gemini_generate_content', '[{"candidates":[{"functionCall":{}}]}]'],
      [
        'gemini_generate_content',
        '{"candidates":[{"content":{"parts":[{"functionCall":{"name":"Bash","willContinue":true}}]}}]}',
      ],
    ] as const) {
      const edited = await editWholeAnswer(format, Buffer.from(body), edits);
      assert.notEqual(edited.fault, null, body);
    }
  });
});
