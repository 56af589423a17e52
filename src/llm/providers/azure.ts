/**
 * Azure OpenAI and Microsoft Foundry
 * (https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle). The base URL says
 * which of its four ways is meant:
 *
 *   https://RES.openai.azure.com                           /openai/v1/…, model in the body
 *   https://RES.openai.azure.com/openai/deployments        /openai/deployments/MODEL/…?api-version=
 *   https://RES.openai.azure.com/openai/deployments/NAME   the same with one deployment for all
 *   https://RES.services.ai.azure.com/models               /models/chat/completions?api-version=
 *
 * and for Anthropic's format /anthropic/v1/messages. The dated ways take the `api-version` of the
 * base URL, else the caller's (Azure's own clients send one), else a default; the undated way takes
 * none from callers. Entra tokens are sent as given, not minted.
 */
import { ANTHROPIC_VERSION } from './anthropic.ts';
import type { UpstreamInput, UpstreamRequest } from './contract.ts';
import type { Header } from './headers.ts';
import { credentialHeader, keyHeader, only, outgoingHeaders } from './headers.ts';
import { encodeStrict, requestTarget, unsupportedFormat, withoutEnding, withoutVersion } from './paths.ts';

/** The last dated version of general availability; later ones are previews or the undated v1. */
const DEPLOYMENTS_API_VERSION = 'api-version=2024-10-21';
/** The version that Foundry's model inference route documents. */
const MODELS_API_VERSION = 'api-version=2024-05-01-preview';

/** Routes that belong to one deployment; the rest lie beside `deployments` (Azure's own clients have the same list). */
const DEPLOYMENT_ROUTES: ReadonlySet<string> = new Set([
  '/completions',
  '/chat/completions',
  '/embeddings',
  '/audio/transcriptions',
  '/audio/translations',
  '/audio/speech',
  '/images/generations',
  '/images/edits',
]);

export function prepareAzure(input: UpstreamInput): UpstreamRequest {
  const { baseUrl } = input.provider;
  const { path, apiVersion } = azurePath(input);
  const anthropic = input.match.dialect === 'anthropic';
  return {
    origin: baseUrl.origin,
    path: requestTarget(
      path,
      baseUrl.query ?? '',
      chooseVersion(input, apiVersion),
      withoutVersions(input.query),
    ),
    headers: outgoingHeaders(input, {
      set: only(azureKey(input)),
      defaults: anthropic ? [ANTHROPIC_VERSION] : [],
    }),
    body: input.body,
  };
}

interface AzurePath {
  readonly path: string;
  /** Query to add where the base URL brings none; '' for the undated ways. */
  readonly apiVersion: string;
}

function azurePath(input: UpstreamInput): AzurePath {
  const prefix = withoutEnding(input.provider.baseUrl.pathPrefix, '/v1');
  const route = withoutVersion(input.path);
  if (input.match.dialect === 'anthropic') {
    const root = withoutEnding(prefix, '/anthropic', '/openai', '/models');
    return { path: `${root}/anthropic/v1${route}`, apiVersion: '' };
  }
  if (input.match.dialect !== 'openai') return unsupportedFormat(input);
  const at = prefix.indexOf('/deployments');
  if (at >= 0 && /^\/deployments(?:\/[^/]+)?$/.test(prefix.slice(at))) {
    const named = prefix.slice(at + '/deployments/'.length);
    const root = prefix.slice(0, at);
    if (!DEPLOYMENT_ROUTES.has(route)) return { path: root + route, apiVersion: DEPLOYMENTS_API_VERSION };
    const deployment = named === '' ? encodeStrict(input.model) : named;
    return { path: `${root}/deployments/${deployment}${route}`, apiVersion: DEPLOYMENTS_API_VERSION };
  }
  if (prefix.endsWith('/models')) return { path: prefix + route, apiVersion: MODELS_API_VERSION };
  return { path: `${withoutEnding(prefix, '/openai')}/openai/v1${route}`, apiVersion: '' };
}

/**
 * Azure takes keys in `api-key` (Anthropic's format: `x-api-key`) and Entra tokens, which are JWTs,
 * as bearer tokens; documents of other gateways say `bearer` for both.
 */
function azureKey(input: UpstreamInput): Header | null {
  const header = credentialHeader(input);
  if (header === null || input.credential === null) return header;
  const key = input.credential.secret.reveal();
  if (/^eyJ[\w-]+\.[\w-]+\.[\w-]+$/.test(key.trim())) return keyHeader('bearer', key);
  return keyHeader(input.match.dialect === 'anthropic' ? 'x-api-key' : 'api-key', key);
}

/** The `api-version` to add: `ours` is the default, '' on the undated way. */
function chooseVersion(input: UpstreamInput, ours: string): string {
  if (ours === '' || VERSION.test(input.provider.baseUrl.query ?? '')) return '';
  const theirs = /(?:^|&)(api-version=\d{4}-\d\d-\d\d(?:-preview)?)(?:&|$)/.exec(input.query)?.[1];
  return theirs ?? ours;
}

const VERSION = /(?:^|&)api-version=/i;

function withoutVersions(query: string): string {
  if (!VERSION.test(query)) return query;
  return query
    .split('&')
    .filter((pair) => !VERSION.test(pair))
    .join('&');
}
