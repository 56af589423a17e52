import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { type JsonPath, type JsonValue, parseHujson } from '../wire/hujson.ts';
import { parseGatewayDocument } from '../policy/index.ts';
import { type DocumentEdit, editDocument } from './config-edit.ts';
import { DOCUMENT_SCHEMA } from './document-schema.ts';

const DOCUMENT = `// top
{
  // the providers
  "providers": {
    "openai": { "baseurl": "https://api.openai.com", "models": ["*"] }, // ours
    /* second */ "anthropic": {
      "models": ["claude-*"] // all
    }
  },
  "grants": []
}
`;

function edited(text: string, ...edits: readonly DocumentEdit[]): string {
  return edits.reduce((draft, edit) => {
    const found = editDocument(draft, edit);
    assert.ok('text' in found, 'fault' in found ? found.fault : '');
    return found.text;
  }, text);
}

function comments(text: string): readonly string[] {
  return text.match(/(?<!:)\/\/[^\n]*|\/\*[^]*?\*\//g) ?? [];
}

describe('an edit by path changes what it names and leaves every comment', () => {
  test('a value is replaced where it stands', () => {
    assert.equal(
      edited(DOCUMENT, { path: ['providers', 'anthropic', 'models'], value: ['claude-5'] }),
      DOCUMENT.replace('["claude-*"]', '["claude-5"]'),
    );
  });

  test('members and elements are added behind the last, and what is missing is made', () => {
    const text = edited(
      DOCUMENT,
      { path: ['providers', 'mistral'], value: { models: ['*'] } },
      { path: ['providers', 'openai', 'disabled'], value: true },
      { path: ['grants', 0], value: { src: ['*'] } },
      { path: ['grants', 1, 'src', 0], value: 'x' },
      { path: ['quotas', 'day', 'capacity'], value: '$5' },
    );
    assert.deepEqual(comments(text), comments(DOCUMENT));
    assert.deepEqual(JSON.parse(JSON.stringify(parseHujson(text).value)), {
      providers: {
        openai: { baseurl: 'https://api.openai.com', models: ['*'], disabled: true },
        anthropic: { models: ['claude-*'] },
        mistral: { models: ['*'] },
      },
      grants: [{ src: ['*'] }, { src: ['x'] }],
      quotas: { day: { capacity: '$5' } },
    });
    assert.equal(edited('', { path: ['a'], value: 1 }), '{\n  "a": 1,\n}\n');
  });

  test('what is removed takes its comma along, and no comment', () => {
    assert.equal(edited('{"a":1, "c":3}', { path: ['a'], remove: true }), '{ "c":3}');
    assert.equal(
      edited('{\n  "a": 1,\n  "b": 2, // two\n}', { path: ['a'], remove: true }),
      '{\n  "b": 2, // two\n}',
    );
    assert.equal(edited('{"a":[1,2,3]}', { path: ['a', 1], remove: true }), '{"a":[1,3]}');
    const text = edited(DOCUMENT, { path: ['providers', 'anthropic', 'models'], remove: true });
    assert.deepEqual(comments(text), comments(DOCUMENT));
  });

  const faults: readonly (readonly [what: string, edit: DocumentEdit])[] = [
    ['a list is not begun at element 3', { path: ['a', 'b', 3], value: 1 }],
    ['nor gone on with a gap', { path: ['grants', 7], value: 1 }],
    ['there is nothing to remove', { path: ['nope'], remove: true }],
    ['a text has no members', { path: ['providers', 'openai', 'baseurl', 'x'], value: 1 }],
    ['an object has no elements', { path: ['providers', 0], value: 1 }],
    ['nor a list members', { path: ['grants', 'x'], value: 1 }],
  ];
  for (const [what, edit] of faults)
    test(`refused: ${what}`, () => assert.ok('fault' in editDocument(DOCUMENT, edit)));

  test('whatever is set anywhere is there afterwards, and the text can be read', () => {
    const key = fc.oneof(
      fc.constantFrom('a', 'b', '__proto__', '//', '/* x', 'q"'),
      fc.string({ maxLength: 5 }),
    );
    const json = fc.jsonValue({ maxDepth: 2 }).map((value): JsonValue => JSON.parse(JSON.stringify(value)));
    const edit = fc.record({ path: fc.array(key, { minLength: 1, maxLength: 3 }), value: json });
    fc.assert(
      fc.property(fc.array(edit, { maxLength: 5 }), fc.boolean(), (edits, removes) => {
        let text = '{ // a note\n  "first": [1, 2], /* another */\n}';
        for (const { path, value } of edits) {
          const found = editDocument(text, { path, value });
          if (!('text' in found)) continue;
          text = found.text;
          assert.deepEqual(plain(valueIn(text, path)), plain(value));
          if (!removes) continue;
          text = edited(text, { path, remove: true });
          assert.equal(parseHujson(text).spanOf(path), null);
        }
        assert.deepEqual(comments(text).slice(0, 1), ['// a note']);
      }),
    );
  });
});

function valueIn(text: string, path: JsonPath): unknown {
  const span = parseHujson(text).spanOf(path);
  assert.ok(span !== null);
  return parseHujson(text.slice(span.start, span.end)).value;
}

function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

describe('the schema for editors names what the reader of documents knows, and nothing else', () => {
  const properties = (schema: unknown): Readonly<Record<string, unknown>> =>
    Object(Object(schema)['properties']) as Readonly<Record<string, unknown>>;
  const top = properties(DOCUMENT_SCHEMA);
  const places: readonly (readonly [name: string, schema: unknown, wrap: (value: unknown) => unknown])[] = [
    ['the document', DOCUMENT_SCHEMA, (value) => value],
    [
      'a provider',
      Object(top['providers'])['additionalProperties'],
      (value) => ({ providers: { x: value } }),
    ],
    ['a quota', Object(top['quotas'])['additionalProperties'], (value) => ({ quotas: { x: value } })],
    ['a hook', Object(top['hooks'])['additionalProperties'], (value) => ({ hooks: { x: value } })],
    [
      'a guardrail',
      Object(top['guardrails'])['additionalProperties'],
      (value) => ({ guardrails: { x: value } }),
    ],
    ['a tool rule', Object(top['tools'])['items'], (value) => ({ tools: [value] })],
    ['a test', Object(top['tests'])['items'], (value) => ({ tests: [value] })],
    ['routing', top['routing'], (value) => ({ routing: value })],
    [
      'a capability',
      Object(properties(properties(Object(top['grants'])['items'])['app'])['postern.dev/cap/gateway'])[
        'items'
      ],
      (value) => ({ grants: [{ src: ['*'], app: { 'postern.dev/cap/gateway': [value] } }] }),
    ],
  ];
  for (const [name, schema, wrap] of places) {
    test(name, () => {
      const names = Object.keys(properties(schema));
      assert.ok(names.length > 3, name);
      const unknown = (key: string): readonly string[] =>
        parseGatewayDocument(JSON.stringify(wrap({ [key]: null })), { source: 'file' })
          .problems.filter(({ code, message }) => code === 'unknown_key' && message.includes(key))
          .map(({ message }) => message);
      for (const key of names) assert.deepEqual(unknown(key), [], key);
      assert.equal(unknown('no_such_key_at_all').length, 1);
    });
  }
});
