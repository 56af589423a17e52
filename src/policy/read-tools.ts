/** `tools`: rules on the calls that a model asks for, at the top level or in a capability. */
import { type Cursor, quoteShort } from './cursor.ts';
import { patternFault } from './glob.ts';
import type { ArgumentTest, ToolRule } from './governance.ts';
import { parseJsonPath } from './json-path.ts';
import { sourceFault } from './match-source.ts';
import { compilePattern } from './pattern.ts';

const RULE_KEYS = ['tools', 'when', 'action', 'message', 'set', 'approval', 'agents', 'comment'];
const TEST_KEYS = ['path', 'matches', 'not_matches', 'equals', 'in', 'exists'];
const ACTIONS = ['allow', 'deny', 'rewrite', 'ask'] as const;
/** Rules of one list. */
const RULES_MAX = 500;
const MESSAGE_MAX_LENGTH = 2000;

/**
 * Reads a list of rules. A rule that cannot be read is an error of what it stands in: left out, it
 * would open what it closes. `withSource` where rules say themselves whom they mean.
 */
export function readToolRules(cursor: Cursor, withSource: boolean): readonly ToolRule[] {
  if (!cursor.exists) return [];
  if (!Array.isArray(cursor.value)) {
    cursor.error(
      'bad_type',
      `${cursor.name} must be a list of rules`,
      'write [{"tools": ["Bash"], "action": "ask"}]',
    );
    return [];
  }
  const items = cursor.items();
  if (items.length > RULES_MAX)
    cursor.error('bad_value', `${cursor.name} has more than ${RULES_MAX} rules`, 'use patterns');
  return items.map((item) => readRule(item, withSource)).filter((rule) => rule !== null);
}

function readRule(item: Cursor, withSource: boolean): ToolRule | null {
  const at = item.isolate();
  at.onlyKnown(withSource ? ['src', 'models', ...RULE_KEYS] : RULE_KEYS, 'tool rule');
  const action = at.at('action').oneOf(ACTIONS);
  if (action === null && !at.broken)
    at.fail('missing_field', `${at.name} has no action`, 'add "action": "allow", "deny", "ask" or "rewrite"');
  const agents = at.at('agents').exists ? readGlobs(at.at('agents')) : null;
  if (agents !== null && action !== 'ask' && action !== 'deny')
    at.at('agents').fail(
      'bad_value',
      `${at.name} lets a call pass by a label, which every caller writes itself`,
      'use "agents" with "deny" or "ask" only',
    );
  const rule: ToolRule = {
    path: at.name,
    src: withSource && at.at('src').exists ? readSources(at.at('src')) : null,
    models: at.at('models').exists ? readGlobs(at.at('models')) : null,
    agents,
    tools: at.at('tools').exists ? readGlobs(at.at('tools')) : [],
    when: at
      .at('when')
      .items()
      .map(readTest)
      .filter((test) => test !== null),
    action: action ?? 'deny',
    message: readMessage(at.at('message')),
    set: readSettings(at.at('set')),
    approval: at.at('approval').string() ?? 'default',
  };
  if (rule.tools.length === 0 && !at.broken)
    at.fail('missing_field', `${at.name} names no tool`, 'add "tools": ["Bash"], or ["*"] for all');
  if ((rule.action === 'rewrite') !== rule.set.length > 0 && !at.broken)
    at.fail(
      'bad_value',
      `${at.name}: "set" belongs to "rewrite", and "rewrite" needs it`,
      'add or remove "set"',
    );
  if (!at.broken) return rule;
  item.error(
    'bad_tool_rule',
    `${item.name} cannot be read, and leaving it out would open what it closes`,
    'mend the rule',
  );
  return null;
}

/** Who is meant, in a rule that restricts. */
export function readSources(cursor: Cursor): readonly string[] {
  const sources = cursor.strings();
  for (const source of sources) {
    const bad = sourceFault(source);
    if (bad !== null)
      cursor.fail(
        'bad_value',
        `${cursor.name} ${bad}`,
        'write "*", a login, "group:x", "tag:x" or a principal',
      );
  }
  if (sources.length === 0)
    cursor.fail('bad_value', `${cursor.name} names nobody`, 'name somebody, or leave it out');
  return sources;
}

function readGlobs(cursor: Cursor): readonly string[] {
  const globs: string[] = [];
  for (const item of Array.isArray(cursor.value) ? cursor.items() : [cursor]) {
    const pattern = item.string();
    if (pattern === null) continue;
    const bad = patternFault(pattern);
    if (bad === null) globs.push(pattern);
    else item.fail('bad_pattern', `${item.name} ${bad}`, 'write a name, with "*" for any run of characters');
  }
  if (globs.length === 0)
    cursor.fail('bad_value', `${cursor.name} is empty`, 'name something, or leave it out');
  return globs;
}

function readTest(item: Cursor): ArgumentTest | null {
  item.onlyKnown(TEST_KEYS, 'condition');
  const path = readPath(item.at('path'));
  const kinds = TEST_KEYS.filter((key) => key !== 'path' && item.at(key).exists);
  const [kind] = kinds;
  if (path === null) return null;
  if (kind === undefined || kinds.length > 1) {
    item.fail(
      'bad_value',
      `${item.name} must have one of ${TEST_KEYS.slice(1).join(', ')}`,
      'keep one of them',
    );
    return null;
  }
  const at = item.at(kind);
  switch (kind) {
    case 'matches':
    case 'not_matches': {
      const pattern = readPattern(at);
      return pattern === null ? null : { path, test: { kind, pattern } };
    }
    case 'equals':
      return { path, test: { kind, value: at.value ?? null } };
    case 'in':
      return { path, test: { kind, values: at.items().map(({ value }) => value ?? null) } };
    default: {
      const exists = at.boolean();
      return exists === null ? null : { path, test: { kind: 'exists', exists } };
    }
  }
}

/** An RE2 pattern; null (and a fault) if it is none. */
export function readPattern(at: Cursor): ReturnType<typeof toPattern> {
  const text = at.string();
  if (text === null) return null;
  const pattern = toPattern(text);
  if (pattern === null) {
    const why = compilePattern(text);
    at.fail(
      'bad_pattern',
      `${at.name} ${typeof why === 'string' ? why : ''}`,
      'write an RE2 pattern, such as "^git (status|diff)"',
    );
  }
  return pattern;
}

function toPattern(text: string): Exclude<ReturnType<typeof compilePattern>, string> | null {
  const pattern = compilePattern(text);
  return typeof pattern === 'string' ? null : pattern;
}

function readPath(at: Cursor): ArgumentTest['path'] | null {
  const text = at.string();
  if (text === null) {
    if (!at.exists) at.fail('missing_field', `${at.name} is missing`, 'write "$.command"');
    return null;
  }
  const path = parseJsonPath(text);
  if (typeof path !== 'string') return path;
  at.fail('bad_value', `${at.name} ${path}`, 'write a path such as "$.command" or "$.edits[*].file"');
  return null;
}

/** `set`: `{ "$.timeout": 5 }`. */
function readSettings(cursor: Cursor): ToolRule['set'] {
  const settings: ToolRule['set'][number][] = [];
  for (const key of cursor.members() ?? []) {
    const path = parseJsonPath(key);
    if (typeof path === 'string')
      cursor.at(key).fail('bad_value', `${quoteShort(key)} ${path}`, 'write a path such as "$.timeout"');
    else settings.push({ path, value: cursor.at(key).value ?? null });
  }
  return settings;
}

/** A short text for people or models. */
export function readMessage(at: Cursor): string | null {
  const text = at.string();
  if (text !== null && text.length > MESSAGE_MAX_LENGTH)
    at.fail('bad_value', `${at.name} has more than ${MESSAGE_MAX_LENGTH} characters`, 'shorten it');
  return text;
}
