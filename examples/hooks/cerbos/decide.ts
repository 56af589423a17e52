/**
 * Postern's hooks answered by Cerbos (its API `POST /api/check/resources`). The caller is the principal;
 * the model of a request, or the tool of a call, is the resource. Two actions tell three answers apart:
 *
 *   resource    action       denied means
 *   model       use          block
 *   tool_call   run          deny
 *   tool_call   run_unasked  ask a human
 */
import type { HookAnswer, HookPayload } from '../receiver.ts';

/** Cerbos is asked no longer than this; below the hook's own timeout of 5 s. */
const TIMEOUT_MS = 3_000;

/** Every caller has this role; grants may add others: `"example.com/cap/ai": [{"role": "lead"}]`. */
const ROLE = 'caller';
const ROLE_CAPABILITY = 'example.com/cap/ai';

/** Asks Cerbos at `url` (`http://127.0.0.1:3592`). Rejects where it gives no decision that is one. */
export function askCerbos(url: string): (event: string, payload: HookPayload) => Promise<HookAnswer> {
  return async (event, payload) => {
    const question = questionOf(event, payload);
    // Told afterwards: the answer is not read.
    if (question === null) return { action: 'allow' };
    const response = await fetch(new URL('/api/check/resources', url), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        requestId: payload.metadata.request_id,
        principal: principalOf(payload),
        resources: [question],
      }),
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (response.status !== 200) throw new Error(`Cerbos answered ${response.status}`);
    const effects = readEffects(await response.json());
    if (event === 'pre_request')
      return isAllowed(effects, 'use')
        ? { action: 'allow' }
        : { action: 'block', message: 'this model is not for you' };
    if (!isAllowed(effects, 'run')) return { action: 'deny', message: 'this tool call is not for you' };
    return { action: isAllowed(effects, 'run_unasked') ? 'allow' : 'ask' };
  };
}

interface Question {
  readonly resource: { readonly kind: string; readonly id: string; readonly attr: object };
  readonly actions: readonly string[];
}

function questionOf(event: string, { metadata, tool_call: call }: HookPayload): Question | null {
  const { model, provider } = metadata;
  if (event === 'pre_request') {
    const resource = { kind: 'model', id: `${provider}/${model}`, attr: { model, provider } };
    return { resource, actions: ['use'] };
  }
  if (event !== 'tool_call') return null;
  if (call === undefined) throw new Error('a tool_call without its call');
  const attr = { name: call.name, params: call.params, model, provider };
  return {
    resource: { kind: 'tool_call', id: call.id ?? 'unnamed', attr },
    actions: ['run', 'run_unasked'],
  };
}

function principalOf({ metadata }: HookPayload): object {
  const granted = list(member(metadata.grants, ROLE_CAPABILITY))
    .map((grant) => member(grant, 'role'))
    .filter((role) => typeof role === 'string');
  return {
    // A tagged device has no login.
    id: metadata.login_name || metadata.stable_node_id || 'unknown',
    roles: [...new Set([ROLE, ...granted])],
    attr: { tailnet: metadata.tailnet_name, node: metadata.stable_node_id },
  };
}

/** The effects of the one resource that was asked about. */
function readEffects(answer: unknown): unknown {
  const [result] = list(member(answer, 'results'));
  return member(result, 'actions');
}

/** Throws on anything but one of the two effects: an answer that cannot be read is no decision. */
function isAllowed(effects: unknown, action: string): boolean {
  const effect = member(effects, action);
  if (effect === 'EFFECT_ALLOW') return true;
  if (effect === 'EFFECT_DENY') return false;
  throw new Error(`Cerbos gave no decision on "${action}"`);
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? Object.entries(value).find(([key]) => key === name)?.[1]
    : undefined;
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
