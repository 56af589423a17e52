/** What an admin does first: claim, show presence, save a document, add keys. Through the API, as a person would. */
import assert from 'node:assert/strict';
import { startFakeUpstream, type FakeUpstream, type FakeUpstreamOptions } from '../upstream/index.ts';
import type { PosternProcess } from '../postern-process.ts';
import { documentFor } from './fake-providers.ts';
import { startPostern, type Ending, type Postern, type PosternOptions, type Reply } from './harness.ts';

export type PresenceHeaders = Readonly<Record<string, string>>;

/** Shows presence with the one-time code of the operator's terminal, as `postern login` does. */
export async function showPresence(postern: Postern): Promise<PresenceHeaders> {
  const asked = await post(postern, '/api/v1/presence/requests', { client: 'a test', announce: true });
  assert.equal(asked.status, 201, asked.text);
  const { id, poll_secret: pollSecret } = asked.json();
  const code = /#([0-9a-z]+)/.exec(postern.announced.at(-1) ?? '')?.[1];
  assert.ok(code, `no code was announced: ${postern.announced.join('\n')}`);
  const confirmed = await post(postern, `/api/v1/presence/requests/${String(id)}/confirm`, { code });
  assert.equal(confirmed.status, 204, confirmed.text);
  const collected = await post(postern, `/api/v1/presence/requests/${String(id)}/poll`, {
    poll_secret: pollSecret,
  });
  assert.equal(collected.status, 200, collected.text);
  return { 'x-postern-presence': String(collected.json()['token']) };
}

/** Uses the claim link; the caller of the `local` door administers from then on. */
export async function claim(postern: Postern): Promise<void> {
  const code = new URL(postern.claimUrl ?? assert.fail('nothing to claim')).hash.slice(1);
  const claimed = await post(postern, '/api/v1/claim', { code });
  assert.equal(claimed.status, 200, claimed.text);
}

export function post(
  postern: Postern,
  path: string,
  body: unknown,
  headers: PresenceHeaders = {},
): Promise<Reply> {
  return postern.call(path, { body, headers });
}

/** The present document as it is saved: with the tag that was read. */
export async function saveDocument(
  postern: Postern,
  presence: PresenceHeaders,
  document: unknown,
  comment = '',
): Promise<Reply> {
  const etag = String((await postern.call('/api/v1/config')).headers['etag']);
  const text = typeof document === 'string' ? document : JSON.stringify(document, null, 2);
  return postern.call('/api/v1/config', {
    method: 'PUT',
    body: { text, comment },
    headers: { ...presence, 'if-match': etag },
  });
}

export async function addKey(
  postern: Postern,
  presence: PresenceHeaders,
  key: { readonly provider: string; readonly secret: string; readonly state?: 'staged' | 'active' },
): Promise<string> {
  const added = await post(postern, '/api/v1/keys', key, presence);
  assert.equal(added.status, 201, added.text);
  return String(added.json()['id']);
}

/** The document of `documentFor` without its keys: they are entered by hand. */
export function documentWithoutKeys(upstreamUrl: string): Record<string, unknown> {
  const { providers, ...rest } = documentFor(upstreamUrl);
  const bare = Object.entries(providers as Record<string, Record<string, unknown>>).map(([id, provider]) => {
    const { apikey: _, ...others } = provider;
    return [id, others];
  });
  return { ...rest, providers: Object.fromEntries(bare) };
}

export interface ClaimedScene {
  readonly upstream: FakeUpstream;
  readonly postern: Postern;
  readonly presence: PresenceHeaders;
  readonly keyIds: Readonly<Record<'openai' | 'anthropic' | 'gemini', string>>;
}

/** A Postern that was claimed, has a stored document for a fake upstream, and one key for each provider. */
export async function startClaimedScene(
  t: Ending,
  options: { readonly upstream?: FakeUpstreamOptions; readonly postern?: PosternOptions } = {},
): Promise<ClaimedScene> {
  const upstream = await startFakeUpstream(options.upstream);
  t.after(() => upstream.close());
  const postern = await startPostern(t, {
    ...options.postern,
    flags: { allowUpstream: '127.0.0.0/8', ...options.postern?.flags },
  });
  await claim(postern);
  const presence = await showPresence(postern);
  const saved = await saveDocument(postern, presence, documentWithoutKeys(upstream.url), 'the first');
  assert.equal(saved.status, 200, saved.text);
  const keyIds = {
    openai: await addKey(postern, presence, { provider: 'openai', secret: 'sk-fake-openai' }),
    anthropic: await addKey(postern, presence, { provider: 'anthropic', secret: 'sk-fake-anthropic' }),
    gemini: await addKey(postern, presence, { provider: 'gemini', secret: 'fake-google-key' }),
  };
  return { upstream, postern, presence, keyIds };
}

/** Uses the claim link of a Postern that runs as a process. */
export async function claimProcess(postern: PosternProcess): Promise<void> {
  const code = new URL(String(postern.banner['claim_url'])).hash.slice(1);
  const claimed = await fetch(`${postern.url}/api/v1/claim`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ code }),
  });
  assert.equal(claimed.status, 200, await claimed.text());
}

/** `postern login`, with the code that the server prints on its own terminal. Returns what the commands printed. */
export async function loginByCli(postern: PosternProcess): Promise<string> {
  const waiting = postern.cli(['login']);
  const deadline = Date.now() + 20_000;
  let code: string | undefined;
  while (code === undefined) {
    assert.ok(Date.now() < deadline, 'a code is announced');
    code = /\/presence#([0-9a-z]+)/.exec(postern.log())?.[1];
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
  }
  const done = await postern.cli(['login', '--code', code]);
  assert.equal(done.code, 0, done.stderr);
  const first = await waiting;
  return [first.stdout, first.stderr, done.stdout, done.stderr].join('\n');
}
