/** Every page of the console, for suites that ask the same of each: its address, and what it shows when it has nothing. */
import type { ConsoleScene } from './console-scene.ts';

export interface Place {
  readonly name: string;
  /** `{request}` and such stand for what `oneOfEach` made. */
  readonly path: string;
  /** What an admin reads where nothing was ever recorded; null where a page always has something, or is of one thing. */
  readonly empty: RegExp | null;
  /** The link or button that the empty state offers, and what it must lead to. */
  readonly next?: { readonly name: string | RegExp; readonly leadsTo: RegExp };
  /** Paths of the API that the page does without: suggestions, hints and marks. */
  readonly quiet?: readonly string[];
}

/** Read by what stands around every page. */
export const AROUND: readonly string[] = ['/api/v1/events', '/api/v1/approvals'];

const CONNECT = { name: 'Connect a client', leadsTo: /Home/ } as const;

export const PLACES: readonly Place[] = [
  { name: 'home', path: '/', empty: /Waiting for your first request/, quiet: ['/api/v1/status'] },
  { name: 'live', path: '/live', empty: /Waiting for the first request/, next: CONNECT },
  { name: 'requests', path: '/requests', empty: /No requests yet/, next: CONNECT, quiet: ['/api/v1/models'] },
  { name: 'a request', path: '/requests/{request}', empty: null, quiet: ['/api/v1/budgets'] },
  { name: 'sessions', path: '/sessions', empty: /No sessions yet/, next: CONNECT, quiet: ['/api/v1/models'] },
  { name: 'a session', path: '/sessions/{session}', empty: null },
  { name: 'usage', path: '/usage', empty: /Nothing was used in this time/, next: CONNECT },
  { name: 'approvals', path: '/approvals', empty: /Nothing waits for you/ },
  { name: 'what I asked', path: '/approvals?tab=mine', empty: /You have asked for nothing/ },
  { name: 'history of approvals', path: '/approvals?tab=history', empty: /Nothing that fits/ },
  { name: 'an approval', path: '/approvals/{approval}', empty: null },
  { name: 'policy', path: '/policy', empty: null, quiet: ['/api/v1/config/schema'] },
  { name: 'policy form', path: '/policy?tab=form', empty: null, quiet: ['/api/v1/config/validate'] },
  {
    name: 'policy tests',
    path: '/policy?tab=tests',
    empty: /No tests yet/,
    quiet: ['/api/v1/config/validate'],
  },
  {
    name: 'explain',
    path: '/policy?tab=explain',
    empty: null,
    quiet: ['/api/v1/config/validate', '/api/v1/models'],
  },
  { name: 'simulate', path: '/policy?tab=simulate', empty: null, quiet: ['/api/v1/config/validate'] },
  {
    name: 'versions',
    path: '/policy?tab=versions',
    empty: /No versions yet/,
    quiet: ['/api/v1/config/validate'],
  },
  { name: 'providers', path: '/providers', empty: null },
  { name: 'network', path: '/network', empty: null },
  { name: 'network map', path: '/network?tab=map', empty: null },
  {
    name: 'network policy',
    path: '/network?tab=policy',
    empty: null,
    quiet: ['/api/v1/tailnets/default/devices', '/api/v1/tailnets/default/users'],
  },
  { name: 'network keys', path: '/network?tab=keys', empty: null },
  { name: 'network users', path: '/network?tab=users', empty: null },
  { name: 'network DNS', path: '/network?tab=dns', empty: null },
  { name: 'network settings', path: '/network?tab=settings', empty: null },
  { name: 'audit', path: '/audit', empty: /No entry fits/, quiet: ['/api/v1/audit/actions'] },
  { name: 'playground', path: '/playground', empty: null },
  { name: 'tokens', path: '/settings/tokens', empty: /No tokens yet/ },
  { name: 'passkeys', path: '/settings/passkeys', empty: /No passkey yet/, quiet: ['/api/v1/status'] },
  { name: 'admins', path: '/settings/admins', empty: null },
  { name: 'hooks', path: '/settings/hooks', empty: /No hooks/ },
  { name: 'retention', path: '/settings/retention', empty: null },
  { name: 'server', path: '/settings/server', empty: null },
  { name: 'doctor', path: '/settings/doctor', empty: null },
  { name: 'about', path: '/settings/about', empty: null },
];

/** Ids of one thing of each kind. */
export type Made = Readonly<Record<'request' | 'session' | 'approval', string>>;

/** One request in one session, and one approval, of the viewer. */
export async function oneOfEach(scene: ConsoleScene): Promise<Made> {
  const session = 'the-one-session';
  await scene.asViewer(
    'POST',
    '/v1/chat/completions',
    { model: 'postern/echo', messages: [{ role: 'user', content: 'hello' }] },
    { 'x-postern-session': session, 'x-postern-agent': 'codex' },
  );
  const asked = await scene.asViewer('POST', '/api/v1/approvals', {
    kind: 'model',
    model: 'openai/o9-not-granted',
    reason: 'for a test',
  });
  let request: unknown;
  for (let tries = 0; request === undefined && tries < 100; tries += 1) {
    const { json } = await scene.asOperator('GET', '/api/v1/requests');
    request = Object(json).items?.[0]?.id;
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
  }
  return { request: String(request), session, approval: String(Object(asked.json).id) };
}

/** The address of a place. */
export function pathOf({ path }: Place, made: Made): string {
  return path.replaceAll(/\{(request|session|approval)\}/g, (_, kind: keyof Made) =>
    encodeURIComponent(made[kind]),
  );
}
