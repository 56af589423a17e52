/** What stands in a request's input that no count of its bytes bounds. */
import { requestTools } from '../../llm/request-text/index.ts';
import type { BodyFacts } from '../../llm/index.ts';

export interface InputQuestion {
  readonly body: Buffer;
  readonly facts: BodyFacts | null;
  /** It refers to objects that the provider keeps. */
  readonly refersToObjects: boolean;
}

export interface InputRead {
  readonly images: number;
  readonly tools: number;
  readonly isUnknown: boolean;
}

/** Members by which a provider reads what is not in the body, or what no count of bytes bounds. */
const UNKNOWN_MARKS = [
  'file_id',
  'fileUri',
  'file_uri',
  'file_url',
  'input_audio',
  'inputAudio',
  'fileData',
  'file_data',
  'cachedContent',
  'cached_content',
  'mcp_servers',
  's3Location',
  'container',
] as const;
const UNKNOWN_TYPES =
  /"(?:media_type|mimeType|mime_type|type)"\s*:\s*"(?:application\/pdf|audio\/|video\/|document|url|input_file|file)/g;
const IMAGE_TYPES =
  /"(?:type|media_type|mimeType|mime_type|format)"\s*:\s*"(?:image|input_image|image_url|png|jpeg|gif|webp)/g;
const BY_ADDRESS = /"(?:url|image_url|fileUri)"\s*:\s*"https?:/;

/** Documents and films of Bedrock's Converse, which names them by their format alone. */
const UNKNOWN_FORMATS =
  /"format"\s*:\s*"(?:pdf|docx?|xlsx?|csv|html|txt|md|mkv|mov|mp4|webm|flv|mpeg|mpg|wmv|three_gp)"/;

/** By the words that stand for such input in every format; a text that happens to hold them counts too. */
export function readInput({ body, facts, refersToObjects }: InputQuestion): InputRead {
  const tools = facts === null ? [] : requestTools(body, facts);
  const keepsContext =
    refersToObjects ||
    (facts?.previousResponseId ?? null) !== null ||
    (facts?.span('conversation') ?? null) !== null ||
    facts?.kind === 'multipart';
  const latin1 = facts?.kind === 'json' ? body.toString('latin1') : '';
  const text = ANY_HINT.test(latin1) ? unescaped(latin1) : '';
  return {
    images: count(text, IMAGE_TYPES),
    tools: tools.length,
    isUnknown:
      keepsContext ||
      // Tools that the provider runs bring input of their own (search results, files, pages).
      tools.some(({ kind }) => kind === 'provider') ||
      (facts !== null && isDearer(facts)) ||
      UNKNOWN_MARKS.some((mark) => text.includes(`"${mark}"`)) ||
      count(text, UNKNOWN_TYPES) > 0 ||
      UNKNOWN_FORMATS.test(text) ||
      BY_ADDRESS.test(text),
  };
}

/** Strings, or their beginnings, without one of which nothing below can match; escapes could hide any. */
const HINTS = [
  ...UNKNOWN_MARKS.map((mark) => `"${mark}"`),
  '"application/pdf',
  '"audio/',
  '"video/',
  '"document',
  '"url"',
  '"input_file',
  '"file"',
  '"format"',
  '"image',
  '"input_image',
  '"http',
  '\\u00',
  '\\/',
];
/** One pass for all of them: a search of the bytes for each costs twenty times as much. */
const ANY_HINT = new RegExp(HINTS.map((hint) => RegExp.escape(hint)).join('|'));

/** JSON lets every letter be written as an escape (RFC 8259 section 7): the words are looked for behind those. */
function unescaped(text: string): string {
  if (!text.includes('\\u00') && !text.includes('\\/')) return text;
  return text.replace(ESCAPED, (_, hex: string | undefined) =>
    hex === undefined ? '/' : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

/** A slash, and what is printable in ASCII but for the signs that JSON itself is made of. */
const ESCAPED = /\\(?:u00(2[013-9a-f]|[346][0-9a-f]|5[0-9abd-f]|7[0-9a-e])|\/)/gi;

/** Ways of being served that cost more than the list says: no price is known for them. */
function isDearer(facts: BodyFacts): boolean {
  const tier = facts.member('service_tier') ?? facts.member('serviceTier') ?? 'default';
  const speed = facts.member('speed') ?? 'standard';
  const isUsual = typeof tier === 'string' && USUAL_TIERS.has(tier.toLowerCase());
  // Of speech, it is a number and costs nothing.
  return !isUsual || (speed !== 'standard' && typeof speed !== 'number');
}

/** None of them is dearer than the list price (OpenAI's and Anthropic's "Service tiers"). */
const USUAL_TIERS: ReadonlySet<string> = new Set(['auto', 'default', 'standard', 'standard_only', 'flex']);

function count(text: string, pattern: RegExp): number {
  let found = 0;
  pattern.lastIndex = 0;
  while (pattern.exec(text) !== null) found += 1;
  return found;
}
