/**
 * OpenAI (https://platform.openai.com/docs/api-reference): the caller's path under the base URL, a
 * bearer key. Organization and project belong to the key's owner: `add_headers`.
 */
import type { UpstreamInput, UpstreamRequest } from './contract.ts';
import { credentialHeader, only, outgoingHeaders } from './headers.ts';
import { requestTarget, versionedPath } from './paths.ts';

export function prepareOpenai(input: UpstreamInput): UpstreamRequest {
  const { baseUrl } = input.provider;
  return {
    origin: baseUrl.origin,
    path: requestTarget(versionedPath(baseUrl.pathPrefix, input.path), baseUrl.query ?? '', input.query),
    headers: outgoingHeaders(input, { set: only(credentialHeader(input)) }),
    body: input.body,
  };
}
