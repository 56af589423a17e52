/** The gateway document that points at a fake upstream, and a Postern beside it. */
import { userInfo } from 'node:os';
import { startFakeUpstream, type FakeUpstream } from '../upstream/index.ts';
import { startPostern, type Ending, type Postern, type PosternOptions } from './harness.ts';

/** Keys as the operator's environment gives them to `env:` values of a `--config` file. */
export const PROVIDER_ENV: Readonly<Record<string, string>> = {
  FAKE_OPENAI_KEY: 'sk-fake-openai',
  FAKE_ANTHROPIC_KEY: 'sk-fake-anthropic',
  FAKE_GEMINI_KEY: 'fake-google-key',
};

export interface DocumentOptions {
  /** Members beside `providers` and `grants`, or instead of them. */
  readonly more?: Readonly<Record<string, unknown>>;
  /** The capability of the local caller. */
  readonly capability?: Readonly<Record<string, unknown>>;
}

/** Three providers of one fake upstream; callers of the `local` door may use all of them. */
export function documentFor(upstreamUrl: string, options: DocumentOptions = {}): Record<string, unknown> {
  return {
    providers: {
      openai: {
        baseurl: upstreamUrl,
        apikey: 'env:FAKE_OPENAI_KEY',
        models: ['gpt-*', 'text-embedding-*'],
        compatibility: { openai_chat: true, openai_responses: true },
        cost_basis: 'openai',
      },
      anthropic: {
        baseurl: upstreamUrl,
        apikey: 'env:FAKE_ANTHROPIC_KEY',
        authorization: 'x-api-key',
        models: ['claude-*'],
        compatibility: { anthropic_messages: true },
        cost_basis: 'anthropic',
      },
      gemini: {
        baseurl: upstreamUrl,
        apikey: 'env:FAKE_GEMINI_KEY',
        authorization: 'x-goog-api-key',
        models: ['gemini-*'],
        compatibility: { gemini_generate_content: true },
        cost_basis: 'google',
      },
    },
    grants: [
      {
        src: ['(loopback)'],
        app: { 'postern.dev/cap/gateway': [{ role: 'user', models: '**', ...options.capability }] },
      },
      { src: [`local:${userInfo().uid}`], app: { 'postern.dev/cap/gateway': [{ role: 'admin' }] } },
    ],
    ...options.more,
  };
}

export interface Scene {
  readonly upstream: FakeUpstream;
  readonly postern: Postern;
}

/** A fake upstream and a Postern in front of it; both end with the test. */
export async function startScene(t: Ending, options: DocumentOptions & PosternOptions = {}): Promise<Scene> {
  const upstream = await startFakeUpstream();
  t.after(() => upstream.close());
  const postern = await startPostern(t, {
    document: documentFor(upstream.url, options),
    ...options,
    env: { ...PROVIDER_ENV, ...options.env },
    flags: { allowUpstream: '127.0.0.0/8', ...options.flags },
  });
  return { upstream, postern };
}
