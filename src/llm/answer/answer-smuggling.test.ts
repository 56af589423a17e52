/** Ways around the tool gate that a stream of a stranger's making could try, each refused. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { crc32 } from 'node:zlib';
import * as fc from 'fast-check';
import '../../../test/property-seed.ts';
import {
  createEventStreamDecoder,
  decodeEventStreamMessage,
  encodeEventStreamMessage,
} from '../../wire/aws-event-stream.ts';
import type { Format } from '../surface.ts';
import {
  CELLS,
  anthropicWhole,
  chunkFrame,
  frame,
  geminiResponse,
  type Turn,
} from './answer-turns.fixture.ts';
import { createAnswerEditor, editingMode, editWholeAnswer } from './index.ts';
import {
  deny,
  gateOf,
  piecesOf,
  runEditor,
  singleBytes,
  type EditedStream,
} from './streams/answer-run.fixture.ts';

const SSE = 'text/event-stream';
const FRAMES = 'application/vnd.amazon.eventstream';
const REFUSED = 'REFUSED';
const EVIL = 'EVIL';

async function govern(format: Format, contentType: string, bytes: Buffer | string): Promise<EditedStream> {
  const kind = { contentType, streamed: true, bedrockModel: 'anthropic.claude-3-haiku-20240307-v1:0' };
  const run = async (chunks: readonly Buffer[]): Promise<EditedStream> => {
    const editor = createAnswerEditor(format, gateOf({ Bash: deny(REFUSED) }).edits, kind);
    assert.ok(editor);
    return runEditor(editor, chunks);
  };
  const whole = Buffer.from(bytes);
  const [once, slowly] = await Promise.all([run([whole]), run(singleBytes(whole))]);
  assert.deepEqual([slowly.bytes.toString(), slowly.fault], [once.bytes.toString(), once.fault]);
  return once;
}

/** Nothing of the call goes out: it was refused, or the stream was. */
async function assertStopped(
  format: Format,
  contentType: string,
  bytes: Buffer | string,
  how: 'refused' | RegExp,
) {
  const { bytes: out, fault } = await govern(format, contentType, bytes);
  assert.ok(!decoded(out, contentType).includes(EVIL), 'the call went out');
  if (how !== 'refused') assert.match(fault ?? 'no fault', how);
  else
    assert.ok(
      fault === null && decoded(out, contentType).includes(REFUSED),
      `not refused: ${fault ?? 'no fault'}`,
    );
}

/** What any reader could see in the bytes, base64 opened. */
function decoded(bytes: Buffer, contentType: string): string {
  const text = bytes.toString('utf8');
  if (contentType !== FRAMES) return text;
  return (
    text +
    [...text.matchAll(/"bytes":"([^"]*)"/g)]
      .map(([, data]) => Buffer.from(data ?? '', 'base64').toString())
      .join('')
  );
}

const START =
  '{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"Bash","input":{}}}';
const DELTA =
  '{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\\"c\\":\\"EVIL\\"}"}}';
const STOP = '{"type":"content_block_stop","index":0}';
const TEXT_START = '{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}';
const TEXT_DELTA = '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}';
const END = '{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":1}}';

function sse(...events: readonly string[]): string {
  return events.map((data) => `event: ${/"type":"(\w+)"/.exec(data)?.[1] ?? ''}\ndata: ${data}\n\n`).join('');
}

const CALL = sse(START, DELTA, STOP, END);
const NO_NAMES = [START, DELTA, STOP, END].map((data) => `data: ${data}\n\n`).join('');
const ANTHROPIC: readonly [string, string, 'refused' | RegExp][] = [
  ['lines that end in CRLF', CALL.replaceAll('\n', '\r\n'), 'refused'],
  ['lines that end in CR', CALL.replaceAll('\n', '\r'), 'refused'],
  ['data in several lines', CALL.replaceAll(',"', ',\ndata: "'), 'refused'],
  ['data without a space after the colon', CALL.replaceAll('data: ', 'data:'), 'refused'],
  ['comments between events', `: hi\n\n${CALL.replaceAll('\n\n', '\n\n: hi\n\n')}`, 'refused'],
  ['comments within events', CALL.replaceAll('data: ', ': note\ndata: '), /take for data/],
  ['data behind its line', CALL.replaceAll('data: ', 'data: \n'), /take for data/],
  ['lines of unknown fields', CALL.replaceAll('data: ', 'x: y\ndata: '), /take for data/],
  ['a byte order mark at the start', `\uFEFF${CALL}`, 'refused'],
  [
    'a byte order mark later',
    CALL.replace('event: content_block_delta', '\uFEFFevent: content_block_delta'),
    /byte order mark/,
  ],
  ['events without names', NO_NAMES, 'refused'],
  ['a name that differs from the type', CALL.replace('event: content_block_start', 'event: ping'), /differs/],
  ['a last event without its blank line', CALL.trimEnd(), 'refused'],
  ['an escaped tool name', CALL.replace('"Bash"', '"B\\u0061sh"'), 'refused'],
  ['an escaped key', CALL.replace('"name"', '"n\\u0061me"'), 'refused'],
  ['an escaped type', CALL.replace('"tool_use","id"', '"tool\\u005fuse","id"'), 'refused'],
  [
    'a block twice in one event',
    sse(
      START.replace('"content_block":', '"content_block":{"type":"text","text":""},"content_block":'),
      DELTA,
      STOP,
    ),
    /one way|type/,
  ],
  ['a key in other letters', sse(START.replace('"id":"t"', '"Name":"Read"')), /one way|type/],
  ['an index that is used again', sse(TEXT_START, STOP, START, DELTA, STOP), /begins twice/],
  ['a call that never stops', sse(START, DELTA, END, '{"type":"message_stop"}'), /ended/],
  ['a stream that is cut in a call', CALL.slice(0, CALL.indexOf('content_block_stop')), /event|ended/],
  ['arguments before the start', sse(DELTA, START, STOP), /no open call/],
  ['arguments for a text block', sse(TEXT_START, DELTA, STOP), /no open call/],
  ['arguments after the stop', sse(START, STOP, DELTA), /no open call/],
  [
    'text in a call',
    sse(START, DELTA.replace('input_json_delta","partial_json', 'text_delta","text'), STOP),
    /text where none/,
  ],
  [
    'an unknown delta in a call',
    sse(START, DELTA.replace('input_json_delta', 'new_delta'), STOP),
    /cannot be there/,
  ],
  [
    'an unknown event with the call',
    sse(START.replace('content_block_start', 'tool_call_start'), DELTA, STOP),
    /unknown kind/,
  ],
  ['an unknown block with the name', CALL.replace('"type":"tool_use"', '"type":"new_use"'), 'refused'],
  [
    'an unknown block with the call inside',
    sse(
      START.replace(
        '"type":"tool_use","id":"t","name":"Bash"',
        '"type":"new","call":{"name":"Bash","c":"EVIL"}',
      ),
    ),
    /unknown kind/,
  ],
  [
    'an answer that starts with content',
    sse(
      '{"type":"message_start","message":{"content":[{"type":"tool_use","name":"Bash","input":{"c":"EVIL"}}]}}',
    ),
    /starts with content/,
  ],
  [
    'a call behind a plain delta',
    sse(TEXT_START, TEXT_DELTA.replace('}}', '},"x":{"name":"Bash","c":"EVIL"}}'), STOP),
    /unknown kind/,
  ],
  [
    'a call within a plain delta',
    sse(TEXT_START, TEXT_DELTA.replace('}}', ',"x":{"name":"Bash","c":"EVIL"}}}'), STOP),
    /unknown kind/,
  ],
  [
    'a call behind the end of a block',
    sse(TEXT_START, STOP.replace('}', ',"x":{"name":"Bash","c":"EVIL"}}')),
    /unknown kind/,
  ],
  ['arguments in the start', sse(START.replace('"input":{}', '"input":{"c":"EVIL"}'), STOP, END), 'refused'],
  [
    'arguments in the start and in deltas',
    sse(START.replace('"input":{}', '"input":{"c":"EVIL"}'), DELTA, STOP),
    /twice/,
  ],
  ['a start without a name', sse(START.replace('"name":"Bash",', '')), /cannot be read/],
  ['data that is no JSON', sse('{"type":"content_block_start",'), /no JSON/],
  ['bytes that are no UTF-8', `${sse(TEXT_START)}data: {"type":"x\u0000"}\n\n`, /no JSON/],
];

describe('Anthropic: no way around the gate (DESIGN section 3, step 7)', () => {
  for (const [name, bytes, how] of ANTHROPIC) {
    test(name, () => assertStopped('anthropic_messages', SSE, bytes, how));
  }

  test('a whole answer to a request for a stream is governed as one', async () => {
    const kind = { contentType: 'application/json', streamed: true };
    assert.equal(editingMode('anthropic_messages', kind), 'whole');
    const turn: Turn = { blocks: [{ call: 'Bash', id: 't', args: { c: EVIL } }], stop: 'tool_use' };
    const edited = await editWholeAnswer(
      'anthropic_messages',
      anthropicWhole(turn),
      gateOf({ Bash: deny(REFUSED) }).edits,
    );
    assert.ok(edited.fault === null && !edited.body.includes(EVIL) && edited.body.includes('"end_turn"'));
  });

  test('an answer of another content type is not governed, and not sent', () => {
    for (const contentType of [null, '', 'text/plain', 'application/octet-stream', FRAMES]) {
      assert.equal(editingMode('anthropic_messages', { contentType, streamed: true }), null);
    }
  });

  test('calls that the provider runs, results and pings pass untouched', async () => {
    const server = START.replace('tool_use', 'server_tool_use');
    const mcp = server.replace('server_tool_use', 'mcp_tool_use').replace('"index":0', '"index":1');
    const result =
      '{"type":"content_block_start","index":2,"content_block":{"type":"bash_code_execution_tool_result","content":{"name":"Bash"}}}';
    const stream = sse(
      server,
      DELTA,
      STOP,
      mcp,
      result,
      '{"type":"ping"}',
      '{"type":"error","error":{"type":"overloaded_error"}}',
    );
    const { bytes, fault } = await govern('anthropic_messages', SSE, stream);
    assert.deepEqual([bytes.toString(), fault], [stream, null]);
  });
});

const CALL_PART = { functionCall: { name: 'Bash', args: { c: EVIL } } };
const GEMINI_CALL = JSON.stringify(geminiResponse([CALL_PART], 'STOP'));
const PIECES = [
  { functionCall: { name: 'Bash', willContinue: true } },
  {
    functionCall: {
      partialArgs: [{ jsonPath: '$.c', stringValue: 'EV', willContinue: true }],
      willContinue: true,
    },
  },
  { functionCall: { partialArgs: [{ jsonPath: '$.c', stringValue: 'IL' }], willContinue: true } },
  { functionCall: {} },
].map((part) => JSON.stringify(geminiResponse([part])));

const GEMINI: readonly [string, string, 'refused' | RegExp][] = [
  ['an escaped key', GEMINI_CALL.replace('functionCall', 'function\\u0043all'), 'refused'],
  ['an escaped name', GEMINI_CALL.replace('"Bash"', '"\\u0042ash"'), 'refused'],
  ['the key of protobuf', GEMINI_CALL.replace('functionCall', 'function_call'), /cannot be read/],
  ['a key in other letters', GEMINI_CALL.replace('"functionCall"', '"FunctionCall"'), /cannot be read/],
  [
    'a call twice in a part',
    GEMINI_CALL.replace('"functionCall"', '"functionCall":{"name":"Read"},"functionCall"'),
    /one way/,
  ],
  ['a part of unknown kind', GEMINI_CALL.replace('functionCall', 'futureCall'), /unknown kind/],
  [
    'a call outside of the candidates',
    GEMINI_CALL.replace('{"candidates"', '{"automatic":{"functionCall":{"name":"Bash"}},"candidates"'),
    /unknown kind/,
  ],
  [
    'parts that are no list',
    '{"candidates":[{"content":{"parts":{"functionCall":{"name":"Bash"}}}}]}',
    /cannot be read/,
  ],
  [
    'content that is a list',
    '{"candidates":[{"content":[{"functionCall":{"name":"Bash"}}]}]}',
    /cannot be read/,
  ],
  [
    'candidates that are no list',
    '{"candidates":{"content":{"parts":[{"functionCall":{"name":"Bash"}}]}}}',
    /no list/,
  ],
  ['parts under another key', GEMINI_CALL.replace('"parts"', '"pieces"'), /unknown kind/],
  [
    'two candidates of one index',
    '{"candidates":[{"index":0},{"index":0,"content":{"parts":[{"functionCall":{"name":"Bash"}}]}}]}',
    /two candidates/,
  ],
];

describe('Gemini: no way around the gate', () => {
  for (const [name, json, how] of GEMINI) {
    test(`${name}, in events`, () => assertStopped('gemini_generate_content', SSE, `data: ${json}\n\n`, how));
    test(`${name}, in an array`, () =>
      assertStopped('google_generate_content', 'application/json', `[${json}]`, how));
  }

  test('JSON on a line behind the data, which some readers add to it', async () => {
    for (const around of ['data: \n#', 'data: {"candidates"\n:#']) {
      const json = around.includes('candidates') ? GEMINI_CALL.slice(GEMINI_CALL.indexOf('[')) : GEMINI_CALL;
      await assertStopped(
        'gemini_generate_content',
        SSE,
        `${around.replace('#', json)}\n\n`,
        /take for data/,
      );
    }
  });

  test('a call in pieces is refused as one', async () => {
    const stream = PIECES.map((json) => `data: ${json}\n\n`).join('');
    const { bytes, fault } = await govern('google_generate_content', SSE, stream);
    assert.equal(fault, null);
    assert.deepEqual(
      [...bytes.toString().matchAll(/"text":"(\w*)"/g)].map(([, text]) => text),
      [REFUSED],
    );
  });

  test('a piece of a call without its beginning, and one that never ends', async () => {
    await assertStopped('google_generate_content', SSE, `data: ${PIECES[1] ?? ''}\n\n`, /before its name/);
    const cut = PIECES.slice(0, 3)
      .map((json) => `data: ${json}\n\n`)
      .join('');
    await assertStopped('google_generate_content', SSE, cut, /ended/);
  });

  test('what is no array of objects', async () => {
    for (const bytes of [
      '[1]',
      `[${GEMINI_CALL} ${GEMINI_CALL}]`,
      `${GEMINI_CALL}${GEMINI_CALL}`,
      `\uFEFF[${GEMINI_CALL}]`,
      '["x"]',
    ]) {
      const { bytes: out, fault } = await govern('google_generate_content', 'application/json', bytes);
      assert.ok(fault !== null && !out.includes(EVIL), bytes.slice(0, 20));
    }
  });
});

const CONVERSE_START = frame('contentBlockStart', {
  contentBlockIndex: 0,
  start: { toolUse: { toolUseId: 't', name: 'Bash' } },
});
const CONVERSE_DELTA = frame('contentBlockDelta', {
  contentBlockIndex: 0,
  delta: { toolUse: { input: '{"c":"EVIL"}' } },
});

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

describe('Bedrock: no way around the gate', () => {
  const frames: readonly [string, Buffer, RegExp][] = [
    ['a wrong checksum', flipped(CONVERSE_START, CONVERSE_START.length - 1), /cannot be read/],
    ['a wrong length', flipped(CONVERSE_START, 2), /cannot be read|length|event/],
    ['arguments before the start', CONVERSE_DELTA, /no open call/],
    [
      'a delta of two kinds',
      frame('contentBlockDelta', { contentBlockIndex: 0, delta: { text: 'x', toolUse: { input: EVIL } } }),
      /delta cannot/,
    ],
    [
      'a start of two kinds',
      frame('contentBlockStart', { contentBlockIndex: 0, start: { image: {}, toolUse: { name: 'Bash' } } }),
      /start of a block/,
    ],
    ['an unknown event', frame('toolCall', { name: 'Bash', c: EVIL }), /unknown kind/],
    [
      'fields of the model beside the answer',
      frame('messageStop', {
        stopReason: 'tool_use',
        additionalModelResponseFields: { content: [{ name: 'Bash', input: EVIL }] },
      }),
      /unknown kind/,
    ],
    ['a frame without a message type', frame('contentBlockStart', {}, ''), /unknown|cannot|event/],
  ];
  for (const [name, bytes, how] of frames) {
    test(name, async () => {
      const { bytes: out, fault } = await govern('bedrock_converse', FRAMES, bytes);
      assert.ok(!out.includes(EVIL));
      if (name !== 'a frame without a message type') assert.match(fault ?? 'no fault', how);
    });
  }

  test('a header that is there twice', async () => {
    const message = decodeEventStreamMessage(CONVERSE_START);
    const twice = new Map(message.headers).set(':event-typf', { type: 'string', value: 'metadata' });
    const bytes = encodeEventStreamMessage({ headers: twice, payload: message.payload });
    const same = Buffer.from(bytes.toString('latin1').replace(':event-typf', ':event-type'), 'latin1');
    // The checksums are right: only the repeated header is odd.
    same.writeUInt32BE(crc32(same.subarray(0, same.length - 4)), same.length - 4);
    const { fault } = await govern('bedrock_converse', FRAMES, same);
    assert.match(fault ?? 'no fault', /cannot be read/);
  });

  test('chunks that are no base64 or of another type', async () => {
    for (const bytes of [
      frame('chunk', { bytes: '{}' }),
      frame('other', { bytes: '' }),
      frame('chunk', {}),
    ]) {
      const { fault } = await govern('bedrock_model_invoke', FRAMES, bytes);
      assert.match(fault ?? 'no fault', /payload/);
    }
  });

  test('a call in chunks of Claude is refused', () =>
    assertStopped(
      'bedrock_model_invoke',
      FRAMES,
      Buffer.concat([START, DELTA, STOP].map((json) => chunkFrame(JSON.parse(json)))),
      'refused',
    ));

  test('an exception of the provider passes', async () => {
    const exception = frame('throttlingException', { message: 'slow down' }, 'exception');
    const { bytes, fault } = await govern('bedrock_converse', FRAMES, exception);
    assert.ok(bytes.equals(exception) && fault === null);
  });
});

/** Every text in the bytes that a lenient reader could take for JSON. */
function jsonTexts(bytes: Buffer, contentType: string): string[] {
  if (contentType !== FRAMES) {
    const lines = bytes.toString('utf8').split(/\r\n|\r|\n/);
    return [bytes.toString('utf8'), ...lines.map((line) => line.replace(/^\uFEFF?data:/, ''))];
  }
  const payloads = createEventStreamDecoder()
    .push(bytes)
    .map(({ payload }) => Buffer.from(payload).toString('utf8'));
  return payloads.flatMap((json) => {
    const inner: unknown = JSON.parse(json);
    const wrapped = typeof inner === 'object' && inner !== null && 'bytes' in inner ? inner.bytes : null;
    return typeof wrapped === 'string' ? [json, Buffer.from(wrapped, 'base64').toString('utf8')] : [json];
  });
}

/** Whether a lenient reader finds a call of `Bash` anywhere in the bytes. */
function callsBash(bytes: Buffer, contentType: string): boolean {
  const finds = (value: unknown): boolean =>
    typeof value === 'object' &&
    value !== null &&
    Object.entries(value).some(([key, member]) => (key === 'name' && member === 'Bash') || finds(member));
  return jsonTexts(bytes, contentType).some((json) => {
    try {
      return finds(JSON.parse(json));
    } catch {
      return false;
    }
  });
}

const mutation = fc.record({
  at: fc.nat(),
  length: fc.nat(80),
  to: fc.nat(),
  kind: fc.constantFrom('flip', 'delete', 'copy', 'swap', 'insert'),
  word: fc.constantFrom(
    '\n',
    '\r\n',
    '"',
    '}',
    '{',
    ',',
    '\\',
    'data: ',
    'event: ',
    '"name":"Bash",',
    '"index":0',
    ':',
  ),
});

function mutate(
  bytes: Buffer,
  { at, length, to, kind, word }: { at: number; length: number; to: number; kind: string; word: string },
): Buffer {
  const from = at % (bytes.length + 1);
  const piece = bytes.subarray(from, from + length);
  const target = to % (bytes.length + 1);
  if (kind === 'flip') return flipped(bytes, from);
  if (kind === 'delete') return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + length)]);
  if (kind === 'insert')
    return Buffer.concat([bytes.subarray(0, from), Buffer.from(word), bytes.subarray(from)]);
  if (kind === 'copy') return Buffer.concat([bytes.subarray(0, target), piece, bytes.subarray(target)]);
  return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + length), piece]);
}

describe('mutated streams never throw and never let a governed call through', () => {
  const turn: Turn = {
    blocks: [
      { text: 'hi' },
      { call: 'Bash', id: 'b', args: { c: EVIL } },
      { call: 'Read', id: 'r', args: {} },
    ],
    stop: 'tool_use',
  };
  for (const cell of CELLS.filter(({ streamed }) => streamed)) {
    test(cell.name, async () => {
      const bytes = cell.write(turn);
      const kind = { contentType: cell.contentType, streamed: true, bedrockModel: cell.model };
      const changes = fc.array(mutation, { minLength: 1, maxLength: 4 });
      await fc.assert(
        fc.asyncProperty(
          changes,
          fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 4 }),
          async (found, cuts) => {
            const mutated = found.reduce((all, each) => mutate(all, each), bytes);
            const editor = createAnswerEditor(cell.format, gateOf({ Bash: deny(REFUSED) }).edits, kind);
            assert.ok(editor);
            const { bytes: out } = await runEditor(editor, piecesOf(mutated, cuts));
            assert.ok(!callsBash(out, cell.contentType));
          },
        ),
        { numRuns: 300 },
      );
    });
  }

  test('the reader of this test finds the call where nothing governs it', () => {
    for (const cell of CELLS) assert.ok(callsBash(cell.write(turn), cell.contentType), cell.name);
  });
});
