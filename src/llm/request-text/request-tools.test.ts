import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import '../../../test/property-seed.ts';
import { scanJsonDocument } from '../../wire/json-scan.ts';
import { requestTools, toolNames, withoutTools } from './request-tools.ts';

function read(value: unknown): { body: Buffer; members: ReturnType<typeof scanJsonDocument> } {
  const body = Buffer.from(JSON.stringify(value, null, 1));
  return { body, members: scanJsonDocument(body) };
}

function named(value: unknown): string[] {
  const { body, members } = read(value);
  return requestTools(body, { members }).map(({ name, kind, providerKind }) =>
    providerKind === null ? `${kind} ${name}` : `${kind} ${name} (${providerKind})`,
  );
}

const f = { type: 'function', function: { name: 'f', parameters: {} } };

test('tools of every format, with who runs them', () => {
  assert.deepEqual(
    named({ tools: [f, { type: 'custom', custom: { name: 'g' } }], functions: [{ name: 'h' }] }),
    ['function f', 'custom g', 'function h'],
  );
  assert.deepEqual(
    named({
      tools: [
        { type: 'function', name: 'f' },
        { type: 'custom', name: 'g' },
      ],
    }),
    ['function f', 'custom g'],
  );
  assert.deepEqual(
    named({
      tools: [
        { name: 'f', input_schema: {} },
        { type: 'custom', name: 'g', input_schema: {} },
        { type: 'web_search_20250305', name: 'web_search' },
        { type: 'code_execution_20250825', name: 'code_execution' },
        { type: 'bash_20250124', name: 'bash' },
        { type: 'text_editor_20250728', name: 'str_replace_based_edit_tool' },
        { type: 'mcp_toolset', mcp_server_name: 's' },
      ],
      mcp_servers: [{ type: 'url', name: 's', url: 'https://s.example' }],
    }),
    [
      'function f',
      'function g',
      'provider web_search (web_search_20250305)',
      'provider code_execution (code_execution_20250825)',
      'function bash (bash_20250124)',
      'function str_replace_based_edit_tool (text_editor_20250728)',
      'provider mcp:s (mcp_toolset)',
      'provider mcp:s (mcp_servers)',
    ],
  );
  assert.deepEqual(
    named({
      tools: [
        { type: 'web_search' },
        { type: 'file_search', vector_store_ids: ['v'] },
        { type: 'mcp', server_label: 'l', server_url: 'https://l.example' },
        { type: 'local_shell' },
        { type: 'shell', environment: { type: 'local' } },
        { type: 'shell', environment: { type: 'container_auto' } },
        { type: 'a_new_one' },
        { type: 'namespace', name: 'n', tools: [{ type: 'function', name: 'inner' }] },
      ],
      input: [
        { type: 'tool_search_output', tools: [{ type: 'function', name: 'late' }] },
        { role: 'user', content: 'x' },
      ],
      prompt: { id: 'p' },
    }),
    [
      'provider web_search (web_search)',
      'provider file_search (file_search)',
      'provider mcp:l (mcp)',
      'function local_shell (local_shell)',
      'function shell (shell)',
      'provider shell (shell)',
      'provider a_new_one (a_new_one)',
      'function inner',
      'function late',
      'provider stored_prompt (prompt)',
    ],
  );
  assert.deepEqual(
    named({
      tools: [
        { functionDeclarations: [{ name: 'f' }, { name: 'g' }], googleSearch: {} },
        { url_context: {} },
        { computerUse: {} },
      ],
    }),
    [
      'function f',
      'function g',
      'provider googleSearch (googleSearch)',
      'provider url_context (url_context)',
      'function computer_use (computerUse)',
    ],
  );
  assert.deepEqual(
    named({
      toolConfig: {
        tools: [{ toolSpec: { name: 'f' } }, { systemTool: { name: 'nova_grounding' } }, { cachePoint: {} }],
      },
    }),
    ['function f', 'provider nova_grounding (systemTool)'],
  );
  assert.deepEqual(named({ web_search_options: {}, plugins: [{ id: 'web' }] }), [
    'provider web_search (web_search_options)',
    'provider web (plugins)',
  ]);
  assert.deepEqual(
    named({ additionalModelRequestFields: { tools: [{ type: 'computer_20250124', name: 'computer' }] } }),
    ['function computer (computer_20250124)'],
  );
  assert.deepEqual(named({ prompt: 'text', web_search_options: null, input: 'x', tools: null }), []);
});

test('a tool whose keys are given twice is nobody’s: it counts as one of the provider', () => {
  const body = Buffer.from(
    '{"tools":[{"type":"function","type":"web_search","name":"f"},{"type":"function","function":{"name":"a","name":"b"}}]}',
  );
  const tools = requestTools(body, { members: scanJsonDocument(body) });
  assert.deepEqual(
    tools.map(({ kind, name }) => `${kind} ${name}`),
    ['provider ambiguous', 'provider ambiguous'],
  );
});

/** The body after the named tools have gone. */
function without(value: unknown, names: readonly string[]): unknown {
  const { body, members } = read(value);
  const gone = requestTools(body, { members }).filter(({ name }) => names.includes(name));
  return JSON.parse(withoutTools(body, { members }, gone).toString());
}

test('taking tools out leaves a request that providers take', () => {
  const search = { type: 'web_search_20250305', name: 'web_search' };
  const own = { name: 'f', input_schema: {} };
  assert.deepEqual(without({ a: 1, tools: [search, own], b: 2 }, ['web_search']), {
    a: 1,
    tools: [own],
    b: 2,
  });
  assert.deepEqual(without({ tools: [own, search, own, search] }, ['web_search']), { tools: [own, own] });
  assert.deepEqual(without({ a: 1, tools: [search], tool_choice: { type: 'auto' } }, ['web_search']), {
    a: 1,
  });
  assert.deepEqual(
    without({ tools: [search, own], tool_choice: { type: 'tool', name: 'web_search' }, z: 1 }, [
      'web_search',
    ]),
    { tools: [own], z: 1 },
  );
  assert.deepEqual(without({ tools: [search, own], tool_choice: { type: 'auto' } }, ['web_search']), {
    tools: [own],
    tool_choice: { type: 'auto' },
  });
  assert.deepEqual(without({ web_search_options: {}, model: 'm' }, ['web_search']), { model: 'm' });
  assert.deepEqual(
    without({ tools: [{ functionDeclarations: [{ name: 'f' }], googleSearch: {} }] }, ['googleSearch']),
    { tools: [{ functionDeclarations: [{ name: 'f' }] }] },
  );
  assert.deepEqual(
    without({ contents: [], tools: [{ googleSearch: {} }], toolConfig: { a: 1 } }, ['googleSearch']),
    { contents: [], toolConfig: { a: 1 } },
  );
  assert.deepEqual(without({ messages: [], toolConfig: { tools: [{ systemTool: { name: 's' } }] } }, ['s']), {
    messages: [],
  });
  assert.deepEqual(
    without({ toolConfig: { tools: [{ systemTool: { name: 's' } }, { toolSpec: { name: 'f' } }] } }, ['s']),
    { toolConfig: { tools: [{ toolSpec: { name: 'f' } }] } },
  );
  assert.deepEqual(
    without(
      {
        tools: [
          {
            type: 'namespace',
            name: 'n',
            tools: [
              { type: 'mcp', server_label: 'l' },
              { type: 'function', name: 'f' },
            ],
          },
        ],
      },
      ['mcp:l'],
    ),
    {
      tools: [{ type: 'namespace', name: 'n', tools: [{ type: 'function', name: 'f' }] }],
    },
  );
  assert.deepEqual(
    without({ tools: [own, { type: 'namespace', name: 'n', tools: [{ type: 'mcp', server_label: 'l' }] }] }, [
      'mcp:l',
    ]),
    { tools: [own] },
  );
  assert.deepEqual(
    without(
      { input: [{ type: 'tool_search_output', tools: [{ type: 'mcp', server_label: 'l' }] }], tools: [own] },
      ['mcp:l'],
    ),
    {
      input: [{ type: 'tool_search_output', tools: [] }],
      tools: [own],
    },
  );
});

test('taking nothing out gives the very bytes', () => {
  const { body, members } = read({ tools: [f] });
  assert.equal(withoutTools(body, { members }, []), body);
});

const TOOL = fc.constantFrom<object>(
  f,
  { type: 'web_search' },
  { googleSearch: {}, functionDeclarations: [{ name: 'f' }, { name: 'g' }] },
  {
    type: 'namespace',
    tools: [
      { type: 'mcp', server_label: 'l' },
      { type: 'function', name: 'f' },
    ],
  },
  { toolSpec: { name: 'f' } },
  { systemTool: { name: 's' } },
  { type: 'mcp', server_label: 'l' },
);

test('whatever is taken out is gone, all else stays, and the body is JSON', () => {
  fc.assert(
    fc.property(
      fc.array(TOOL, { maxLength: 5 }),
      fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }),
      fc.constantFrom('tools', 'toolConfig'),
      (tools, choices, key) => {
        const { body, members } = read({ model: 'm', [key]: key === 'tools' ? tools : { tools }, n: 1 });
        const all = requestTools(body, { members });
        const gone = all.filter((_, i) => choices[i % choices.length] === true);
        const left = all.filter((one) => !gone.includes(one));
        const edited = withoutTools(body, { members }, gone);
        const after = requestTools(edited, { members: scanJsonDocument(edited) });
        assert.deepEqual(
          after.map(({ name }) => name),
          left.map(({ name }) => name),
        );
      },
    ),
    { numRuns: 500 },
  );
});

test('tools: a rule may mean a tool of the provider by every way in which it can be written', () => {
  const names = (tool: object): readonly string[] => {
    const body = Buffer.from(JSON.stringify({ tools: [tool] }));
    const members = scanJsonDocument(body);
    return requestTools(body, { members }).flatMap(toolNames);
  };
  for (const type of ['web_search', 'web_search_preview', 'web_search_2025_08_26', 'web_search_20250305'])
    assert.ok(names({ type, name: 'harmless' }).includes('web_search'), type);
  assert.ok(names({ google_search: {} }).includes('googleSearch'));
  assert.ok(names({ googleSearch: {} }).includes('google_search'));
  assert.deepEqual(names({ type: 'function', name: 'google_search' }), ['google_search']);
});
