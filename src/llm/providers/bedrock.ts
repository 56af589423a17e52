/**
 * Amazon Bedrock (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_Operations_Amazon_Bedrock_Runtime.html):
 * `/model/{model}/{action}`, also with a leading `/bedrock` as callers of gateways send it, and the
 * compatible routes `/openai/v1/…` and `/anthropic/v1/messages`. A Bedrock API key goes as a bearer
 * token; AWS keys sign the request.
 */
import { ANTHROPIC_VERSION } from './anthropic.ts';
import type { AwsChain } from './aws-chain.ts';
import { awsIdentityOf } from './aws-identity.ts';
import type { AwsIdentity } from './aws-identity.ts';
import { upstreamError } from './contract.ts';
import type { UpstreamInput, UpstreamRequest } from './contract.ts';
import { keyHeader, outgoingHeaders, sendsOurs } from './headers.ts';
import type { HeaderPlan } from './headers.ts';
import { encodeStrict, requestTarget, unsupportedFormat, withoutEnding } from './paths.ts';
import type { ProvidersPorts } from './ports.ts';
import { sha256Hex } from '../../crypto/index.ts';
import { SIGNATURE_HEADERS, signV4 } from './sigv4.ts';
import type { AwsKeys } from './sigv4.ts';

/** From here on a body is hashed off the loop; below, the hop costs more than the hash (about 1 ms a MiB). */
const HASH_INLINE_MAX_BYTES = 1_048_576;

export function createBedrock(
  chain: AwsChain,
  ports: ProvidersPorts,
): (input: UpstreamInput) => UpstreamRequest | Promise<UpstreamRequest> {
  const send = (input: UpstreamInput, identity: AwsIdentity): UpstreamRequest | Promise<UpstreamRequest> => {
    if (identity.kind === 'bearer') return withHeaders(input, { set: [keyHeader('bearer', identity.token)] });
    const region = regionOf(input, identity.region);
    if (input.body.length <= HASH_INLINE_MAX_BYTES) {
      return sign(input, { keys: identity.keys, region, bodyHash: sha256Hex(input.body) }, ports);
    }
    return hashLater(input.body).then((bodyHash) =>
      sign(input, { keys: identity.keys, region, bodyHash }, ports),
    );
  };
  return (input) => {
    if (!sendsOurs(input)) return withHeaders(input, {});
    if (input.credential !== null) return send(input, awsIdentityOf(input.credential.secret));
    const identity = operatorIdentity(input, chain, ports);
    return identity instanceof Promise ? identity.then((found) => send(input, found)) : send(input, identity);
  };
}

function operatorIdentity(
  input: UpstreamInput,
  chain: AwsChain,
  ports: ProvidersPorts,
): AwsIdentity | Promise<AwsIdentity> {
  const { origin } = input.provider.baseUrl;
  if (isAwsOrigin(origin) || isOperatorsOrigin(origin, ports)) return chain.get();
  throw upstreamError(
    'upstream_credential_missing',
    `the operator's AWS credentials go to AWS only, not to ${origin}; enter a key for this provider`,
  );
}

/** Hosts of AWS itself, over TLS; its customers' hosts (`*.execute-api…`, `*.s3…`, `*.elb…`) are not. */
function isAwsOrigin(origin: string): boolean {
  return /^https:\/\/(?:vpce-[a-z0-9-]+\.)?bedrock(?:-runtime|-mantle)?(?:-fips)?\.[a-z0-9-]+\.(?:vpce\.)?(?:amazonaws\.(?:com|com\.cn|eu)|api\.aws|api\.amazonwebservices\.(?:com\.cn|eu))$/.test(
    origin,
  );
}

/** Named by the operator: in the settings, or as AWS's own variables for endpoints. */
function isOperatorsOrigin(origin: string, { operator }: ProvidersPorts): boolean {
  if (operator.trustedOrigins.has(origin)) return true;
  const endpoints = [operator.env['AWS_ENDPOINT_URL_BEDROCK_RUNTIME'], operator.env['AWS_ENDPOINT_URL']];
  return endpoints.some((endpoint) => endpoint !== undefined && URL.parse(endpoint)?.origin === origin);
}

function withHeaders(input: UpstreamInput, plan: HeaderPlan): UpstreamRequest {
  const { baseUrl } = input.provider;
  const defaults = input.match.dialect === 'anthropic' ? [ANTHROPIC_VERSION] : [];
  return {
    origin: baseUrl.origin,
    path: requestTarget(bedrockPath(input), baseUrl.query ?? '', input.query),
    headers: outgoingHeaders(input, { ...plan, defaults }),
    body: input.body,
  };
}

interface Signing {
  readonly keys: AwsKeys;
  readonly region: string;
  readonly bodyHash: string;
}

function sign(
  input: UpstreamInput,
  { keys, region, bodyHash }: Signing,
  ports: ProvidersPorts,
): UpstreamRequest {
  const request = withHeaders(input, { drop: SIGNATURE_HEADERS });
  const [path = '', query = ''] = request.path.split('?', 2);
  const host = hostOf(request.origin);
  const service = host.startsWith('bedrock-mantle.') ? 'bedrock-mantle' : 'bedrock';
  const signature = signV4(
    {
      method: input.method,
      host,
      path,
      query,
      headers: request.headers,
      bodyHash,
      region,
      service,
      time: ports.clock.now(),
    },
    keys,
  );
  for (const [name, value] of signature) request.headers.push(name, value);
  return request;
}

async function hashLater(body: Buffer): Promise<string> {
  const { buffer } = body;
  // WebCrypto refuses shared memory, which bodies never are in; the copy is for the compiler.
  const bytes =
    buffer instanceof ArrayBuffer
      ? new Uint8Array(buffer, body.byteOffset, body.byteLength)
      : Uint8Array.from(body);
  const digest = await globalThis.crypto.subtle.digest('SHA-256', bytes);
  return Buffer.from(digest).toString('hex');
}

function bedrockPath(input: UpstreamInput): string {
  const root = withoutEnding(input.provider.baseUrl.pathPrefix, '/v1');
  const { match } = input;
  if (match.format === 'bedrock_model_invoke' || match.format === 'bedrock_converse') {
    // An ARN as a model id holds `:` and `/`, which are part of the one segment.
    return `${withoutEnding(root, '/openai', '/anthropic')}/model/${encodeStrict(input.model)}/${match.action}`;
  }
  if (match.dialect === 'anthropic')
    return `${withoutEnding(root, '/anthropic', '/openai')}/anthropic${input.path}`;
  if (match.dialect !== 'openai') return unsupportedFormat(input);
  // The runtime serves OpenAI's routes under /openai/v1; bedrock-mantle under /v1, some models under /openai/v1.
  const mantle = hostOf(input.provider.baseUrl.origin).startsWith('bedrock-mantle.');
  return root.endsWith('/openai') || mantle
    ? root + input.path
    : `${withoutEnding(root, '/anthropic')}/openai${input.path}`;
}

function hostOf(origin: string): string {
  return origin.slice(origin.indexOf('//') + 2);
}

/** `bedrock-runtime.eu-west-1.amazonaws.com`, also with `-fips` and behind a VPC endpoint's name. */
function regionOf(input: UpstreamInput, fallback: string | null): string {
  const host = hostOf(input.provider.baseUrl.origin);
  const found = /(?:^|\.)bedrock(?:-runtime|-mantle)?(?:-fips)?\.([a-z]{2,4}(?:-[a-z]+)+-\d+)\./.exec(host);
  const region = found?.[1] ?? fallback;
  if (region !== null && /^[a-z0-9-]{1,40}$/.test(region)) return region;
  throw upstreamError(
    'upstream_place_unknown',
    `the AWS region cannot be told from ${host}; use https://bedrock-runtime.REGION.amazonaws.com as baseurl, or add "region" to the credential`,
  );
}
