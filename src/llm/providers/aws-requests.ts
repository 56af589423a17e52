/**
 * The requests that give temporary AWS keys: STS, IAM Identity Center (SSO), containers and
 * instances. Answers of strangers: read for the fields that are needed, everything else dropped.
 */
import type { UnixMs } from '../../base/clock.ts';
import { describeError } from '../../base/errors.ts';
import { sha256Hex } from '../../crypto/index.ts';
import { awsKeys } from './aws-identity.ts';
import { upstreamError } from './contract.ts';
import { asFields, parseFields } from './fields.ts';
import type { FetchSmall, SmallRequest, SmallResponse } from './ports.ts';
import type { Expiring } from './refreshing.ts';
import { signV4 } from './sigv4.ts';
import type { AwsKeys } from './sigv4.ts';

const ANSWER_MAX_BYTES = 65_536;
const STS_TIMEOUT_MS = 10_000;
/** Metadata services answer in milliseconds or are not there. */
const METADATA_TIMEOUT_MS = 2_000;
const IMDS_URL = 'http://169.254.169.254';

export interface StsCall {
  readonly fetchSmall: FetchSmall;
  /** `https://sts.REGION.amazonaws.com` or the operator's own. */
  readonly endpoint: string;
  readonly region: string;
  readonly roleArn: string;
  readonly sessionName: string;
  readonly time: UnixMs;
}

/** https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html */
export async function assumeRoleWithWebIdentity(call: StsCall, token: string): Promise<Expiring<AwsKeys>> {
  const body = stsForm('AssumeRoleWithWebIdentity', call, { WebIdentityToken: token });
  return readStsAnswer(await ask(call.fetchSmall, `${call.endpoint}/`, stsRequest(body, {})));
}

/** https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html */
export async function assumeRole(
  call: StsCall,
  by: AwsKeys,
  externalId: string | null,
): Promise<Expiring<AwsKeys>> {
  const body = stsForm('AssumeRole', call, externalId === null ? {} : { ExternalId: externalId });
  const signature = signV4(
    {
      method: 'POST',
      host: call.endpoint.slice(call.endpoint.indexOf('//') + 2),
      path: '/',
      query: '',
      headers: ['content-type', FORM_TYPE],
      bodyHash: sha256Hex(body),
      region: call.region,
      service: 'sts',
      time: call.time,
    },
    by,
  );
  return readStsAnswer(
    await ask(call.fetchSmall, `${call.endpoint}/`, stsRequest(body, Object.fromEntries(signature))),
  );
}

const FORM_TYPE = 'application/x-www-form-urlencoded; charset=utf-8';

function stsForm(action: string, call: StsCall, more: Readonly<Record<string, string>>): string {
  return new URLSearchParams({
    Action: action,
    Version: '2011-06-15',
    RoleArn: call.roleArn,
    RoleSessionName: call.sessionName,
    ...more,
  }).toString();
}

function stsRequest(body: string, headers: Readonly<Record<string, string>>): SmallRequest {
  return {
    method: 'POST',
    headers: { 'content-type': FORM_TYPE, ...headers },
    body,
    maxBytes: ANSWER_MAX_BYTES,
    timeoutMs: STS_TIMEOUT_MS,
  };
}

/** STS answers in XML of which four leaf elements matter; their values hold no entities. */
function readStsAnswer(answer: SmallResponse): Expiring<AwsKeys> {
  const text = Buffer.from(answer.body).toString('utf8');
  const leaf = (name: string): string | null =>
    new RegExp(`<${name}>\\s*([^<]*?)\\s*</${name}>`).exec(text)?.[1] ?? null;
  if (answer.status !== 200) throw refused('AWS STS', answer.status, leaf('Code'));
  return readKeys('AWS STS', {
    accessKeyId: leaf('AccessKeyId'),
    secretAccessKey: leaf('SecretAccessKey'),
    sessionToken: leaf('SessionToken'),
    expiration: leaf('Expiration'),
  });
}

export interface SsoCall {
  readonly fetchSmall: FetchSmall;
  readonly region: string;
  readonly accountId: string;
  readonly roleName: string;
  readonly accessToken: string;
}

/** https://docs.aws.amazon.com/singlesignon/latest/PortalAPIReference/API_GetRoleCredentials.html */
export async function getSsoRoleKeys(call: SsoCall): Promise<Expiring<AwsKeys>> {
  const query = new URLSearchParams({ account_id: call.accountId, role_name: call.roleName });
  const answer = await ask(
    call.fetchSmall,
    `https://portal.sso.${call.region}.amazonaws.com/federation/credentials?${query.toString()}`,
    {
      method: 'GET',
      headers: { 'x-amz-sso_bearer_token': call.accessToken },
      maxBytes: ANSWER_MAX_BYTES,
      timeoutMs: STS_TIMEOUT_MS,
    },
  );
  if (answer.status !== 200) throw refused('IAM Identity Center', answer.status, null);
  const fields = asFields(parseFields(answer.body)['roleCredentials']);
  return readKeys('IAM Identity Center', {
    accessKeyId: fields['accessKeyId'],
    secretAccessKey: fields['secretAccessKey'],
    sessionToken: fields['sessionToken'],
    expiration: fields['expiration'],
  });
}

/** https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html */
export async function getContainerKeys(
  fetchSmall: FetchSmall,
  url: string,
  token: string | null,
): Promise<Expiring<AwsKeys>> {
  const answer = await ask(fetchSmall, url, {
    method: 'GET',
    headers: token === null ? {} : { authorization: token },
    maxBytes: ANSWER_MAX_BYTES,
    timeoutMs: METADATA_TIMEOUT_MS,
  });
  return readMetadataKeys('the container credential service', answer);
}

/** Version 2 of the instance metadata service only: a session token first. */
export async function getInstanceKeys(fetchSmall: FetchSmall): Promise<Expiring<AwsKeys>> {
  const limits = { maxBytes: ANSWER_MAX_BYTES, timeoutMs: METADATA_TIMEOUT_MS };
  const session = await ask(fetchSmall, `${IMDS_URL}/latest/api/token`, {
    method: 'PUT',
    headers: { 'x-aws-ec2-metadata-token-ttl-seconds': '300' },
    ...limits,
  });
  if (session.status !== 200) throw refused('instance metadata', session.status, null);
  const headers = { 'x-aws-ec2-metadata-token': textOf(session) };
  const path = `${IMDS_URL}/latest/meta-data/iam/security-credentials/`;
  const roles = await ask(fetchSmall, path, { method: 'GET', headers, ...limits });
  const role = textOf(roles).split('\n')[0]?.trim() ?? '';
  if (roles.status !== 200 || role === '') throw refused('instance metadata', roles.status, 'no role');
  const answer = await ask(fetchSmall, path + encodeURIComponent(role), {
    method: 'GET',
    headers,
    ...limits,
  });
  return readMetadataKeys('instance metadata', answer);
}

function readMetadataKeys(source: string, answer: SmallResponse): Expiring<AwsKeys> {
  if (answer.status !== 200) throw refused(source, answer.status, null);
  const fields = parseFields(answer.body);
  return readKeys(source, {
    accessKeyId: fields['AccessKeyId'],
    secretAccessKey: fields['SecretAccessKey'],
    sessionToken: fields['Token'],
    expiration: fields['Expiration'],
  });
}

async function ask(fetchSmall: FetchSmall, url: string, request: SmallRequest): Promise<SmallResponse> {
  try {
    return await fetchSmall(url, request);
  } catch (cause) {
    const { host } = new URL(url);
    throw upstreamError(
      'upstream_credential_unavailable',
      `AWS credentials could not be had: ${host} did not answer`,
      { detail: describeError(cause), cause },
    );
  }
}

interface KeyFields {
  readonly accessKeyId: unknown;
  readonly secretAccessKey: unknown;
  readonly sessionToken: unknown;
  /** RFC 3339, or milliseconds. */
  readonly expiration: unknown;
}

function readKeys(source: string, fields: KeyFields): Expiring<AwsKeys> {
  const { accessKeyId, secretAccessKey, sessionToken, expiration } = fields;
  const expiresAt = typeof expiration === 'number' ? expiration : Date.parse(String(expiration));
  if (typeof accessKeyId === 'string' && typeof secretAccessKey === 'string' && Number.isFinite(expiresAt)) {
    const token = typeof sessionToken === 'string' && sessionToken !== '' ? sessionToken : null;
    return { value: awsKeys(accessKeyId, secretAccessKey, token), expiresAt };
  }
  throw upstreamError(
    'upstream_credential_unavailable',
    `AWS credentials could not be had: ${source} answered without keys`,
  );
}

function refused(source: string, status: number, code: string | null): Error {
  const kind =
    status >= 400 && status < 500 ? 'upstream_credential_rejected' : 'upstream_credential_unavailable';
  const message = `AWS credentials could not be had: ${source} answered ${status}`;
  return upstreamError(kind, message, code === null ? {} : { detail: code.slice(0, 100) });
}

function textOf(answer: SmallResponse): string {
  return Buffer.from(answer.body).toString('utf8').trim();
}
