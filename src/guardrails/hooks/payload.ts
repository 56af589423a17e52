/**
 * What is sent to a hook: Aperture's `HookCallData`, member by member (its protocol reference in
 * `tailscale/aperture-recipes`), put together from the bytes as they are, without parsing them again.
 *
 *   { "metadata": { login_name … session_id [, grants] [, quotas] [, estimated_cost] }
 *     [, "request_body": …] [, "user_message": …] [, "request_delta": …]           any event
 *     [, "response_body": … [, "response_body_omitted": "too_large"]]                    afterwards
 *     [, "raw_responses": […] [, "raw_responses_omitted": "too_large"]]                  afterwards
 *     [, "tool_calls": [{name, params}]]                                                 afterwards
 *     [, "event": "tool_call", "tool_call": {id, name, params}] }                  only `tool_call`
 *
 * Values of the answer are not there before a request, as in Aperture. `request_delta`,
 * `response_body_omitted`, `raw_responses_omitted` and `tool_call` are Postern's own.
 */
import { isUtf8 } from 'node:buffer';
import type { AppError } from '../../base/errors.ts';
import { JsonScanError, skipJsonValue } from '../../wire/json-scan.ts';
import type { DeltaPlan } from './delta.ts';
import { hookError, type HookFault } from './errors.ts';
import { joined } from './json-join.ts';
import type {
  BoundHook,
  HookCompletion,
  HookCost,
  HookFacts,
  HookRequest,
  HookToolCall,
  HookUsage,
} from './shapes.ts';

/** Whether a hook gets the request's body, whole or in part. */
export function wantsBody({ use }: BoundHook): boolean {
  return use.send.includes('request_body') || use.send.includes('delta');
}

/** Whether it gets only what it has not seen. */
export function wantsDelta({ entry, use }: BoundHook): boolean {
  return wantsBody({ entry, use }) && (entry.payload === 'delta' || use.send.includes('delta'));
}

type Built = Buffer | AppError<HookFault>;

/** The payload of `pre_request`. `plan` where the hook takes deltas. */
export function requestPayload(hook: BoundHook, request: HookRequest, plan: DeltaPlan | null): Built {
  return finish([
    member('metadata', metadataOf(hook, request, null)),
    ...requestMembers(hook, request, plan),
  ]);
}

/** The payload of the two events after a request. */
export function completionPayload(
  hook: BoundHook,
  completion: HookCompletion,
  plan: DeltaPlan | null,
): Built {
  const { send } = hook.use;
  const members = [
    member('metadata', metadataOf(hook, completion, completion.cost)),
    ...requestMembers(hook, completion, plan),
  ];
  if (send.includes('response_body')) {
    const body = completion.responseBody();
    const isTold = Buffer.isBuffer(body) && isJson(body);
    members.push(rawMember('response_body', isTold ? body : NULL));
    if (body === 'too_large') members.push(member('response_body_omitted', body));
  }
  if (send.includes('raw_responses')) {
    const { events, isTruncated } = completion.rawResponses();
    members.push(rawMember('raw_responses', joined('[', events.filter(isJson), ']')));
    if (isTruncated) members.push(member('raw_responses_omitted', 'too_large'));
  }
  if (send.includes('tools')) {
    members.push(
      member(
        'tool_calls',
        completion.toolCalls.map(({ name, params }) => ({ name, params: params ?? null })),
      ),
    );
  }
  return finish(members);
}

/** The payload of `tool_call`. `params` are a string where the model wrote no JSON. */
export function toolCallPayload(
  hook: BoundHook,
  facts: HookFacts,
  call: HookToolCall,
  request: Pick<HookRequest, 'body' | 'isJson' | 'userMessage'> | null,
): Built {
  const { id, name, params, argumentsText } = call;
  return finish([
    member('event', 'tool_call'),
    member('metadata', metadataOf(hook, facts, null)),
    member('tool_call', { id, name, params: params ?? argumentsText }),
    ...(request === null ? [] : requestMembers(hook, request, null)),
  ]);
}

type Member = Buffer | AppError<HookFault>;

function requestMembers(
  hook: BoundHook,
  { body, isJson: isJsonBody, userMessage }: Pick<HookRequest, 'body' | 'isJson' | 'userMessage'>,
  plan: DeltaPlan | null,
): Member[] {
  const members: Member[] = [];
  if (wantsBody(hook)) {
    if (!isJsonBody)
      return [hookError('hook_request_unsendable', 'the hook wants the body, which is a form and no JSON')];
    members.push(rawMember('request_body', plan?.body ?? body));
    if (plan !== null) members.push(member('request_delta', plan.info));
  }
  if (hook.use.send.includes('user_message')) members.push(member('user_message', userMessage(body) ?? ''));
  return members;
}

function metadataOf(
  { use }: BoundHook,
  { metadata, grants, quotas }: HookFacts,
  cost: HookCost | null,
): object {
  return {
    login_name: metadata.loginName,
    user_agent: metadata.userAgent,
    url: metadata.url,
    model: metadata.model,
    provider: metadata.provider,
    tailnet_name: metadata.tailnetName,
    stable_node_id: metadata.stableNodeId,
    request_id: metadata.requestId,
    session_id: metadata.sessionId,
    ...(use.send.includes('grants') ? { grants: grants() } : {}),
    ...(use.send.includes('quotas') ? { quotas: quotas() } : {}),
    ...(use.send.includes('estimated_cost') && cost !== null ? { estimated_cost: costOf(cost) } : {}),
  };
}

const USAGE_NAMES: Readonly<Record<keyof HookUsage, string>> = {
  input: 'input_tokens',
  output: 'output_tokens',
  cached: 'cached_tokens',
  cacheCreation: 'cache_creation_input_tokens',
  cacheCreation5m: 'cache_creation_5m_input_tokens',
  cacheCreation1h: 'cache_creation_1h_input_tokens',
  reasoning: 'reasoning_tokens',
  imageInput: 'image_input_tokens',
  imageOutput: 'image_output_tokens',
  webSearches: 'web_search_count',
};

function costOf({ dollars, costBasis, usage }: HookCost): object {
  const counted = Object.entries(USAGE_NAMES).flatMap(([key, name]) => {
    const count = Object.entries(usage).find(([own]) => own === key)?.[1] ?? 0;
    return count > 0 ? [[name, count] as const] : [];
  });
  return { dollars, cost_basis: costBasis, usage: Object.fromEntries(counted) };
}

const NULL = Buffer.from('null');

function member(name: string, value: unknown): Buffer {
  return Buffer.from(`${JSON.stringify(name)}:${JSON.stringify(value)}`);
}

function rawMember(name: string, json: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${JSON.stringify(name)}:`), json]);
}

function finish(members: readonly Member[]): Built {
  const parts: Buffer[] = [];
  for (const part of members) {
    if (!Buffer.isBuffer(part)) return part;
    parts.push(part);
  }
  return joined('{', parts, '}');
}

/** What upstreams sent is put into our JSON only if it is one JSON value. */
function isJson(text: Buffer): boolean {
  if (!isUtf8(text)) return false;
  try {
    const start = /^[ \t\r\n]*/.exec(text.toString('latin1', 0, 64))?.[0].length ?? 0;
    const end = skipJsonValue(text, start);
    return /^[ \t\r\n]*$/.test(text.toString('latin1', end));
  } catch (error) {
    if (error instanceof JsonScanError) return false;
    throw error;
  }
}
