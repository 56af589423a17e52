/**
 * Anthropic Messages as the clouds take them: Bedrock's InvokeModel (AWS, "Anthropic Claude Messages
 * API") and Vertex's raw predictions (Google Cloud, "Request predictions with Claude models"). The
 * model stands in the path, the version in the body, and what belongs to Anthropic's own platform is
 * refused there, so it stays behind and is reported.
 */
import { asArray, asRecord, get, type JsonRecord } from '../../formats/findings.ts';
import type { TranslationTarget } from '../contract.ts';
import type { Conversation } from '../conversation.ts';
import type { Losses } from '../losses.ts';
import { openOpaque, parseJson } from '../opaque.ts';
import { isBillingNote } from './anthropic-read.ts';
import { writeAnthropicRequest } from './anthropic-write.ts';
import type { WriteContext } from './context.ts';

export type CloudFormat = 'bedrock_model_invoke' | 'google_raw_predict';

interface Cloud {
  readonly version: string;
  /** Members of the body that it refuses. */
  readonly refused: ReadonlySet<string>;
  /** Betas that it takes; it answers 400 to any other. */
  readonly betas: ReadonlySet<string>;
}

/** Of Anthropic's own platform. */
const PLATFORM_MEMBERS = [
  'cache_control',
  'container',
  'inference_geo',
  'mcp_servers',
  'service_tier',
  'speed',
] as const;
/** Without it `context_management` is refused. */
const CONTEXT_MANAGEMENT = 'context-management-2025-06-27';
const SHARED_BETAS = [
  'computer-use-2025-01-24',
  'context-1m-2025-08-07',
  CONTEXT_MANAGEMENT,
  'fine-grained-tool-streaming-2025-05-14',
  'interleaved-thinking-2025-05-14',
  'tool-search-tool-2025-10-19',
] as const;

const CLOUDS: Readonly<Record<CloudFormat, Cloud>> = {
  bedrock_model_invoke: {
    version: 'bedrock-2023-05-31',
    refused: new Set([...PLATFORM_MEMBERS, 'metadata', 'model', 'stream']),
    betas: new Set([
      ...SHARED_BETAS,
      'dev-full-thinking-2025-05-14',
      'effort-2025-11-24',
      'output-128k-2025-02-19',
      'token-efficient-tools-2025-02-19',
      'tool-examples-2025-10-29',
    ]),
  },
  google_raw_predict: {
    version: 'vertex-2023-10-16',
    refused: new Set([...PLATFORM_MEMBERS, 'model']),
    betas: new Set([...SHARED_BETAS, 'web-search-2025-03-05']),
  },
};

/** Members whose absence says nothing to the caller: they are said in another way. */
const SAID_ELSEWHERE: ReadonlySet<string> = new Set(['model', 'stream']);

/** What goes to the cloud. */
export interface CloudRequest {
  readonly body: JsonRecord;
  /** Sent beside the caller's: a flat list. */
  readonly headers: readonly string[];
}

/** A conversation of another format. */
export function writeCloudRequest(
  cloud: CloudFormat,
  conversation: Conversation,
  context: WriteContext,
): JsonRecord {
  const takesUser = cloud === 'google_raw_predict';
  if (conversation.endUser !== null && !takesUser) context.losses.add('user');
  const written = writeAnthropicRequest(
    takesUser ? conversation : { ...conversation, endUser: null },
    context,
  );
  return withVersion(cloud, without(written, CLOUDS[cloud].refused));
}

/**
 * A request that an Anthropic caller wrote: it is sent on as it is, but for what the cloud refuses, and for
 * reasoning that another provider sealed. `origin` is the target's (`originOf`).
 */
export function carryToCloud(
  cloud: CloudFormat,
  request: JsonRecord,
  {
    target,
    losses,
    origin,
  }: Pick<WriteContext, 'losses' | 'origin'> & { readonly target: TranslationTarget },
): CloudRequest {
  const { refused, betas: taken } = CLOUDS[cloud];
  for (const name of Object.keys(request))
    if (refused.has(name) && !SAID_ELSEWHERE.has(name)) losses.add(name);
  const betas = target.betas.filter((beta) => taken.has(beta));
  if (betas.length < target.betas.length) losses.add('anthropic-beta');
  const body: Record<string, unknown> = { ...without(request, refused) };
  if (body['context_management'] !== undefined && !betas.includes(CONTEXT_MANAGEMENT)) {
    losses.add('context_management');
    delete body['context_management'];
  }
  if (Array.isArray(body['system'])) body['system'] = carrySystem(asArray(body['system']), losses);
  if (Array.isArray(body['messages']))
    body['messages'] = asArray(body['messages']).map((message) => carryMessage(message, origin, losses));
  if (Array.isArray(body['tools'])) body['tools'] = asArray(body['tools']).map(withoutScope);
  if (betas.length === 0) return { body: withVersion(cloud, body), headers: [] };
  return cloud === 'bedrock_model_invoke'
    ? { body: withVersion(cloud, { ...body, anthropic_beta: betas }), headers: [] }
    : { body: withVersion(cloud, body), headers: ['anthropic-beta', betas.join(',')] };
}

function withVersion(cloud: CloudFormat, body: JsonRecord): JsonRecord {
  return { ...body, anthropic_version: CLOUDS[cloud].version };
}

function without(body: JsonRecord, refused: ReadonlySet<string>): JsonRecord {
  return Object.fromEntries(Object.entries(body).filter(([name]) => !refused.has(name)));
}

function carrySystem(blocks: readonly unknown[], losses: Losses): unknown[] {
  const kept = blocks.filter((block) => !isBillingNote(get(block, 'text')));
  if (kept.length < blocks.length) losses.add('system.billing');
  return kept.map(withoutScope);
}

/** Caches of a wider scope than one account's are Anthropic's own. */
function withoutScope(block: unknown): unknown {
  const cache = asRecord(get(block, 'cache_control'));
  if (cache?.['scope'] === undefined) return block;
  return { ...asRecord(block), cache_control: without(cache, SCOPE) };
}

const SCOPE: ReadonlySet<string> = new Set(['scope']);

function carryMessage(message: unknown, origin: string, losses: Losses): unknown {
  const content = get(message, 'content');
  if (!Array.isArray(content)) return message;
  const blocks = asArray(content).flatMap((block) => carryBlock(block, origin, losses));
  return { ...asRecord(message), content: blocks };
}

/** Thinking that another provider's answer brought through Postern is nobody's here; this one's own is opened. */
function carryBlock(block: unknown, origin: string, losses: Losses): unknown[] {
  const opaque = get(block, 'type') === 'thinking' ? openOpaque(get(block, 'signature')) : null;
  if (opaque === null) return [withoutScope(block)];
  const signed = opaque.origin === origin ? asRecord(parseJson(opaque.data)) : null;
  if (typeof signed?.['redacted'] === 'string')
    return [{ type: 'redacted_thinking', data: signed['redacted'] }];
  if (typeof signed?.['signature'] === 'string') return [{ type: 'thinking', ...signed }];
  losses.add('messages.thinking');
  return [];
}
