/** Asks one provider for its models, by the way that every request takes out: the cheapest that shows whether it works. */
import type { ProviderTestResult } from '../api/ports.ts';
import type { Clock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import type { Documents } from '../gateway/documents/index.ts';
import type { SurfaceMatch } from '../llm/index.ts';
import type { Providers, UpstreamKind } from '../llm/providers/index.ts';
import type { FetchSmall, SmallAnswer } from '../net/index.ts';
import type { Provider } from '../policy/index.ts';
import type { Vault } from '../vault/index.ts';

export interface ProviderTestParts {
  readonly documents: Pick<Documents, 'current'>;
  readonly vault: Pick<Vault, 'select' | 'selectById'>;
  readonly providers: Pick<Providers, 'prepareUpstream'>;
  /** By the guarded dialer. */
  readonly fetchSmall: FetchSmall;
  readonly clock: Clock;
}

/** Of one answer; the longest list of models has about 3 MiB. */
const ANSWER_MAX_BYTES = 8 * 1024 * 1024;
const TIMEOUT_MS = 15_000;
const MODELS_MAX = 200;
const MESSAGE_MAX_CHARS = 300;

/** Where models are listed, and what says in whose words. */
interface ModelsList {
  readonly path: string;
  readonly dialect: SurfaceMatch['dialect'];
  readonly headers: readonly string[];
}

const OPENAI_LIST: ModelsList = { path: '/v1/models', dialect: 'openai', headers: [] };
/** Without its version a server that speaks both takes the caller for an OpenAI one. */
const ANTHROPIC_LIST: ModelsList = {
  path: '/v1/models',
  dialect: 'anthropic',
  headers: ['anthropic-version', '2023-06-01'],
};
const GEMINI_LIST: ModelsList = { path: '/v1beta/models', dialect: 'google', headers: [] };

/** Null for kinds without a list: their root is asked for, which shows that they answer. */
function listOf({ kind, formats }: AskedProvider): ModelsList | null {
  if (kind === 'vertex' || kind === 'bedrock') return null;
  if (kind === 'anthropic') return ANTHROPIC_LIST;
  if (kind === 'gemini') return GEMINI_LIST;
  if (kind !== 'compatible' || formats.has('openai_chat') || formats.has('openai_responses'))
    return OPENAI_LIST;
  if (formats.has('anthropic_messages')) return ANTHROPIC_LIST;
  return formats.has('gemini_generate_content') ? GEMINI_LIST : OPENAI_LIST;
}

type AskedProvider = Provider & { readonly kind: UpstreamKind };

export function createProviderTest(
  parts: ProviderTestParts,
): (providerId: string, keyId: string | null) => Promise<ProviderTestResult> {
  return async (providerId, keyId) => {
    const begun = parts.clock.monotonicMs();
    const provider = parts.documents.current().providers.get(providerId);
    const end = (
      stage: ProviderTestResult['stage'],
      message: string,
      more: Partial<ProviderTestResult> = {},
    ): ProviderTestResult => ({
      stage,
      status: null,
      models: [],
      keyId: null,
      ...more,
      message: message.slice(0, MESSAGE_MAX_CHARS),
      durationMs: Math.round(parts.clock.monotonicMs() - begun),
    });
    if (provider === undefined || !hasUpstream(provider))
      return end('ok', 'the test provider answers within this process', { models: ['echo'] });
    const { origin } = provider.baseUrl;
    const key =
      provider.authMode !== 'override'
        ? null
        : keyId === null
          ? parts.vault.select(provider.id, origin)
          : parts.vault.selectById(keyId, origin);
    const sent = { keyId: key?.id ?? null };
    if (keyId !== null && key === null)
      return end('credential', `the key ${keyId} is not active, or was entered for another address`, sent);
    try {
      const answer = await ask(parts, provider, key);
      return judge(provider, answer, (stage, message, more) => end(stage, message, { ...sent, ...more }));
    } catch (error) {
      return end(stageOf(error), error instanceof AppError ? error.message : 'the test failed', sent);
    }
  };
}

function hasUpstream(provider: Provider): provider is AskedProvider {
  return provider.kind !== 'echo';
}

async function ask(
  parts: ProviderTestParts,
  provider: AskedProvider,
  key: ReturnType<Vault['select']>,
): Promise<SmallAnswer> {
  const list = listOf(provider);
  if (list === null) return parts.fetchSmall(provider.baseUrl.origin, FETCH);
  const match: SurfaceMatch = {
    format: 'models',
    dialect: list.dialect,
    model: null,
    modelInBody: false,
    stream: null,
    action: '',
    objectId: null,
  };
  const request = await parts.providers.prepareUpstream({
    provider,
    match,
    model: '',
    method: 'GET',
    path: list.path,
    query: '',
    headers: list.headers,
    credential: key === null ? null : { header: key.header, secret: key.secret },
    body: Buffer.alloc(0),
  });
  return parts.fetchSmall(`${request.origin}${request.path}`, {
    ...FETCH,
    headers: toRecord(request.headers),
  });
}

const FETCH = { maxBytes: ANSWER_MAX_BYTES, timeoutMs: TIMEOUT_MS } as const;

/** Framing is the connection's own. */
function toRecord(headers: readonly string[]): Record<string, string> {
  const record: Record<string, string> = {};
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = (headers[i] ?? '').toLowerCase();
    if (name !== 'content-length' && name !== 'accept-encoding') record[name] = headers[i + 1] ?? '';
  }
  return record;
}

function judge(
  provider: AskedProvider,
  { status, body }: SmallAnswer,
  end: (
    stage: ProviderTestResult['stage'],
    message: string,
    more?: Partial<ProviderTestResult>,
  ) => ProviderTestResult,
): ProviderTestResult {
  const { kind, baseUrl } = provider;
  const { origin } = baseUrl;
  if (listOf(provider) === null)
    return end(
      'ok',
      `${origin} answers; a provider of kind ${kind} lists no models, so the credential was not tried`,
      {
        status,
      },
    );
  if (status === 401 || status === 403)
    return end('auth', `${origin} rejects the key (${status})`, { status });
  if (status === 404 || status === 405)
    return end('ok', `${origin} answers, and lists no models (${status}); the key was not tried`, { status });
  if (status >= 400) return end('http', `${origin} answers with ${status}`, { status });
  const models = modelsIn(body);
  return end('ok', `${origin} answers and lists ${models.length} models`, {
    status,
    models: models.slice(0, MODELS_MAX),
  });
}

/** Ids as OpenAI, Anthropic and Gemini list them. */
function modelsIn(body: Buffer): string[] {
  let list: unknown;
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'));
    list = memberOf(parsed, 'data') ?? memberOf(parsed, 'models') ?? parsed;
  } catch {
    return [];
  }
  if (!Array.isArray(list)) return [];
  return list
    .map((model: unknown) => memberOf(model, 'id') ?? memberOf(model, 'name'))
    .filter((id) => typeof id === 'string')
    .map((id) => id.replace(/^models\//, '').slice(0, MESSAGE_MAX_CHARS));
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Object.getOwnPropertyDescriptor(value, name)?.value
    : undefined;
}

const DNS_CODES: ReadonlySet<string> = new Set(['ENOTFOUND', 'EAI_AGAIN', 'ENODATA', 'ENONAME']);

function stageOf(error: unknown): ProviderTestResult['stage'] {
  if (!(error instanceof AppError)) return 'http';
  switch (error.code) {
    case 'dial_refused_address':
      return 'address';
    case 'tls_failed':
      return 'tls';
    case 'dial_timeout':
      return 'connect';
    case 'dial_failed':
      return DNS_CODES.has(String(memberOf(error.cause, 'code'))) ? 'dns' : 'connect';
    default:
      return error.code.startsWith('upstream_credential') || error.code.startsWith('upstream_place')
        ? 'credential'
        : 'http';
  }
}
