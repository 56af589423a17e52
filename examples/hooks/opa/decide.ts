/**
 * Postern's hooks answered by Open Policy Agent: the whole payload is OPA's `input`, and the document
 * `postern/decision` of its policies is the answer (OPA's data API, `POST /v1/data/{path}`).
 */
import type { HookAnswer, HookPayload } from '../receiver.ts';

const ACTIONS = ['allow', 'block', 'deny', 'ask'] as const;

/** OPA is asked no longer than this; below the hook's own timeout of 5 s. */
const TIMEOUT_MS = 3_000;

/** Asks OPA at `url` (`http://127.0.0.1:8181`). Rejects where it gives no decision that is one. */
export function askOpa(url: string): (event: string, payload: HookPayload) => Promise<HookAnswer> {
  return async (event, payload) => {
    const response = await fetch(new URL('/v1/data/postern/decision', url), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ input: { ...payload, event } }),
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (response.status !== 200) throw new Error(`OPA answered ${response.status}`);
    // Without a matching document OPA answers 200 and no result: that is no decision.
    return readDecision(await response.json());
  };
}

function readDecision(answer: unknown): HookAnswer {
  const result = member(answer, 'result');
  const action = ACTIONS.find((known) => known === member(result, 'action'));
  const message = member(result, 'message');
  if (action === undefined) throw new Error('OPA gave no decision: is the policy "postern" loaded?');
  return typeof message === 'string' ? { action, message } : { action };
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? Object.entries(value).find(([key]) => key === name)?.[1]
    : undefined;
}
