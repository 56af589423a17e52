/**
 * Reads what routing needs from a request body, once, and edits single values in place, so that
 * every other byte reaches the provider as the caller wrote it.
 *
 * Bodies that two parsers could read differently (repeated or case-varied keys, invalid UTF-8,
 * wrong types) are refused: policy must see the request that the provider sees.
 */
import { isUtf8 } from 'node:buffer';
import {
  JsonScanError,
  KeyWatch,
  scanJsonDocument,
  scanJsonObject,
  type JsonMember,
  type JsonSpan,
  type KeyGroups,
} from '../wire/json-scan.ts';
import { applyPatches, type BodyPatch } from './body-patch.ts';
import { boundaryOf, readMultipartFields } from './multipart-fields.ts';
import type { SurfaceMatch } from './surface.ts';

/** What routing and policy know of a body without building its value. */
export interface BodyFacts {
  readonly kind: 'json' | 'multipart';
  /** From the path if the route says so, else from the body; null where neither names one. */
  readonly model: string | null;
  /** From the path if the route says so, else the body's `stream`. */
  readonly stream: boolean;
  /** `stream_options.include_usage`; null where the caller did not say. */
  readonly includeUsage: boolean | null;
  /** Top-level members of a JSON body, in order, keys distinct; empty for multipart. */
  readonly members: readonly JsonMember[];
  /** Bytes of the model's value: the JSON string with its quotes, or the form field's content. */
  readonly modelSpan: JsonSpan | null;
  /** The body declares tools (`tools`, `functions`, `toolConfig`, `mcp_servers`), whatever their kind. */
  readonly hasTools: boolean;
  /** Id of a stored response that the request goes on from; the caller must own it. */
  readonly previousResponseId: string | null;
  /** Bits of the watched groups of keys that a JSON body has at any depth (`KeyWatch`); all bits where nobody watched. */
  readonly watchedKeys: number;
  /** The member's bytes in `bytes`, or null if the body has no such top-level member. */
  span(key: string): JsonSpan | null;
  /** The member's parsed value, or undefined; parses only that member. */
  member(key: string): unknown;
  /** The whole body parsed, on first use and then kept; `{}` for multipart. */
  value(): Readonly<Record<string, unknown>>;
}

/** All bits: a body whose keys nobody looked at may have any. */
const NOT_WATCHED = -1;

/** Why a body is refused. */
export type BodyProblemCode =
  | 'body_empty'
  | 'body_not_utf8'
  | 'body_not_json'
  | 'body_too_complex'
  | 'duplicate_key'
  | 'ambiguous_key'
  | 'wrong_type'
  | 'model_missing'
  | 'form_malformed';

/** A body that is refused with 400, and a message that is safe to show. */
export interface BodyProblem {
  readonly problem: BodyProblemCode;
  readonly message: string;
  /** Byte offset where one is known. */
  readonly offset: number | null;
}

export function isBodyProblem(found: BodyFacts | BodyProblem): found is BodyProblem {
  return 'problem' in found;
}

/** Longest model name taken from a body, in characters. */
export const MODEL_NAME_MAX = 512;

/**
 * Keys that decide routing, cost or rights. A key that differs from one of them by case alone is
 * refused: some parsers (Go's `encoding/json`) would take it for the same.
 */
const WATCHED_KEYS: ReadonlySet<string> = new Set([
  'model',
  'stream',
  'stream_options',
  'tools',
  'previous_response_id',
  'conversation',
  'store',
  'background',
  'n',
  'max_tokens',
  'max_completion_tokens',
  'max_output_tokens',
]);

/** Members whose presence means that tools are declared. */
const TOOL_KEYS = ['tools', 'functions', 'toolConfig', 'mcp_servers'] as const;

/**
 * Formats that have forms. A form elsewhere would be read by us and not by a server that takes every
 * body for JSON.
 */
const FORM_FORMATS: ReadonlySet<string> = new Set([
  'openai_images',
  'openai_audio_transcription',
  'openai_files',
  'openai_objects',
  'anthropic_files',
]);

/** Formats whose body may leave the model out because the provider has a default. */
const MODEL_OPTIONAL: ReadonlySet<string> = new Set(['openai_images', 'openai_moderations']);

/**
 * Reads the body of a matched route. `contentType` is the request's; only `multipart/form-data`
 * matters. Never throws on any bytes.
 */
export function readRequestBody(
  bytes: Uint8Array,
  match: SurfaceMatch,
  contentType: string | null = null,
  watched: KeyGroups | null = null,
): BodyFacts | BodyProblem {
  if (bytes.length === 0) return problem('body_empty', 'the request has no body');
  const boundary = boundaryOf(contentType);
  if (boundary !== null) {
    return FORM_FORMATS.has(match.format)
      ? readMultipartBody(bytes, match, boundary)
      : problem('form_malformed', 'this path takes JSON, not a form');
  }
  if (!isUtf8(bytes)) return problem('body_not_utf8', 'the body is not valid UTF-8');
  try {
    return readJsonBody(bytes, match, watched === null ? null : new KeyWatch(watched));
  } catch (error) {
    if (!(error instanceof JsonScanError)) throw error;
    if (error.code === 'json_limit')
      return problem('body_too_complex', `the JSON body has ${error.message}`, error.offset);
    return problem('body_not_json', `the body is not a JSON object: ${error.message}`, error.offset);
  }
}

function readJsonBody(
  bytes: Uint8Array,
  match: SurfaceMatch,
  watch: KeyWatch | null,
): BodyFacts | BodyProblem {
  const members = scanJsonDocument(bytes, watch);
  const wrongKey = checkKeys(members);
  if (wrongKey !== null) return wrongKey;
  const modelMember = match.modelInBody ? findMember(members, 'model') : undefined;

  const model = match.modelInBody ? readModel(parseMember(bytes, modelMember), match) : match.model;
  if (model !== null && typeof model === 'object') return model;
  const stream = match.stream ?? parseMember(bytes, findMember(members, 'stream')) ?? false;
  if (typeof stream !== 'boolean') return wrongType('stream', 'a boolean');
  const includeUsage = readIncludeUsage(bytes, findMember(members, 'stream_options'));
  if (includeUsage !== null && typeof includeUsage === 'object') return includeUsage;
  const previous = parseMember(bytes, findMember(members, 'previous_response_id')) ?? null;
  if (previous !== null && typeof previous !== 'string') return wrongType('previous_response_id', 'a string');

  return withMembers(bytes, {
    kind: 'json',
    model,
    stream,
    includeUsage,
    members,
    modelSpan: modelMember === undefined ? null : valueSpan(modelMember),
    hasTools: TOOL_KEYS.some((key) => findMember(members, key) !== undefined),
    previousResponseId: previous,
    watchedKeys: watch?.mask ?? NOT_WATCHED,
  });
}

/** The facts that are plain data, so that they can go from one thread to another. */
export type PlainBodyFacts = Omit<BodyFacts, 'span' | 'member' | 'value'>;

/** Plain facts with access to the members of the bytes that they were read from. */
export function withMembers(bytes: Uint8Array, plain: PlainBodyFacts): BodyFacts {
  return new MemberFacts(bytes, plain);
}

class MemberFacts implements BodyFacts {
  readonly kind: BodyFacts['kind'];
  readonly model: string | null;
  readonly stream: boolean;
  readonly includeUsage: boolean | null;
  readonly members: readonly JsonMember[];
  readonly modelSpan: JsonSpan | null;
  readonly hasTools: boolean;
  readonly previousResponseId: string | null;
  readonly watchedKeys: number;
  readonly #bytes: Uint8Array;
  #value: Readonly<Record<string, unknown>> | null = null;

  constructor(bytes: Uint8Array, plain: PlainBodyFacts) {
    this.kind = plain.kind;
    this.model = plain.model;
    this.stream = plain.stream;
    this.includeUsage = plain.includeUsage;
    this.members = plain.members;
    this.modelSpan = plain.modelSpan;
    this.hasTools = plain.hasTools;
    this.previousResponseId = plain.previousResponseId;
    this.watchedKeys = plain.watchedKeys;
    this.#bytes = bytes;
  }

  span(key: string): JsonSpan | null {
    const member = findMember(this.members, key);
    return member === undefined ? null : valueSpan(member);
  }

  member(key: string): unknown {
    return parseMember(this.#bytes, findMember(this.members, key));
  }

  value(): Readonly<Record<string, unknown>> {
    return (this.#value ??= Object.fromEntries(
      this.members.map((member) => [member.key, parseSpan(this.#bytes, member)]),
    ));
  }
}

/** Bodies have some ten members: a look at each is cheaper than a map made for one request. */
function findMember(members: readonly JsonMember[], key: string): JsonMember | undefined {
  for (const member of members) if (member.key === key) return member;
  return undefined;
}

function parseMember(bytes: Uint8Array, member: JsonMember | undefined): unknown {
  return member === undefined ? undefined : parseSpan(bytes, member);
}

/** Keys that are their own folding. */
const LOWER_CASE = /^[a-z0-9_]*$/;

function checkKeys(members: readonly JsonMember[]): BodyProblem | null {
  const repeated = findRepeated(members);
  for (const member of members) {
    const { key, memberStart } = member;
    if (member === repeated) {
      return problem(
        'duplicate_key',
        `the body repeats a top-level key${shownKey(key)}: give it once`,
        memberStart,
      );
    }
    if (LOWER_CASE.test(key)) continue;
    // Both foldings: `ſ` (U+017F) becomes `S` only in upper case, `K` (U+212A) `k` only in lower.
    const folded = [key.toLowerCase(), key.toUpperCase().toLowerCase()].find((name) =>
      WATCHED_KEYS.has(name),
    );
    if (folded !== undefined) {
      return problem(
        'ambiguous_key',
        `the body has a key that reads like "${folded}" in other letters: write "${folded}"`,
        memberStart,
      );
    }
  }
  return null;
}

/** Up to here each key is compared with those before it, which costs less than a set. */
const COMPARED_MAX = 16;

/** The first member whose key stood before; null if all are distinct. */
function findRepeated(members: readonly JsonMember[]): JsonMember | null {
  if (members.length > COMPARED_MAX) {
    const seen = new Set<string>();
    for (const member of members) {
      if (seen.has(member.key)) return member;
      seen.add(member.key);
    }
    return null;
  }
  for (const member of members) if (findMember(members, member.key) !== member) return member;
  return null;
}

/** Keys are the caller's own text: shown only if they are plain words. */
function shownKey(key: string): string {
  return /^[\w.-]{1,64}$/.test(key) ? ` ("${key}")` : '';
}

function readModel(model: unknown, match: SurfaceMatch): string | null | BodyProblem {
  if (model === undefined || model === null) {
    if (MODEL_OPTIONAL.has(match.format) || match.action === 'input_tokens') return null;
    return problem('model_missing', 'the body names no model: set "model"');
  }
  if (typeof model !== 'string' || !isModelName(model)) {
    return wrongType('model', `a name of 1 to ${MODEL_NAME_MAX} printable characters`);
  }
  return model;
}

function isModelName(name: string): boolean {
  // oxlint-disable-next-line no-control-regex -- control characters are what is refused
  return name.length > 0 && name.length <= MODEL_NAME_MAX && !/[\u0000-\u001f\u007f]/.test(name);
}

function readIncludeUsage(bytes: Uint8Array, options: JsonMember | undefined): boolean | null | BodyProblem {
  if (options === undefined || isNull(bytes, options)) return null;
  if (bytes[options.valueStart] !== 0x7b) return wrongType('stream_options', 'an object');
  const inner = scanJsonObject(bytes, options.valueStart);
  const found = inner.filter((member) => member.key.toLowerCase() === 'include_usage');
  const [first] = found;
  if (first === undefined) return null;
  if (found.length > 1 || first.key !== 'include_usage') {
    return problem('ambiguous_key', 'stream_options must have one "include_usage"', first.memberStart);
  }
  const value = parseSpan(bytes, first);
  if (value !== null && typeof value !== 'boolean')
    return wrongType('stream_options.include_usage', 'a boolean');
  return value;
}

function readMultipartBody(
  bytes: Uint8Array,
  match: SurfaceMatch,
  boundary: string,
): BodyFacts | BodyProblem {
  const fields = readMultipartFields(asBuffer(bytes), boundary, ['model', 'stream']);
  if ('malformed' in fields)
    return problem('form_malformed', `the form is malformed: ${fields.malformed}`, fields.offset);
  const modelSpan = match.modelInBody ? (fields.spans.get('model') ?? null) : null;
  const read = (span: JsonSpan | null | undefined): string | undefined =>
    span === null || span === undefined ? undefined : asBuffer(bytes).toString('utf8', span.start, span.end);
  const model = match.modelInBody ? readModel(read(modelSpan), match) : match.model;
  if (model !== null && typeof model === 'object') return model;
  const stream = read(fields.spans.get('stream')) ?? 'false';
  if (!/^(?:true|false|1|0|True|False)$/.test(stream)) return wrongType('stream', 'a boolean');
  return withMembers(bytes, {
    kind: 'multipart',
    model,
    stream: match.stream ?? /^(?:true|1|True)$/.test(stream),
    includeUsage: null,
    members: [],
    modelSpan,
    hasTools: false,
    previousResponseId: null,
    watchedKeys: NOT_WATCHED,
  });
}

/** What to change in a body. */
export interface BodyEdits {
  /** Further places, worked out by whoever knows them. */
  readonly patches?: readonly BodyPatch[];
  /** Replaces the value of the model. */
  readonly model?: string;
  /** Adds or sets `stream_options.include_usage: true`. */
  readonly includeUsage?: true;
}

/**
 * The body with those values changed and every other byte kept; the same bytes if nothing
 * changes. `facts` must come from these bytes. Throws on a model in a body that names none.
 */
export function editRequestBody(bytes: Uint8Array, facts: BodyFacts, edits: BodyEdits): Buffer {
  const body = asBuffer(bytes);
  const patches: BodyPatch[] = [...(edits.patches ?? [])];
  if (edits.model !== undefined && edits.model !== facts.model) patches.push(modelPatch(facts, edits.model));
  if (edits.includeUsage === true && facts.includeUsage !== true && facts.kind === 'json') {
    patches.push(includeUsagePatch(body, facts));
  }
  return applyPatches(body, patches);
}

function modelPatch(facts: BodyFacts, model: string): BodyPatch {
  if (!isModelName(model)) throw new Error('assertion failed: a model name is printable and not empty');
  const text = facts.kind === 'json' ? JSON.stringify(model) : model;
  if (facts.modelSpan !== null) return { ...facts.modelSpan, text };
  const [first] = facts.members;
  if (facts.kind !== 'json' || first === undefined)
    throw new Error('assertion failed: the body names a model');
  return { start: first.memberStart, end: first.memberStart, text: `"model":${text},` };
}

function includeUsagePatch(body: Buffer, facts: BodyFacts): BodyPatch {
  const options = facts.span('stream_options');
  if (options === null) {
    // Inserted after the last member: a body that names a model has one.
    const at = facts.members.at(-1)?.valueEnd ?? body.indexOf('{') + 1;
    const comma = facts.members.length > 0 ? ',' : '';
    return { start: at, end: at, text: `${comma}"stream_options":{"include_usage":true}` };
  }
  if (body[options.start] !== 0x7b) return { ...options, text: '{"include_usage":true}' };
  const inner = scanJsonObject(body, options.start);
  const present = inner.find((member) => member.key === 'include_usage');
  if (present !== undefined) return { ...valueSpan(present), text: 'true' };
  const at = options.start + 1;
  return { start: at, end: at, text: `"include_usage":true${inner.length > 0 ? ',' : ''}` };
}

function valueSpan(member: JsonMember): JsonSpan {
  return { start: member.valueStart, end: member.valueEnd };
}

function isNull(bytes: Uint8Array, member: JsonMember): boolean {
  return bytes[member.valueStart] === 0x6e;
}

function parseSpan(bytes: Uint8Array, member: JsonMember): unknown {
  return JSON.parse(asBuffer(bytes).toString('utf8', member.valueStart, member.valueEnd));
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function wrongType(name: string, wanted: string): BodyProblem {
  return problem('wrong_type', `"${name}" must be ${wanted}`);
}

function problem(code: BodyProblemCode, message: string, offset: number | null = null): BodyProblem {
  return { problem: code, message, offset };
}
