/** A Postern whose rules ask about every call of `Bash`, with a fake that calls what a test says, and those who may decide. */
import assert from 'node:assert/strict';
import { startFakeUpstream, type FakeUpstream } from '../upstream/index.ts';
import type { PresenceHeaders } from './administration.ts';
import { eventually } from './ask.ts';
import { documentFor, PROVIDER_ENV } from './fake-providers.ts';
import { startPostern, type Ending, type Postern, type PosternOptions, type Reply } from './harness.ts';
import { OTHER_PRINCIPAL } from './other-user.ts';

const ADMIN_TOKEN = 'break-glass-token-of-this-test-0123456789';
/** The operator: somebody else than whoever runs the tests. */
export const OPERATOR: PresenceHeaders = { authorization: `Bearer ${ADMIN_TOKEN}` };

export interface Approval {
  readonly id: string;
  readonly state: string;
  readonly [member: string]: unknown;
}

export interface HeldScene {
  readonly upstream: FakeUpstream;
  readonly postern: Postern;
  readonly options: PosternOptions;
  /** The arguments that the fake calls `Bash` with, as JSON text; one call each. */
  readonly script: { arguments: readonly string[] };
}

export interface HeldOptions {
  /** Members of `approvals.default`. */
  readonly entry?: object;
  readonly more?: object;
  /** Members of the capability of whoever runs the tests. */
  readonly capability?: Readonly<Record<string, unknown>>;
  readonly stateDir?: string;
}

const USE = { role: 'user', models: '**' };

/** The document; a test that changes it passes other rules. */
export function heldDocument(
  url: string,
  { entry = {}, more = {}, capability = {} }: HeldOptions,
): Record<string, unknown> {
  const document = documentFor(url, {
    more: { tools: [{ tools: ['Bash'], action: 'ask' }], approvals: { default: entry }, ...more },
    capability,
  });
  const grants = document['grants'] as object[];
  const cap = (...capabilities: object[]) => ({ 'postern.dev/cap/gateway': capabilities });
  grants.push(
    { src: ['service:agent', 'service:second'], app: cap(USE) },
    { src: ['service:reviewer'], app: cap({ role: 'admin' }) },
    { src: [OTHER_PRINCIPAL], app: cap({ role: 'approver' }) },
  );
  return document;
}

export async function startHeldScene(t: Ending, options: HeldOptions = {}): Promise<HeldScene> {
  const script = { arguments: ['{"command":"ls","timeout":5}'] as readonly string[] };
  const upstream = await startFakeUpstream({
    calls: () => script.arguments.map((text) => ({ name: 'Bash', arguments: text })),
  });
  t.after(() => upstream.close());
  const posternOptions: PosternOptions = {
    document: heldDocument(upstream.url, options),
    env: { ...PROVIDER_ENV, POSTERN_ADMIN_TOKEN: ADMIN_TOKEN },
    flags: { allowUpstream: '127.0.0.0/8' },
    ...(options.stateDir === undefined ? {} : { stateDir: options.stateDir }),
  };
  const postern = await startPostern(t, posternOptions);
  return { upstream, postern, options: posternOptions, script };
}

const TOOLS = [{ type: 'function', function: { name: 'Bash', parameters: { type: 'object' } } }];

/** Asks the model, which asks for `Bash`. Streamed answers are held; others are pending. */
export function askModel(
  { postern }: Pick<HeldScene, 'postern'>,
  how: { readonly stream?: boolean; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<Reply> {
  const messages = [{ role: 'user', content: 'list the files' }];
  return postern.call('/v1/chat/completions', {
    body: { model: 'gpt-fake', messages, tools: TOOLS, stream: how.stream ?? true },
    headers: { ...how.headers },
  });
}

/** How often the answer asks for `Bash`. */
export function callsIn(answer: Reply): number {
  return answer.text.split('"name":"Bash"').length - 1;
}

export async function approvals(postern: Postern, state?: string): Promise<readonly Approval[]> {
  const query = state === undefined ? '' : `?state=${state}`;
  const listed = await postern.call(`/api/v1/approvals${query}`, { headers: OPERATOR });
  assert.equal(listed.status, 200, listed.text);
  return listed.json()['items'] as Approval[];
}

/** The one question that waits. */
export function pendingOne(postern: Postern): Promise<Approval> {
  return eventually(async () => (await approvals(postern, 'pending'))[0] ?? null, 'a question');
}

export async function stateOf(postern: Postern, id: string): Promise<string> {
  const shown = await postern.call(`/api/v1/approvals/${id}`, { headers: OPERATOR });
  assert.equal(shown.status, 200, shown.text);
  return String(shown.json()['state']);
}

export function decide(
  postern: Postern,
  id: string,
  headers: Readonly<Record<string, string>>,
  decision: object = { verdict: 'approve' },
): Promise<Reply> {
  return postern.call(`/api/v1/approvals/${id}/decision`, { body: decision, headers });
}

export async function approve(
  postern: Postern,
  id: string,
  headers: PresenceHeaders = OPERATOR,
  more: object = {},
): Promise<void> {
  const decided = await decide(postern, id, headers, { verdict: 'approve', ...more });
  assert.equal(decided.status, 200, decided.text);
}

/** A token, as headers. */
export async function mintToken(
  postern: Postern,
  by: PresenceHeaders,
  token: object,
): Promise<{ readonly id: string; readonly headers: PresenceHeaders }> {
  const minted = await postern.call('/api/v1/tokens', { body: { name: 'a test', ...token }, headers: by });
  assert.equal(minted.status, 201, minted.text);
  const { id, token: secret } = minted.json();
  return { id: String(id), headers: { 'x-postern-authorization': `Bearer ${String(secret)}` } };
}
