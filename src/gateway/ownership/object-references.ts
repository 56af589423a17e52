/**
 * Which provider objects a request body refers to. Pure. A body is walked as parsed JSON, so no
 * escape or nesting hides a reference.
 */
import type { ObjectKind } from '../../llm/index.ts';
import { KeyGroups } from '../../wire/json-scan.ts';
import { Refused } from '../reasons.ts';

/** An object that a request names. */
export interface ObjectReference {
  readonly kind: ObjectKind;
  readonly id: string;
}

/** Members whose string (or list of strings) is an id of the named kind; names of form fields alike. */
const ID_MEMBERS: ReadonlyMap<string, ObjectKind> = new Map([
  ['previous_response_id', 'response'],
  ['response_id', 'response'],
  ['conversation', 'conversation'],
  ['conversation_id', 'conversation'],
  ['file_id', 'file'],
  ['file_ids', 'file'],
  ['input_file_id', 'file'],
  ['training_file', 'file'],
  ['validation_file', 'file'],
  ['container', 'container'],
  ['container_id', 'container'],
  ['vector_store_id', 'vector_store'],
  ['vector_store_ids', 'vector_store'],
  ['cachedContent', 'cache'],
  ['cached_content', 'cache'],
  ['skill_id', 'skill'],
]);

/** Members by which an object is named; none of them may stand twice in one object of a body. */
export const REFERENCE_MEMBERS: ReadonlySet<string> = new Set([
  ...ID_MEMBERS.keys(),
  'fileUri',
  'file_uri',
  'id',
]);

/** Names of form fields that refer to objects. */
export const REFERENCE_FIELDS: readonly string[] = [...ID_MEMBERS.keys()].filter(
  (name) => name === name.toLowerCase(),
);

/** Objects and lists walked: a body of the largest size that is still a conversation has some 100,000. */
const NODES_MAX = 1_000_000;

/** Beginnings of the members and ids below, as they stand in a body, and of escapes that could spell a letter of one. */
const MARKERS =
  /"(?:file_|fileU|input_file_id|container|cached|conversation|previous_response_id|response_id|vector_store_id|skill_id|training_file|validation_file|pmpt_|audio")|\\u00[4-7]/;

const ID_MARKER = '"id"';

/**
 * Whether a body has to be walked at all: one pass over its bytes, so that the usual request is not
 * parsed for nothing. Errs towards yes. `keepsItems`: the format can take up items that the
 * provider keeps by their bare id (OpenAI Responses).
 */
export function mayReferToObjects(body: Buffer, keepsItems: boolean): boolean {
  const text = body.toString('latin1');
  return MARKERS.test(text) || (keepsItems && text.includes(ID_MARKER));
}

/** Keys of a body that is worth walking. Bit 1: members whose name says it; 2: objects that may be named by id; 4: any item. */
export const REFERENCE_KEYS = new KeyGroups([
  [...ID_MEMBERS.keys(), 'fileUri', 'file_uri'],
  ['prompt', 'audio'],
  ['id'],
]);
const PROMPT_ID_MARKERS = /"(?:pmpt|audio)_|\\u00[4-7]/;

/**
 * As `mayReferToObjects`, for a body that was scanned for `REFERENCE_KEYS`: `watchedKeys` is what the
 * scan came upon, and costs no search.
 */
export function mayReferByKeys(watchedKeys: number, body: Buffer, keepsItems: boolean): boolean {
  if ((watchedKeys & 1) !== 0 || (keepsItems && (watchedKeys & 4) !== 0)) return true;
  return (watchedKeys & 2) !== 0 && PROMPT_ID_MARKERS.test(body.toString('latin1'));
}

/** The reference of a form field; null where the field is none. */
export function referenceOfField(name: string, value: string): ObjectReference | null {
  const kind = ID_MEMBERS.get(name);
  return kind === undefined ? null : { kind, id: value };
}

/**
 * Every reference in a parsed body. Text that only mentions an id is not one: the member's name
 * decides. Tool arguments and results are strings to the provider and are not walked. Throws
 * `body_invalid` for a body of too many parts.
 */
export function findObjectReferences(body: unknown, keepsItems: boolean): ObjectReference[] {
  const found: ObjectReference[] = [];
  // Values of members that name an object: `{ "id": … }` there is no item.
  const named = new Set<unknown>();
  const stack: unknown[] = [body];
  for (let visited = 0; stack.length > 0; visited += 1) {
    // What is not walked could name an object of another.
    if (visited >= NODES_MAX)
      throw new Refused('body_invalid', `the body has over ${NODES_MAX} objects and lists`);
    const node = stack.pop();
    if (node === null || typeof node !== 'object') continue;
    if (Array.isArray(node)) {
      for (const item of node) if (item !== null && typeof item === 'object') stack.push(item);
      continue;
    }
    // The body itself is never a tool call, whatever it says: its `input` is what the model reads.
    const isToolCall = node !== body && isToolUse(node);
    const item = keepsItems && !named.has(node) ? itemReference(node) : null;
    if (item !== null) found.push({ kind: 'item', id: item });
    for (const [name, value] of Object.entries(node)) {
      if (OPAQUE_MEMBERS.has(name) || (isToolCall && name === 'input')) continue;
      collect(node, name, value, found);
      if (value === null || typeof value !== 'object') continue;
      if (name === 'functionResponse' || name === 'function_response') {
        // What the function said is its own; the files beside it are the provider's to open.
        if ('parts' in value) stack.push(value.parts);
        continue;
      }
      if (ID_MEMBERS.has(name) || name === 'prompt' || name === 'audio') named.add(value);
      stack.push(value);
    }
  }
  return found;
}

/** Members that hold the caller's own data or schema, where any name may occur. */
const OPAQUE_MEMBERS = new Set([
  'parameters',
  'input_schema',
  'schema',
  'metadata',
  'arguments',
  'args',
  'json',
]);

function isToolUse(node: object): boolean {
  return (
    'toolUseId' in node || ('type' in node && typeof node.type === 'string' && node.type.endsWith('tool_use'))
  );
}

/**
 * The id by which OpenAI's Responses takes up an item that it keeps: an `item_reference` (whose type
 * may be left out), or reasoning that is not brought along.
 */
function itemReference(node: object): string | null {
  if (!('id' in node) || typeof node.id !== 'string') return null;
  const type = 'type' in node ? node.type : null;
  if (type === 'item_reference') return node.id;
  const isBare = Object.keys(node).length === ('type' in node ? 2 : 1);
  if (type === null || type === undefined) return isBare ? node.id : null;
  const hasContent = 'encrypted_content' in node && typeof node.encrypted_content === 'string';
  return type === 'reasoning' && !hasContent ? node.id : null;
}

function collect(node: object, name: string, value: unknown, found: ObjectReference[]): void {
  // A skill of Anthropic's own is not an object that somebody made.
  if (name === 'skill_id' && 'type' in node && node.type === 'anthropic') return;
  const kind = ID_MEMBERS.get(name);
  if (kind !== undefined) {
    for (const id of idsIn(value)) found.push({ kind, id });
    return;
  }
  if ((name === 'fileUri' || name === 'file_uri') && typeof value === 'string') {
    const file = fileOfUri(value);
    if (file !== null) found.push({ kind: 'file', id: file });
  }
  if ((name === 'prompt' || name === 'audio') && isObjectWithId(value))
    found.push({ kind: name, id: value.id });
}

/**
 * The file of the Gemini API that a URI names, however it is written; an address of that API which
 * names none is itself the id, which nobody owns. Null for files that lie elsewhere.
 */
function fileOfUri(uri: string): string | null {
  let text = uri;
  try {
    text = decodeURIComponent(uri);
  } catch {
    // Not percent-encoded: it stands for itself.
  }
  const match = /(?:^|\/)files\/([^/?#:]*)/i.exec(text);
  if (match !== null) return `files/${match[1] ?? ''}`;
  return /generativelanguage/i.test(text) ? uri : null;
}

/** A string, `{id}`, or a list of either. `auto` and other words are settings, not ids. */
function idsIn(value: unknown): string[] {
  if (typeof value === 'string') return value === '' || value === 'auto' ? [] : [value];
  if (Array.isArray(value)) return value.flatMap(idsIn);
  return isObjectWithId(value) ? [value.id] : [];
}

function isObjectWithId(value: unknown): value is { readonly id: string } {
  return value !== null && typeof value === 'object' && 'id' in value && typeof value.id === 'string';
}
