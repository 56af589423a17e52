/** Entries and requests for the tests of guardrails. No value here is a real key, card or account. */
import type { RequestTexts } from '../llm/request-text/index.ts';
import { requestTexts, withTexts } from '../llm/request-text/index.ts';
import type { Format } from '../llm/surface.ts';
import type { GuardrailEntry } from '../policy/governance.ts';
import type { CheckedRequest } from './check-request.ts';
import { createGuardrails, type Guardrails } from './guardrails.ts';

export const KEY = new Uint8Array(32).fill(7);

export function entryOf(changes: Partial<GuardrailEntry>): GuardrailEntry {
  return {
    name: 'pii',
    path: 'guardrails.pii',
    src: [],
    models: null,
    on: ['request', 'answer', 'tool_arguments', 'tool_results'],
    detect: [],
    patterns: [],
    action: 'redact',
    message: null,
    limits: { maxBodyBytes: null, maxDepth: null, maxTools: null, maxMessages: null, maxOutputTokens: null },
    ...changes,
  };
}

export const guardrails = (): Guardrails => createGuardrails({ key: KEY });

export function bodyOf(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value), 'utf8');
}

export function textsOf(body: Buffer, format: Format = 'openai_chat'): RequestTexts {
  const texts = requestTexts(format, body, { kind: 'json' });
  if (texts === null || typeof texts === 'string') throw new Error('the fixture has readable texts');
  return texts;
}

export interface Sent extends CheckedRequest {
  /** The body that the provider gets. */
  readonly sent: string;
}

/** A request as a gateway would send it on. */
export function send(
  guards: Guardrails,
  entries: readonly GuardrailEntry[],
  value: unknown,
  {
    scope = 'alice',
    format = 'openai_chat',
    isStored = false,
  }: { scope?: string; format?: Format; isStored?: boolean } = {},
): Sent {
  const body = bodyOf(value);
  const texts = textsOf(body, format);
  const checked = guards.checkRequest({
    entries,
    scope,
    body,
    texts,
    tools: 0,
    outputTokens: null,
    isStored,
  });
  return { ...checked, sent: withTexts(body, checked.edits).toString() };
}

/** A text without any meaning that has the look of a key's random part. */
export function random(length: number, signs = 'aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0fG'): string {
  return signs.repeat(Math.ceil(length / signs.length)).slice(0, length);
}
