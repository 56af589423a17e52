/**
 * What the members of a request mean, whatever its format: formats share names, and where they do not, a
 * name means the same wherever it occurs. What is not known here counts as text said to the model.
 * Sources: the API references of OpenAI (Chat, Responses), Anthropic (Messages), Gemini and Vertex AI
 * (generateContent), and Bedrock (Converse, InvokeModel).
 */
import type { TextDirection, TextRole } from './text-part.ts';

/** One object or list on the way to a text. Filled while it is read: `role` may come after the content. */
export interface Scope {
  readonly parent: Scope | null;
  /** The member that it is; of a list's element, the list's. */
  readonly name: string;
  /** By the member's name; null where that says nothing. */
  readonly direction: TextDirection | null;
  readonly role: TextRole | null;
  /** The caller's own data: no member's name means anything, numbers count. */
  readonly isOwn: boolean;
  readonly isSigned: boolean;
  /** Values of its own `type`, `role` and `thought`, once read. */
  typeName: string | null;
  roleName: string | null;
  isThought: boolean;
}

const ROLES_BY_MEMBER: ReadonlyMap<string, TextRole> = new Map<string, TextRole>([
  ['system', 'system'],
  ['instructions', 'system'],
  ['systemInstruction', 'system'],
  ['system_instruction', 'system'],
  ['preamble', 'system'],
  ['tools', 'declaration'],
  ['functions', 'declaration'],
  ['toolConfig', 'declaration'],
  ['tool_config', 'declaration'],
  ['mcp_servers', 'declaration'],
  ['response_format', 'declaration'],
  ['responseSchema', 'declaration'],
]);

const DIRECTIONS_BY_MEMBER: ReadonlyMap<string, TextDirection> = new Map<string, TextDirection>([
  ['toolResult', 'tool_results'],
  ['functionResponse', 'tool_results'],
  ['function_response', 'tool_results'],
  ['codeExecutionResult', 'tool_results'],
  ['code_execution_result', 'tool_results'],
  ['tool_results', 'tool_results'],
  ['toolUse', 'tool_arguments'],
  ['functionCall', 'tool_arguments'],
  ['function_call', 'tool_arguments'],
  ['executableCode', 'tool_arguments'],
  ['executable_code', 'tool_arguments'],
  ['tool_calls', 'tool_arguments'],
]);

/** Members whose values are the caller's own data, by the member around them. */
const OWN_BY_PARENT: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ['args', new Set(['functionCall', 'function_call'])],
  ['response', new Set(['functionResponse', 'function_response'])],
  ['input', new Set(['toolUse'])],
  ['json', new Set(['content'])],
]);

/** The scope of an object or list that stands under `name`. */
export function enterScope(parent: Scope, name: string): Scope {
  return {
    parent,
    name,
    direction: parent.isOwn ? null : (DIRECTIONS_BY_MEMBER.get(name) ?? null),
    role: parent.parent === null ? (ROLES_BY_MEMBER.get(name) ?? null) : null,
    isOwn: parent.isOwn || isOwnData(parent, name),
    isSigned: parent.isSigned || SIGNED_MEMBERS.has(name),
    typeName: null,
    roleName: null,
    isThought: false,
  };
}

const SIGNED_MEMBERS: ReadonlySet<string> = new Set([
  'reasoningContent',
  'thinking_blocks',
  'reasoning_details',
]);

/** An element of a list has the list's name and meaning. */
export function enterElement(list: Scope): Scope {
  return { ...list, parent: list, typeName: null, roleName: null, isThought: false };
}

/** The scope of a whole body. */
export function rootScope(): Scope {
  return {
    parent: null,
    name: '',
    direction: null,
    role: null,
    isOwn: false,
    isSigned: false,
    typeName: null,
    roleName: null,
    isThought: false,
  };
}

function isOwnData(parent: Scope, name: string): boolean {
  if (OWN_BY_PARENT.get(name)?.has(parent.name) === true) return true;
  // Anthropic's and OpenAI's calls keep their data beside `type`, which often comes later: an object
  // under these names is nothing else.
  return (
    (name === 'input' || name === 'arguments') && parent.parent !== null && parent.parent.parent !== null
  );
}

/** Whether a text is covered by a signature. */
export function isSigned(scope: Scope): boolean {
  for (let at: Scope | null = scope; at !== null; at = at.parent) {
    if (at.isSigned || at.isThought) return true;
    if (at.typeName !== null && SIGNED_TYPES.has(at.typeName)) return true;
  }
  return false;
}

const SIGNED_TYPES: ReadonlySet<string> = new Set([
  'thinking',
  'redacted_thinking',
  'reasoning',
  'compaction',
]);

/** The innermost direction that a member, a `type` or a `role` states; else `request`. */
export function directionOf(scope: Scope): TextDirection {
  for (let at: Scope | null = scope; at !== null; at = at.parent) {
    if (at.direction !== null) return at.direction;
    if (at.isOwn) continue;
    const stated =
      (at.typeName === null ? null : directionOfType(at.typeName)) ?? directionOfRole(at.roleName);
    if (stated !== null) return stated;
  }
  return 'request';
}

function directionOfType(type: string): TextDirection | null {
  if (/(?:_result|_output)$/.test(type)) return 'tool_results';
  return /(?:tool_use|_call)$/.test(type) ? 'tool_arguments' : null;
}

function directionOfRole(role: string | null): TextDirection | null {
  return role === 'tool' || role === 'function' ? 'tool_results' : null;
}

const ROLES_BY_NAME: ReadonlyMap<string, TextRole> = new Map<string, TextRole>([
  ['system', 'system'],
  ['developer', 'developer'],
  ['user', 'user'],
  ['assistant', 'assistant'],
  ['model', 'assistant'],
  ['tool', 'tool'],
  ['function', 'tool'],
]);

/** Whose text it is, under `name` in `scope`: the nearest `role`, else the member of the body. */
export function roleOf(scope: Scope, name: string, direction: TextDirection): TextRole {
  if (direction === 'tool_results') return 'tool';
  if (direction === 'tool_arguments') return 'assistant';
  for (let at: Scope | null = scope; at !== null; at = at.parent) {
    if (at.role !== null) return at.role;
    const named = at.roleName === null ? undefined : ROLES_BY_NAME.get(at.roleName.toLowerCase());
    if (named !== undefined && !at.isOwn) return named;
  }
  if (scope.parent === null) return ROLES_BY_MEMBER.get(name) ?? (USER_MEMBERS.has(name) ? 'user' : 'other');
  return USER_MEMBERS.has(topMember(scope)) ? 'user' : 'other';
}

/** Members of a body that hold the user's words without a role. */
const USER_MEMBERS: ReadonlySet<string> = new Set([
  'messages',
  'input',
  'contents',
  'content',
  'prompt',
  'inputText',
  'message',
  'instances',
  'texts',
]);

function topMember(scope: Scope): string {
  let at = scope;
  while (at.parent !== null && at.parent.parent !== null) at = at.parent;
  return at.name;
}

/** How a string is to be taken, by its member's name. */
export type StringRule =
  /** Text, whatever it looks like. */
  | 'text'
  /** A word of the API (a type, an id): text only if it has the look of something else. */
  | 'word'
  /** Encoded data: text unless it is long and looks so. */
  | 'data'
  /** An address: text unless it looks like one. */
  | 'address'
  /** JSON within the string. */
  | 'json';

/** Words of the APIs: types, ids, media types and settings. */
const WORDS: ReadonlySet<string> = new Set(
  (
    'type role id model object status format detail effort phase ttl call_id tool_call_id tool_use_id toolUseId ' +
    'item_id file_id previous_response_id media_type mime_type mimeType encoding service_tier container ' +
    'anthropic_version voice size quality'
  ).split(' '),
);

const RULES: ReadonlyMap<string, StringRule> = new Map<string, StringRule>([
  ['data', 'data'],
  ['bytes', 'data'],
  ['file_data', 'data'],
  ['b64_json', 'data'],
  ['signature', 'data'],
  ['thoughtSignature', 'data'],
  ['thought_signature', 'data'],
  ['encrypted_content', 'data'],
  ['encrypted_index', 'data'],
  ['redactedContent', 'data'],
  ['bytesBase64Encoded', 'data'],
  ['url', 'address'],
  ['image_url', 'address'],
  ['uri', 'address'],
  ['fileUri', 'address'],
  ['file_uri', 'address'],
  ['gcsUri', 'address'],
  ['s3Uri', 'address'],
  ['arguments', 'json'],
]);

/** The rule for a string under `name` in `scope`. */
export function stringRule(scope: Scope, name: string): StringRule {
  if (scope.isOwn) return 'text';
  return WORDS.has(name) ? 'word' : (RULES.get(name) ?? 'text');
}
