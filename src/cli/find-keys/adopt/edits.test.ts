import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import '../../../../test/property-seed.ts';
import { parseHujson } from '../../../wire/hujson.ts';
import { openAiKey } from '../keys.fixture.ts';
import { jsonAt, pathsOfString, renameMember, setJson } from './edit-json.ts';
import { editVariables, editYaml, setTopToml } from './edit-lines.ts';
import { planEdit } from './plan-edit.ts';

const REPLACEMENT = {
  credential: '-',
  origin: 'http://localhost:8080',
  redirect: { variable: 'OPENAI_BASE_URL', path: '/v1', apiPath: '/v1' },
} as const;
const KEY = openAiKey();

describe('setJson', () => {
  test('adds a member first in its object, in the style that it has', () => {
    assert.equal(setJson('{}', ['a'], 'x'), '{"a": "x"}');
    assert.equal(setJson('{"b":1}', ['a'], 'x'), '{"a": "x", "b":1}');
    assert.equal(setJson('{ "b": 1 }', ['a'], 'x'), '{ "a": "x", "b": 1 }');
    assert.equal(
      setJson('{\n\t"b": 1,\n}', ['a', 'c'], 'x'),
      '{\n\t"a": {\n\t\t"c": "x"\n\t},\n\t"b": 1,\n}',
    );
    assert.equal(setJson('{\n  // note\n  "b": 1\n}', ['b'], 'x'), '{\n  // note\n  "b": "x"\n}');
  });

  test('refuses where something else than an object is in the way', () => {
    assert.equal(setJson('{"a": 1}', ['a', 'b'], 'x'), null);
    assert.equal(setJson('[]', ['a'], 'x'), null);
    assert.equal(setJson('{"a": []}', ['a', 0], 'x'), null);
  });

  test('after it the document says that, and everything else says what it said', () => {
    const value = fc.dictionary(fc.string({ maxLength: 6 }), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 4 });
    fc.assert(
      fc.property(
        value,
        fc.constantFrom(undefined, 1, 2, '\t'),
        fc.string({ maxLength: 8 }),
        fc.string(),
        (object, indent, name, set) => {
          const text = JSON.stringify(object, null, indent);
          const edited = setJson(text, [name], set);
          assert.ok(edited !== null);
          assert.equal(jsonAt(edited, [name]), set);
          const { [name]: _, ...rest } = JSON.parse(text);
          const { [name]: __, ...after } = JSON.parse(JSON.stringify(parseHujson(edited).value));
          assert.deepEqual(after, rest);
        },
      ),
    );
  });

  test('finds a string wherever it is, and renames the member that holds it', () => {
    const text = '{"a": ["k", {"b" : "k"}], "k": "other"}';
    assert.deepEqual(pathsOfString(text, 'k'), [
      ['a', 0],
      ['a', 1, 'b'],
    ]);
    assert.equal(renameMember(text, ['a', 1, 'b'], 'c'), '{"a": ["k", {"c" : "k"}], "k": "other"}');
  });
});

describe('editVariables', () => {
  const edit = (text: string): string => {
    const edited = editVariables(text, KEY, ['OPENAI_API_KEY'], REPLACEMENT);
    return 'text' in edited ? edited.text : `refused: ${edited.refused}`;
  };

  test('changes the line of the key, and says the address after it', () => {
    assert.equal(
      edit(`A=1\nOPENAI_API_KEY=${KEY}\nB=2\n`),
      'A=1\nOPENAI_API_KEY=-\nOPENAI_BASE_URL=http://localhost:8080/v1\nB=2\n',
    );
    assert.equal(
      edit(`export OPENAI_API_KEY='${KEY}'`),
      "export OPENAI_API_KEY='-'\nexport OPENAI_BASE_URL='http://localhost:8080/v1'",
    );
    assert.equal(
      edit(`OPENAI_BASE_URL="x"\nOPENAI_API_KEY=${KEY} # c\n`),
      'OPENAI_BASE_URL="http://localhost:8080/v1"\nOPENAI_API_KEY=- # c\n',
    );
  });

  test('refuses a line that says more than the key', () => {
    for (const line of [
      `OPENAI_API_KEY=${KEY} command`,
      `A=1 OPENAI_API_KEY=${KEY}`,
      `f ${KEY}`,
      `OPENAI_API_KEY=x${KEY}`,
    ])
      assert.match(edit(line), /^refused/, line);
  });

  test('every other line stays byte for byte', () => {
    const other = fc.stringMatching(/^[ -~]{0,20}$/).filter((line) => !/OPENAI_/.test(line));
    fc.assert(
      fc.property(
        fc.array(other, { maxLength: 5 }),
        fc.array(other, { maxLength: 5 }),
        fc.constantFrom('\n', '\r\n'),
        (above, below, eol) => {
          const text = [...above, `OPENAI_API_KEY=${KEY}`, ...below].join(eol);
          const expected = [
            ...above,
            'OPENAI_API_KEY=-',
            'OPENAI_BASE_URL=http://localhost:8080/v1',
            ...below,
          ].join(eol);
          const first = text.includes('\n') ? eol : '\n';
          assert.equal(
            edit(text),
            above.length + below.length === 0 ? expected.replaceAll(eol, first) : expected,
          );
        },
      ),
    );
  });
});

describe('editYaml', () => {
  const names = { key: ['apiKey'], address: 'apiBase' };
  const values = { credential: '-', address: 'http://b/' };
  const edit = (text: string): string => {
    const edited = editYaml(text, KEY, names, values);
    return 'text' in edited ? edited.text : `refused: ${edited.refused}`;
  };

  test('changes an address beside the key, above or below, and no other', () => {
    assert.equal(
      edit(`- apiKey: ${KEY}\n  apiBase: x # c\n- apiBase: y\n`),
      '- apiKey: "-"\n  apiBase: "http://b/" # c\n- apiBase: y\n',
    );
    assert.equal(
      edit(`- apiBase: y\n- apiKey: ${KEY}\n`),
      '- apiBase: y\n- apiKey: "-"\n  apiBase: "http://b/"\n',
    );
    assert.equal(edit(`m:\n  apiBase: x\n  apiKey: ${KEY}\n`), 'm:\n  apiBase: "http://b/"\n  apiKey: "-"\n');
    assert.equal(edit(`- apiBase: x\n  apiKey: ${KEY}\n`), '- apiBase: "http://b/"\n  apiKey: "-"\n');
  });

  test('refuses a key elsewhere', () => {
    assert.match(edit(`note: the key is ${KEY}\n`), /^refused/);
    assert.match(edit(`other: ${KEY}\n`), /^refused/);
  });
});

test('setTopToml replaces its line before the first table, else becomes the first', () => {
  assert.equal(setTopToml('', 'a', 'x'), 'a = "x"\n');
  assert.equal(
    setTopToml('# c\n a = 1 \nb = 2\n[t]\na = 3\n', 'a', 'x'),
    '# c\na = "x"\nb = 2\n[t]\na = 3\n',
  );
  assert.equal(setTopToml('[t]\na = 3', 'a', 'x'), 'a = "x"\n[t]\na = 3');
});

test('a plan never throws, and never leaves the key in the text', () => {
  const names = [
    '.env',
    'settings.json',
    'auth.json',
    'config.yaml',
    '.aider.conf.yml',
    'config.toml',
    '.bashrc',
    '.claude.json',
  ];
  const clients = ['claude', 'codex', 'opencode', 'continue', 'aider', 'dotenv', 'shell', null] as const;
  const around = fc.string({ maxLength: 30 });
  fc.assert(
    fc.property(
      fc.constantFrom(...names),
      fc.constantFrom(...clients),
      around,
      around,
      fc.constantFrom('"', '', "'"),
      (name, client, before, after, quote) => {
        const text = `${before}${quote}OPENAI_API_KEY${quote}: ${quote}${KEY}${quote}${after}`;
        const plan = planEdit({
          path: `/home/x/${name}`,
          text,
          key: KEY,
          service: 'openai',
          client,
          origin: 'http://localhost',
          credential: '-',
        });
        if ('text' in plan) assert.equal(plan.text.includes(KEY), false);
        else assert.ok(plan.refused.length > 0 && !plan.refused.includes(KEY));
      },
    ),
  );
});
