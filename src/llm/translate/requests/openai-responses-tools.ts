/** The tools of a Responses request that the caller runs: functions, custom tools, groups of both, the local shell, tool search. */
import { asArray, asRecord, get, type JsonRecord } from '../../formats/findings.ts';
import type { Tool, ToolChoice, ToolName } from '../conversation.ts';
import type { Losses } from '../losses.ts';
import { customTool } from './custom-tools.ts';
import { booleanOrNull, stringOrNull } from './values.ts';

const SHELL: Tool = {
  name: { kind: 'local_shell', namespace: null, name: 'local_shell' },
  description: "Runs a command on the user's machine and gives back its output.",
  schema: {
    type: 'object',
    properties: {
      command: { type: 'array', items: { type: 'string' }, description: 'The program and its arguments.' },
      working_directory: { type: 'string' },
      timeout_ms: { type: 'integer' },
      env: { type: 'object', additionalProperties: { type: 'string' } },
    },
    required: ['command'],
  },
  strict: null,
  cache: null,
};

export function readResponsesTools(
  body: JsonRecord,
  losses: Losses,
): { readonly tools: readonly Tool[]; readonly choice: ToolChoice | null } {
  const declared = asArray(body['tools']).flatMap((tool) => readTool(tool, null, losses));
  const found = asArray(body['input']).flatMap((item) =>
    get(item, 'type') === 'tool_search_output'
      ? asArray(get(item, 'tools')).flatMap((tool) => readTool(tool, null, losses))
      : [],
  );
  const tools = withoutRepeats([...declared, ...found]);
  const choice = body['tool_choice'];
  if (choice === 'auto' || choice === 'required' || choice === 'none')
    return { tools, choice: { mode: choice } };
  if (get(choice, 'type') === 'allowed_tools') {
    const names = new Set(
      asArray(get(choice, 'tools')).map((tool) => get(tool, 'name') ?? get(tool, 'type')),
    );
    const mode = get(choice, 'mode') === 'required' ? 'required' : 'auto';
    return {
      tools: tools.filter(({ name }) => names.has(name.name) || names.has(name.namespace)),
      choice: { mode },
    };
  }
  return { tools, choice: chosenTool(choice, losses) };
}

/** What a search finds may have been declared, or found before. */
function withoutRepeats(tools: readonly Tool[]): readonly Tool[] {
  const seen = new Set<string>();
  return tools.filter(({ name }) => {
    const key = JSON.stringify([name.kind, name.namespace, name.name]);
    const isNew = !seen.has(key);
    seen.add(key);
    return isNew;
  });
}

function chosenTool(choice: unknown, losses: Losses): ToolChoice | null {
  const type = get(choice, 'type');
  const name = get(choice, 'name');
  if ((type === 'function' || type === 'custom') && typeof name === 'string') {
    const tool: ToolName = { kind: type, namespace: null, name };
    return { mode: 'tool', tool };
  }
  if (type === 'local_shell') return { mode: 'tool', tool: SHELL.name };
  if (choice !== undefined && choice !== null) losses.add('tool_choice');
  return null;
}

function readTool(tool: unknown, namespace: string | null, losses: Losses): readonly Tool[] {
  const found = asRecord(tool) ?? {};
  const { type, name } = found;
  switch (type) {
    case 'function': {
      if (typeof name !== 'string') break;
      return [
        {
          name: { kind: 'function', namespace, name },
          description: stringOrNull(found['description']),
          schema: asRecord(found['parameters']) ?? {},
          strict: booleanOrNull(found['strict']),
          cache: null,
        },
      ];
    }
    case 'custom': {
      const custom = customTool(found, found['format'], namespace, losses);
      if (custom === null) break;
      return [custom];
    }
    case 'namespace':
      // One level: a group within a group is none.
      if (namespace !== null || typeof name !== 'string') break;
      return asArray(found['tools']).flatMap((inner) => readTool(inner, name, losses));
    case 'local_shell':
      return [SHELL];
    case 'tool_search':
      // Where the provider searches, it does so in tools that it holds back; here all are shown.
      if (found['execution'] !== 'client') break;
      return [
        {
          name: { kind: 'tool_search', namespace: null, name: 'tool_search' },
          description: stringOrNull(found['description']),
          schema: asRecord(found['parameters']) ?? {},
          strict: null,
          cache: null,
        },
      ];
    default:
      break;
  }
  losses.add(`tools.${typeof type === 'string' ? type : 'unknown'}`);
  return [];
}
