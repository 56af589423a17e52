/**
 * Which provider objects a request body refers to. Pure. A body is walked as parsed JSON, so no
 * escape or nesting hides a reference.
 */

/** An object that a request names. */
export interface ObjectReference {
  readonly kind: ObjectKind;
  readonly id: string;
}

export type ObjectKind =
  | 'response'
  | 'conversation'
  | 'file'
  | 'batch'
  | 'container'
  | 'vector_store'
  | 'cache'
  | 'message_batch'
  | 'upload'
  | 'skill'
  | 'assistant';

/** Members whose string (or list of strings) is an id of the named kind. */
const ID_MEMBERS: Readonly<Record<string, ObjectKind>> = {
  previous_response_id: 'response',
  response_id: 'response',
  conversation: 'conversation',
  conversation_id: 'conversation',
  file_id: 'file',
  file_ids: 'file',
  input_file_id: 'file',
  training_file: 'file',
  validation_file: 'file',
  container: 'container',
  container_id: 'container',
  vector_store_id: 'vector_store',
  vector_store_ids: 'vector_store',
  cachedContent: 'cache',
  cached_content: 'cache',
  skill_id: 'skill',
};

/** Ids that look like one of these are references wherever `id` names them (`{"conversation":{"id":…}}`). */
const BY_PREFIX: readonly (readonly [prefix: string, kind: ObjectKind])[] = [
  ['resp_', 'response'],
  ['conv_', 'conversation'],
  ['file-', 'file'],
  ['file_', 'file'],
  ['cntr_', 'container'],
  ['container_', 'container'],
  ['vs_', 'vector_store'],
  ['batch_', 'batch'],
  ['msgbatch_', 'message_batch'],
  ['cachedContents/', 'cache'],
  ['files/', 'file'],
];

/** A body deeper or wider than this is refused by the JSON limits before it comes here. */
const NODES_MAX = 2_000_000;

/** The kind that an id's prefix tells, or null. */
export function kindOfId(id: string): ObjectKind | null {
  return BY_PREFIX.find(([prefix]) => id.startsWith(prefix))?.[1] ?? null;
}

/** Beginnings of the members above, as they stand in a body, and of escapes that could spell a letter of one. */
const MARKERS = [
  '"file_',
  '"fileU',
  '"input_file_id',
  '"container',
  '"cached',
  '"conversation',
  '"previous_response_id',
  '"response_id',
  '"vector_store_id',
  '"skill_id',
  '"training_file',
  '"validation_file',
  '\\u004',
  '\\u005',
  '\\u006',
  '\\u007',
].map((text) => Buffer.from(text));

/**
 * Whether a body has to be walked at all: a search of its bytes, so that the usual request is not
 * parsed for nothing. Errs towards yes.
 */
export function mayReferToObjects(body: Buffer): boolean {
  return MARKERS.some((marker) => body.includes(marker));
}

/**
 * Every reference in a parsed body. Text that only mentions an id is not one: the member's name
 * decides. Tool arguments and results are strings to the provider and are not walked.
 */
export function findObjectReferences(body: unknown): ObjectReference[] {
  const found: ObjectReference[] = [];
  const stack: unknown[] = [body];
  for (let visited = 0; stack.length > 0 && visited < NODES_MAX; visited += 1) {
    const node = stack.pop();
    if (node === null || typeof node !== 'object') continue;
    if (Array.isArray(node)) {
      for (const item of node) stack.push(item);
      continue;
    }
    const isToolCall = 'toolUseId' in node || ('type' in node && typeof node.type === 'string' && node.type.endsWith('tool_use'));
    for (const [name, value] of Object.entries(node)) {
      if (OPAQUE_MEMBERS.has(name) || (isToolCall && name === 'input')) continue;
      collect(name, value, found);
      if (value !== null && typeof value === 'object') stack.push(value);
    }
  }
  return found;
}

/** Members that hold the caller's own data or schema, where any name may occur. */
const OPAQUE_MEMBERS = new Set(['parameters', 'input_schema', 'schema', 'metadata', 'arguments', 'args', 'json', 'functionResponse']);

function collect(name: string, value: unknown, found: ObjectReference[]): void {
  const kind = ID_MEMBERS[name];
  if (kind !== undefined) {
    for (const id of idsIn(value)) found.push({ kind, id });
    return;
  }
  if ((name === 'fileUri' || name === 'file_uri') && typeof value === 'string') {
    const match = /(?:^|\/)files\/([A-Za-z0-9_-]+)$/.exec(value);
    if (match !== null) found.push({ kind: 'file', id: `files/${match[1] ?? ''}` });
  }
}

/** A string, `{id}`, or a list of either. `auto` and other words are settings, not ids. */
function idsIn(value: unknown): string[] {
  if (typeof value === 'string') return value === '' || value === 'auto' ? [] : [value];
  if (Array.isArray(value)) return value.flatMap(idsIn);
  if (value !== null && typeof value === 'object' && 'id' in value && typeof value.id === 'string') return [value.id];
  return [];
}
