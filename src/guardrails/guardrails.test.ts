import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import fc from 'fast-check';
import '../../test/property-seed.ts';
import { editWholeAnswer } from '../llm/answer/index.ts';
import { withTexts } from '../llm/request-text/index.ts';
import { compilePattern, type Pattern } from '../policy/pattern.ts';
import { bodyOf, entryOf, guardrails, KEY, random, send, textsOf } from './guardrails.fixture.ts';
import { CleanMemory } from './clean-memory.ts';
import { createGuardrails, type KeptValue } from './guardrails.ts';
import { PLACEHOLDER_LIMITS, Placeholders } from './placeholders.ts';

const MAIL = 'alice@example.com';
const ON_REQUEST = [entryOf({ detect: ['email'], on: ['request'] })];
const EMAILS = [entryOf({ detect: ['email'] })];
const user = (content: unknown): object => ({ model: 'm', messages: [{ role: 'user', content }] });

function pattern(source: string): Pattern {
  const compiled = compilePattern(source);
  if (typeof compiled === 'string') throw new Error(compiled);
  return compiled;
}

/** What a client gets of an answer that comes in these pieces. */
function answer(
  guards: ReturnType<typeof guardrails>,
  entries: typeof EMAILS,
  pieces: readonly string[],
  scope = 'alice',
): string {
  const guard = guards.guardAnswer({ entries, scope });
  const filter = guard?.text('text') ?? null;
  if (filter === null) return pieces.join('');
  return pieces.map((piece) => filter.push(piece)).join('') + filter.finish();
}

test('redact: a placeholder goes out, the original comes back (issue: reversible redaction)', () => {
  const guards = guardrails();
  const { verdict, sent, findings } = send(guards, EMAILS, user(`write to ${MAIL} now`));
  assert.equal(verdict, 'pass');
  assert.doesNotMatch(sent, /alice/);
  const placeholder = /<EMAIL_[0-9a-f]{12}>/.exec(sent)?.[0] ?? '';
  assert.notEqual(placeholder, '');
  assert.deepEqual(findings, [
    {
      guardrail: 'pii',
      kind: 'email',
      action: 'redact',
      confidence: 'format',
      count: 1,
      direction: 'request',
      role: 'user',
    },
  ]);
  assert.equal(answer(guards, EMAILS, [`I wrote to ${placeholder}.`]), `I wrote to ${MAIL}.`);
  const bare = placeholder.slice(1, -1);
  for (const spelled of [
    placeholder.toLowerCase(),
    bare,
    bare.toLowerCase(),
    `&lt;${bare}&gt;`,
    `\\u003c${bare}\\u003e`,
  ])
    assert.equal(answer(guards, EMAILS, [`x ${spelled} y`]), `x ${MAIL} y`, spelled);
});

test('an original with signs of its own is escaped as the bracket tells', () => {
  const guards = guardrails();
  const key = `-----BEGIN PRIVATE KEY-----\n${random(64)}\n-----END PRIVATE KEY-----`;
  const entries = [entryOf({ detect: ['secrets'], on: ['request'] })];
  const id = /<(PRIVATE_KEY_\w+)>/.exec(send(guards, entries, user(key)).sent)?.[1] ?? '';
  assert.notEqual(id, '');
  assert.equal(answer(guards, entries, [`{"k":"\\u003c${id}\\u003e"}`]), JSON.stringify({ k: key }));
  assert.equal(answer(guards, entries, [`?k=%3C${id}%3E&`]), `?k=${encodeURIComponent(key)}&`);
});

test('nothing that keeps values shows them', () => {
  const guards = guardrails();
  const checked = send(guards, EMAILS, user(MAIL));
  const scope = new Placeholders(KEY, PLACEHOLDER_LIMITS).open('a');
  scope.take('email', MAIL);
  const shown = inspect([guards, scope, checked.findings, checked.blocked], { depth: 9, showHidden: true });
  assert.equal(shown.includes('alice@'), false);
  assert.equal(JSON.stringify([guards, scope]).includes('alice@'), false);
});

test('what is kept of a caller is bounded, and the oldest goes first', () => {
  const scopes = new Placeholders(KEY, { scopesMax: 2, entriesMax: 3, unitsMax: 100, allUnitsMax: 10_000 });
  const scope = scopes.open('a');
  const ids = ['a@b.c', 'd@e.f', 'g@h.i', 'j@k.l'].map((value) => scope.take('email', value).slice(1, -1));
  assert.deepEqual(
    ids.map((id) => scope.resolve(id)),
    [null, 'd@e.f', 'g@h.i', 'j@k.l'],
  );
  const long = scope.take('email', `${'x'.repeat(98)}@y`);
  assert.equal(scope.resolve(long.slice(1, -1))?.length, 100);
  assert.deepEqual(
    ids.map((id) => scope.resolve(id)),
    [null, null, null, null],
  );
  scopes.open('b');
  scopes.open('c');
  assert.equal(scopes.find('a'), null);
  assert.notEqual(scopes.find('c'), null);
});

test('what is kept of all callers is bounded together: who redacted longest ago is forgotten', () => {
  const guards = createGuardrails({
    key: KEY,
    placeholders: { scopesMax: 100, entriesMax: 100, unitsMax: 10_000, allUnitsMax: 2_000 },
  });
  for (let i = 0; i < 20; i += 1) send(guards, EMAILS, user(MAIL), { scope: `caller ${i}` });
  assert.equal(guards.guardAnswer({ entries: ON_REQUEST, scope: 'caller 0' }), null);
  assert.notEqual(guards.guardAnswer({ entries: ON_REQUEST, scope: 'caller 19' }), null);
});

test('of a conversation that its provider keeps, placeholders are restored after a restart (issue 3, Proof)', () => {
  const kept: KeptValue[] = [];
  const before = createGuardrails({ key: KEY, onKept: (value) => kept.push(value) });
  send(before, ON_REQUEST, user('bob@example.com'));
  assert.deepEqual(kept, [], 'who sends the conversation itself needs no more');
  const { sent } = send(before, ON_REQUEST, user(MAIL), { isStored: true });
  send(before, ON_REQUEST, user(MAIL), { isStored: true });
  assert.deepEqual(kept, [{ scope: 'alice', kind: 'email', value: MAIL }]);
  const [placeholder = ''] = /<EMAIL_[0-9a-f]{12}>/.exec(sent) ?? [];
  const after = createGuardrails({ key: KEY, earlier: [null, { scope: 1 }, ...kept] });
  const filter = after.guardAnswer({ entries: ON_REQUEST, scope: 'alice' })?.text('text');
  assert.equal(`${filter?.push(`to ${placeholder}`)}${filter?.finish()}`, `to ${MAIL}`);
  assert.equal(after.guardAnswer({ entries: ON_REQUEST, scope: 'bob' }), null);
});

test("through an answer's editor: text and the strings of a call's arguments come back as originals", async () => {
  const guards = guardrails();
  const quoted = 'o"brien@example.com';
  const entries = [
    entryOf({ detect: ['email'], on: ['request'] }),
    entryOf({
      name: 'names',
      patterns: [{ name: 'name', pattern: pattern('o"brien@example[.]com') }],
      on: ['request'],
    }),
  ];
  const { sent } = send(guards, entries, user(`mail ${MAIL} and ${quoted}`));
  const [first = '', second = ''] = sent.match(/<[A-Z]+_[0-9a-f]{12}>/g) ?? [];
  assert.notEqual(second, '');
  const guard = guards.guardAnswer({ entries, scope: 'alice' });
  assert.ok(guard !== null);
  const body = bodyOf({
    choices: [
      {
        index: 0,
        finish_reason: 'tool_calls',
        message: {
          role: 'assistant',
          content: `mailing ${first}`,
          tool_calls: [
            {
              id: 'c',
              type: 'function',
              function: { name: 'mail', arguments: JSON.stringify({ to: [first, second] }) },
            },
          ],
        },
      },
    ],
  });
  const edited = await editWholeAnswer('openai_chat', body, {
    tools: null,
    text: (kind) => guard.text(kind),
  });
  assert.equal(edited.fault, null);
  const [choice] = JSON.parse(edited.body.toString()).choices;
  assert.equal(choice.message.content, `mailing ${MAIL}`);
  assert.deepEqual(JSON.parse(choice.message.tool_calls[0].function.arguments), { to: [MAIL, quoted] });
});

test('placeholders are equal in every turn and after a restart, and differ between callers', () => {
  const first = send(guardrails(), EMAILS, user(MAIL)).sent;
  assert.equal(send(guardrails(), EMAILS, user(MAIL)).sent, first);
  assert.notEqual(send(guardrails(), EMAILS, user(MAIL), { scope: 'bob' }).sent, first);
  assert.notEqual(
    send(createGuardrails({ key: new Uint8Array(32).fill(8) }), EMAILS, user(MAIL)).sent,
    first,
  );
});

test('after a restart the map is rebuilt from the request itself', () => {
  const before = guardrails();
  const placeholder = /<EMAIL_\w+>/.exec(send(before, EMAILS, user(MAIL)).sent)?.[0] ?? '';
  const after = guardrails();
  assert.equal(answer(after, EMAILS, [`to ${placeholder}`]), `to ${placeholder}`);
  send(after, EMAILS, user(MAIL));
  assert.equal(answer(after, EMAILS, [`to ${placeholder}`]), `to ${MAIL}`);
});

test("one caller's placeholder never resolves for another, and one that nobody made stays", () => {
  const guards = guardrails();
  const placeholder = /<EMAIL_\w+>/.exec(send(guards, EMAILS, user(MAIL)).sent)?.[0] ?? '';
  send(guards, EMAILS, user('carol@example.com'), { scope: 'bob' });
  assert.equal(answer(guards, EMAILS, [`to ${placeholder}`], 'bob'), `to ${placeholder}`);
  assert.equal(answer(guards, EMAILS, ['to <EMAIL_000000000000>']), 'to <EMAIL_000000000000>');
});

test('an original that came back in arguments is redacted again in the next turn, whatever `on` says', () => {
  const guards = guardrails();
  const entries = [entryOf({ detect: ['email'], on: ['request'] })];
  const { sent } = send(guards, entries, {
    model: 'm',
    messages: [
      { role: 'user', content: `mail ${MAIL}` },
      {
        role: 'assistant',
        tool_calls: [
          {
            id: 'c',
            type: 'function',
            function: { name: 'mail', arguments: JSON.stringify({ to: MAIL, n: 1 }) },
          },
        ],
      },
      { role: 'tool', tool_call_id: 'c', content: `sent to ${MAIL}` },
    ],
  });
  assert.doesNotMatch(sent, /alice/);
  const parsed = JSON.parse(sent);
  assert.match(JSON.parse(parsed.messages[1].tool_calls[0].function.arguments).to, /^<EMAIL_\w+>$/);
});

test('arguments in the history are redacted even where the value occurs nowhere else', () => {
  const { sent } = send(
    guardrails(),
    [entryOf({ detect: ['email'], on: ['request'] })],
    {
      messages: [
        { role: 'assistant', content: [{ type: 'tool_use', id: 'c', name: 'f', input: { to: MAIL } }] },
      ],
    },
    { format: 'anthropic_messages' },
  );
  assert.match(sent, /"to":"<EMAIL_/);
});

test('a value that only a direction without a rule has is left alone', () => {
  const entries = [entryOf({ detect: ['email'], on: ['request'] })];
  const { sent } = send(guardrails(), entries, {
    model: 'm',
    messages: [{ role: 'tool', tool_call_id: 'c', content: `sent to ${MAIL}` }],
  });
  assert.match(sent, /alice/);
});

test('numbers in the data of a call are redacted as strings', () => {
  const card = Number(`4${'1'.repeat(15)}`);
  const { sent } = send(
    guardrails(),
    [entryOf({ detect: ['card'] })],
    {
      messages: [
        { role: 'assistant', content: [{ type: 'tool_use', id: 'c', name: 'pay', input: { card } }] },
      ],
    },
    { format: 'anthropic_messages' },
  );
  assert.match(sent, /"card":"<CARD_[0-9a-f]{12}>"/);
});

test('block: the request stops with the words of policy, and never with what was found', () => {
  const secret = `ghp_${random(36)}`;
  const entries = [entryOf({ detect: ['secrets'], action: 'block' })];
  const { verdict, blocked, findings, edits } = send(guardrails(), entries, user(`key ${secret}`));
  assert.equal(verdict, 'block');
  assert.deepEqual(edits, []);
  assert.match(blocked?.message ?? '', /"pii" stops the request: it holds a github token/);
  assert.equal(JSON.stringify({ blocked, findings }).includes(secret.slice(4, 20)), false);
  const told = send(guardrails(), [entryOf({ ...entries[0], message: 'no keys' })], user(secret));
  assert.equal(told.blocked?.message, 'no keys');
});

test('what is to be redacted in a signed part blocks: it can be neither sent nor changed', () => {
  const { verdict, blocked } = send(
    guardrails(),
    EMAILS,
    {
      messages: [
        { role: 'assistant', content: [{ type: 'thinking', thinking: `to ${MAIL}`, signature: 's' }] },
      ],
    },
    { format: 'anthropic_messages' },
  );
  assert.equal(verdict, 'block');
  assert.match(blocked?.message ?? '', /signed part/);
});

test('limits: each stops a request beyond it and says which', () => {
  const { limits } = entryOf({});
  const body = bodyOf(user('hi'));
  const ask = (changes: Partial<typeof limits>, action: 'block' | 'flag' = 'block'): string | undefined =>
    guardrails().checkRequest({
      entries: [entryOf({ action, limits: { ...limits, ...changes } })],
      scope: 'a',
      body,
      texts: textsOf(body),
      tools: 3,
      outputTokens: 500,
      isStored: false,
    }).blocked?.kind;
  const zero: Record<string, object> = {
    max_body_bytes: { maxBodyBytes: 10 },
    max_depth: { maxDepth: 2 },
    max_tools: { maxTools: 2 },
    max_messages: { maxMessages: 0 },
    max_output_tokens: { maxOutputTokens: 499 },
  };
  for (const [key, changes] of Object.entries(zero)) {
    assert.equal(ask(changes), key);
    assert.equal(ask(changes, 'flag'), undefined);
  }
  assert.equal(
    ask({ maxBodyBytes: 100, maxDepth: 3, maxTools: 3, maxMessages: 1, maxOutputTokens: 500 }),
    undefined,
  );
});

test('a format without a walker is refused under a rule, and only there', () => {
  const question = {
    scope: 'a',
    body: Buffer.from('x'),
    texts: null,
    tools: 0,
    outputTokens: null,
    isStored: false,
  };
  assert.equal(
    guardrails().checkRequest({ ...question, entries: EMAILS }).blocked?.kind,
    'surface_not_governed',
  );
  const answers = [entryOf({ detect: ['email'], on: ['answer'] })];
  assert.equal(guardrails().checkRequest({ ...question, entries: answers }).verdict, 'pass');
});

test('nothing to look for costs nothing: no guard of the answer, no edits', () => {
  assert.equal(guardrails().guardAnswer({ entries: [], scope: 'a' }), null);
  assert.deepEqual(send(guardrails(), [], user(MAIL)).edits, []);
});

test('block in an answer: nothing from the find on leaves, and the guard says so', () => {
  const secret = `sk-ant-api03-${random(80)}`;
  const entries = [entryOf({ detect: ['secrets'], action: 'block', on: ['answer'] })];
  for (let split = 0; split <= secret.length; split += 7) {
    const guard = guardrails().guardAnswer({ entries, scope: 'a' });
    const filter = guard?.text('text') ?? null;
    assert.ok(guard !== null && filter !== null);
    const out =
      filter.push(`the key is ${secret.slice(0, split)}`) +
      filter.push(`${secret.slice(split)} and`) +
      filter.finish();
    assert.equal(out.includes('sk-ant'), false);
    assert.equal(guard.blocked?.kind, 'anthropic_key');
    assert.equal(JSON.stringify([guard.blocked, guard.findings()]).includes(secret.slice(20, 40)), false);
  }
});

test('flag: an answer flows at once and is counted', () => {
  const entries = [entryOf({ detect: ['email'], action: 'flag', on: ['answer'] })];
  const guard = guardrails().guardAnswer({ entries, scope: 'a' });
  const filter = guard?.text('text') ?? null;
  assert.ok(guard !== null && filter !== null);
  assert.equal(filter.push('to alice@exam'), 'to alice@exam');
  assert.equal(filter.push('ple.com'), 'ple.com');
  assert.equal(filter.finish(), '');
  assert.deepEqual(
    guard.findings().map(({ kind, count }) => [kind, count]),
    [['email', 1]],
  );
});

test('redact in an answer: the value goes, and no later answer brings it back', () => {
  const guards = guardrails();
  const out = answer(guards, EMAILS, ['ask bob@exa', 'mple.com please']);
  assert.match(out, /^ask <EMAIL_[0-9a-f]{12}> please$/);
  assert.equal(answer(guards, EMAILS, [out]), out);
});

const SECRETS = [
  MAIL,
  'a.very-long_name+tag@sub.domain.example.org',
  `ghp_${random(36)}`,
  `xoxb-${random(40)}`,
  '4111 1111 1111 1111',
  'DE89 3704 0044 0532 0130 00',
  '+49 151 12345678',
  '078-05-1120',
  'AB 12 34 56 C',
  'ACME-123456',
  `-----BEGIN PRIVATE KEY-----\n${random(64)}\n${random(64)}\n-----END PRIVATE KEY-----`,
];
const EVERYTHING = [
  entryOf({
    detect: ['secrets', 'email', 'phone', 'card', 'iban', 'national_id'],
    patterns: [{ name: 'ticket', pattern: pattern('ACME-[0-9]{6}') }],
  }),
];
const PROSE = fc.constantFrom(
  'hello ',
  'of <b> ',
  'EMAIL_ ',
  '{"a": "',
  '"}',
  '\n',
  ', ',
  ' in 2026 ',
  '日本語',
  'AB ',
  '\\u003c ',
  '&lt;',
  '- ',
  '-----BEGIN ',
);
const TEXT = fc
  .array(
    fc.oneof(
      PROSE,
      fc.constantFrom(...SECRETS).map((one) => ` ${one} `),
      fc.string(),
    ),
    { maxLength: 12 },
  )
  .map((pieces) => pieces.join(''));

test('redacting and restoring is the identity, at every split of the answer', () => {
  fc.assert(
    fc.property(TEXT, (text) => {
      const guards = guardrails();
      const { sent } = send(guards, EVERYTHING, user(text));
      const redacted: string = JSON.parse(sent).messages[0].content;
      const restoring = [entryOf({ ...EVERYTHING[0], on: ['request'] })];
      for (let split = 0; split <= redacted.length; split += 1) {
        const pieces = [redacted.slice(0, split), redacted.slice(split)];
        assert.equal(answer(guards, restoring, pieces), text);
      }
      assert.equal(answer(guards, restoring, redacted.split('')), text);
    }),
    { numRuns: 60 },
  );
});

test('what is found in an answer does not depend on how it is cut', () => {
  fc.assert(
    fc.property(TEXT, fc.array(fc.nat({ max: 40 }), { minLength: 1, maxLength: 20 }), (text, lengths) => {
      const pieces: string[] = [];
      for (let at = 0, i = 0; at < text.length; i += 1) {
        const length = 1 + (lengths[i % lengths.length] ?? 0);
        pieces.push(text.slice(at, at + length));
        at += length;
      }
      assert.equal(answer(guardrails(), EVERYTHING, pieces), answer(guardrails(), EVERYTHING, [text]));
    }),
    { numRuns: 300 },
  );
});

test('text is held no longer than a find could still be coming', () => {
  const entries = [entryOf({ detect: ['secrets', 'email', 'card'], on: ['answer'] })];
  const filter = guardrails().guardAnswer({ entries, scope: 'a' })?.text('text') ?? null;
  assert.ok(filter !== null);
  assert.equal(filter.push('The quick brown fo'), 'The quick brown ');
  assert.equal(filter.push('x jumps. '), 'fox jumps. ');
  const tickets = [
    entryOf({ patterns: [{ name: 'ticket', pattern: pattern('ACME-[0-9]+') }], on: ['answer'] }),
  ];
  const prefixed = guardrails().guardAnswer({ entries: tickets, scope: 'a' })?.text('text') ?? null;
  assert.equal(prefixed?.push('see AC'), 'see ');
  assert.equal(prefixed?.push('ID rain'), 'ACID rain');
});

test('nothing that strangers send makes a check throw', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
      const guards = createGuardrails({ key: KEY });
      const { verdict, sent } = send(guards, EVERYTHING, { value });
      assert.equal(verdict, 'pass');
      JSON.parse(sent);
    }),
    { numRuns: 300 },
  );
});

test('no escape hides a value: neither of the body nor of JSON within its strings', () => {
  const hidden = String.raw`alice\u0040example.com`;
  const inner = `{"to":"${hidden}"}`;
  for (const message of [
    `{"role":"user","content":"${hidden}"}`,
    `{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":${JSON.stringify(inner)}}}]}`,
    `{"role":"tool","tool_call_id":"c","content":${JSON.stringify(inner)}}`,
  ]) {
    const body = Buffer.from(`{"model":"m","messages":[${message}]}`);
    const texts = textsOf(body);
    const { edits } = guardrails().checkRequest({
      entries: EMAILS,
      scope: 'a',
      body,
      texts,
      tools: 0,
      outputTokens: null,
      isStored: false,
    });
    const sent = withTexts(body, edits).toString();
    assert.match(sent, /<EMAIL_/, message);
    assert.doesNotMatch(sent, /alice/, message);
    JSON.parse(sent);
  }
});

test('a text known to be clean is not looked at again, but for other detectors it is', () => {
  let looks = 0;
  const counting: Pattern = {
    source: '.',
    test: () => false,
    find: (text) => {
      looks += 1;
      return text.includes('needle') ? [[0, 6]] : [];
    },
  };
  const entries = [entryOf({ patterns: [{ name: 'n', pattern: counting }] })];
  const guards = guardrails();
  const long = 'x'.repeat(2_000);
  send(guards, entries, user(long));
  const once = looks;
  send(guards, entries, user(long));
  assert.equal(looks, once);
  send(guards, [entryOf({ patterns: [{ name: 'n', pattern: counting }] })], user(long));
  assert.equal(looks, once + once);
  assert.match(send(guards, entries, user(`needle ${long}`)).sent, /<N_/);
  assert.match(
    send(guards, entries, user(`needle ${long}`)).sent,
    /<N_/,
    'a text with a find is never clean',
  );
});

test('the same bytes in another encoding are another text, which is looked at (`\\u0040` in a form and in JSON)', () => {
  const memory = new CleanMemory(KEY);
  const bytes = Buffer.from(`"${'a'.repeat(600)}\\u0040example.com"`);
  memory.add(memory.name(bytes, 'raw', 1) ?? '');
  assert.equal(memory.has(memory.name(bytes, 'raw', 1) ?? ''), true);
  assert.equal(memory.has(memory.name(bytes, 'json', 1) ?? ''), false);
});

test('the memory of clean texts is bounded: the one not seen for longest goes', () => {
  const memory = new CleanMemory(KEY, 2);
  const [a = '', b = '', c = ''] = ['a', 'b', 'c'].map(
    (sign) => memory.name(Buffer.alloc(600, sign), 'json', 1) ?? '',
  );
  memory.add(a);
  memory.add(b);
  assert.equal(memory.has(a), true);
  memory.add(c);
  assert.deepEqual([memory.has(a), memory.has(b), memory.has(c)], [true, false, true]);
  assert.equal(memory.name(Buffer.from('short'), 'json', 1), null);
});

test('a match without an end is held within a bound, and its first part is redacted', () => {
  const entries = [
    entryOf({ patterns: [{ name: 'run', pattern: pattern('(?:x|y)=[a-z]+') }], on: ['answer'] }),
  ];
  const filter = guardrails().guardAnswer({ entries, scope: 'a' })?.text('text') ?? null;
  assert.ok(filter !== null);
  let sent = 0;
  let out = '';
  for (; sent < 200_000; sent += 1_000)
    out += filter.push(sent === 0 ? `go x=${'a'.repeat(995)}` : 'a'.repeat(1_000));
  assert.ok(sent - out.length < 40_000);
  out += filter.finish();
  assert.match(out, /^go <RUN_/);
});
