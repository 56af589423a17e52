/**
 * Addresses in object storage and data stores that a request to Vertex, the Gemini API or Bedrock names as
 * input. The cloud reads them with the rights of the account whose credential Postern adds, so a
 * caller must not choose them. Where they stand:
 *
 *   Gemini, Vertex  parts[].fileData.fileUri and file_data.file_uri in contents, systemInstruction,
 *                   functionResponse.parts; gcsUri; tools[].retrieval (data stores, RAG corpora)
 *   OpenAI's format image_url.url, file.file_data and their kin, which Vertex takes as gs://
 *   Bedrock         source.s3Location.uri of image, document and video blocks, in tool results too;
 *                   mediaSource.s3Location.uri and s3Uri of models with bodies of their own
 *
 * Members of other names may come: so any string that is such an address counts, unless its member is
 * known to be text for the model or lies in a tool call's own data. Sources:
 * https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference and
 * https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_S3Location.html
 */

/** What a request asks its provider to read. */
export interface StoredInputs {
  /** As written, in no order; at most `ADDRESSES_MAX` of them. */
  readonly addresses: readonly string[];
  /**
   * The body has too many parts to be sure, or repeats a member that holds an address, so that the
   * provider may see another than was found: refuse it where anything is restricted.
   */
  readonly incomplete: boolean;
}

/** More are not listed: one that is not allowed is enough. */
const ADDRESSES_MAX = 1_000;
/** Objects and lists walked: a body of the largest size that is still a conversation has some 100,000. */
const NODES_MAX = 1_000_000;

/** Blanks are bounded, so that the beginning of a string decides. */
const STORAGE = /^[\t-\r ]{0,16}(?:gs|s3):\/\//i;
/** The same, or a named resource of Google Cloud, as `tools[].retrieval` has them. */
const LIKE_ADDRESS = /^[\t-\r ]{0,16}(?:(?:gs|s3):\/\/|(?:\/\/[a-z.]{1,64}\/)?projects\/)/i;

/** Schemes in either case, a tool that reads data stores, and escapes that could spell a letter of one. */
const MARKERS = /[gG][sS]:|[sS]3:|"retrieval"|\\u00/;

/** Whether a body has to be walked at all; errs towards yes. One pass: a search of the bytes for each costs more. */
export function mayNameStoredInputs(body: Buffer): boolean {
  return MARKERS.test(body.toString('latin1'));
}

/** Members whose strings a model reads as text. */
const TEXT_MEMBERS: ReadonlySet<string> = new Set([
  'text',
  'content',
  'prompt',
  'system',
  'input',
  'inputText',
  'inputs',
  'texts',
  'query',
  'message',
  'name',
  'title',
  'description',
  'thinking',
  'arguments',
  'stop',
  'stop_sequences',
  'stopSequences',
  'enum',
]);

/** Every address in a body; `value` is what its bytes parsed to. Never throws. */
export function findStoredInputs(body: Buffer, value: unknown): StoredInputs {
  const addresses: string[] = [];
  let seen = 0;
  const stack: Walk[] = [{ node: value, name: '', inRetrieval: false, isOwn: false }];
  for (let visited = 0; stack.length > 0; visited += 1) {
    if (visited >= NODES_MAX || addresses.length >= ADDRESSES_MAX) return { addresses, incomplete: true };
    const walk = stack.pop() ?? END;
    const { node } = walk;
    if (typeof node === 'string') {
      if (!LIKE_ADDRESS.test(node)) continue;
      seen += 1;
      if (isAddress(node, walk)) addresses.push(node);
    } else if (Array.isArray(node)) {
      for (const item of node) if (isWorthAVisit(item)) stack.push({ ...walk, node: item });
    } else if (node !== null && typeof node === 'object') {
      for (const [member, inner] of Object.entries(node)) {
        if (LIKE_ADDRESS.test(member)) seen += 1;
        if (!isWorthAVisit(inner)) continue;
        stack.push({
          node: inner,
          name: member,
          inRetrieval: walk.inRetrieval || member === 'retrieval',
          isOwn: walk.isOwn || (node !== value && isOwnData(node, walk.name, member)),
        });
      }
    }
  }
  return { addresses, incomplete: countInBytes(body) > seen };
}

interface Walk {
  readonly node: unknown;
  /** The member under which it stands; of a list's element, the list's. */
  readonly name: string;
  readonly inRetrieval: boolean;
  /** Within the data of the caller's own tools. */
  readonly isOwn: boolean;
}

const END: Walk = { node: null, name: '', inRetrieval: false, isOwn: true };

function isWorthAVisit(value: unknown): boolean {
  return typeof value === 'string' || (typeof value === 'object' && value !== null);
}

function isAddress(text: string, { name, inRetrieval, isOwn }: Walk): boolean {
  return !isOwn && !TEXT_MEMBERS.has(name) && (inRetrieval || STORAGE.test(text));
}

/** Data and schemas of the caller's own tools, where any string may occur and none is followed. */
function isOwnData(node: object, name: string, member: string): boolean {
  switch (member) {
    case 'args':
      return name === 'functionCall' || name === 'function_call';
    case 'response':
      return name === 'functionResponse' || name === 'function_response';
    case 'input':
      return (
        name === 'toolUse' ||
        ('type' in node && typeof node.type === 'string' && node.type.endsWith('tool_use'))
      );
    case 'json':
      return name === 'content' || name === 'inputSchema';
    case 'parameters':
    case 'parametersJsonSchema':
    case 'parameters_json_schema':
    case 'input_schema':
    case 'inputSchema':
      return 'name' in node;
    default:
      return false;
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** What decides whether a string is like an address has under 100 characters, an escape six bytes. */
const START_MAX_BYTES = 1_024;

/**
 * Strings in JSON that are like an address, members' names included. More than the parsed value has
 * means that one stands in a repeated member, of which parsers differ in which counts (RFC 8259 section 4).
 */
function countInBytes(json: Buffer): number {
  let count = 0;
  for (let start = json.indexOf(QUOTE); start >= 0;) {
    const end = stringEnd(json, start);
    if (end < 0) return count;
    if (LIKE_ADDRESS.test(startOf(json, start, end))) count += 1;
    start = json.indexOf(QUOTE, end);
  }
  return count;
}

/** The offset after the closing quote; -1 if there is none. */
function stringEnd(json: Buffer, start: number): number {
  for (let quote = json.indexOf(QUOTE, start + 1); quote >= 0; quote = json.indexOf(QUOTE, quote + 1)) {
    let escapes = 0;
    while (json[quote - 1 - escapes] === BACKSLASH) escapes += 1;
    if (escapes % 2 === 0) return quote + 1;
  }
  return -1;
}

/** The string's beginning, unescaped; an escape that is cut lies behind all that decides. */
function startOf(json: Buffer, start: number, end: number): string {
  const text = json.toString('latin1', start + 1, Math.min(end - 1, start + 1 + START_MAX_BYTES));
  if (!text.includes('\\')) return text;
  return text.replace(
    /\\(?:u([0-9a-fA-F]{4})|(.))/g,
    (_, code: string | undefined, sign: string | undefined) =>
      code === undefined
        ? (CONTROL_ESCAPES.get(sign ?? '') ?? sign ?? '')
        : String.fromCharCode(Number.parseInt(code, 16)),
  );
}

/** RFC 8259 section 7; the other signs stand for themselves. */
const CONTROL_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
]);
