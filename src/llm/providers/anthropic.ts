/**
 * Anthropic (https://docs.anthropic.com/en/api): the caller's path under the base URL, the key as
 * the credential says (`x-api-key` for API keys, a bearer token for accounts), and a version,
 * which Anthropic demands and some callers forget.
 */
import type { UpstreamInput, UpstreamRequest } from './contract.ts';
import type { Header } from './headers.ts';
import { credentialHeader, only, outgoingHeaders } from './headers.ts';
import { requestTarget, versionedPath } from './paths.ts';

/** The only version in use since June 2023; sent where the caller named none. */
export const ANTHROPIC_VERSION: Header = ['anthropic-version', '2023-06-01'];

export function prepareAnthropic(input: UpstreamInput): UpstreamRequest {
  const { baseUrl } = input.provider;
  return {
    origin: baseUrl.origin,
    path: requestTarget(versionedPath(baseUrl.pathPrefix, input.path), baseUrl.query ?? '', input.query),
    headers: outgoingHeaders(input, { set: only(credentialHeader(input)), defaults: [ANTHROPIC_VERSION] }),
    body: input.body,
  };
}
