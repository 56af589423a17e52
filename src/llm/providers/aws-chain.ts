/**
 * The operator's own AWS credentials, found in the order of AWS's SDKs
 * (https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html): environment,
 * shared configuration files, web identity, container, instance. The last two only if the operator
 * enabled ambient credentials. `credential_process` is refused: no process is started here. An SSO
 * login is used while it lasts, not renewed.
 */
import type { AwsIdentity } from './aws-identity.ts';
import { awsKeys } from './aws-identity.ts';
import {
  assumeRole,
  assumeRoleWithWebIdentity,
  getContainerKeys,
  getInstanceKeys,
  getSsoRoleKeys,
} from './aws-requests.ts';
import type { StsCall } from './aws-requests.ts';
import { parseSharedConfig } from './aws-profile.ts';
import type { Profile, SharedConfig } from './aws-profile.ts';
import { upstreamError } from './contract.ts';
import { parseFields, textField } from './fields.ts';
import type { ProvidersPorts } from './ports.ts';
import { createRefreshing } from './refreshing.ts';
import type { Expiring } from './refreshing.ts';
import type { AwsKeys } from './sigv4.ts';

export interface AwsChain {
  /** Rejects with an `UpstreamErrorCode`. */
  get(): AwsIdentity | Promise<AwsIdentity>;
  forget(): void;
}

/** Keys in a file may be replaced by a tool: they are read again after this time. */
const FILE_TTL_MS = 10 * 60_000;
/** Profiles that name each other as source. */
const PROFILE_CHAIN_MAX = 5;
/** STS's global address is in this region, and credentials from it hold everywhere. */
const FALLBACK_REGION = 'us-east-1';
const CONTAINER_HOST = 'http://169.254.170.2';
/** Where plain HTTP is allowed for container credentials: loopback, ECS, EKS. */
const CONTAINER_HOSTS: ReadonlySet<string> = new Set([
  'localhost',
  '127.0.0.1',
  '[::1]',
  '169.254.170.2',
  '169.254.170.23',
  '[fd00:ec2::23]',
]);

export function createAwsChain(ports: ProvidersPorts): AwsChain {
  const found = createRefreshing(() => findIdentity(ports), ports.clock);
  return { get: () => found.get(), forget: () => found.drop() };
}

async function findIdentity(ports: ProvidersPorts): Promise<Expiring<AwsIdentity>> {
  const { env } = ports.operator;
  const config = await readSharedConfig(ports);
  const region =
    env['AWS_REGION'] ??
    env['AWS_DEFAULT_REGION'] ??
    config.profiles.get(profileName(ports))?.get('region') ??
    null;
  const bearer = env['AWS_BEARER_TOKEN_BEDROCK'];
  if (bearer !== undefined && bearer !== '')
    return { value: { kind: 'bearer', token: bearer, region }, expiresAt: null };
  const keys = await findKeys(ports, config, region ?? FALLBACK_REGION);
  return { value: { kind: 'keys', keys: keys.value, region }, expiresAt: keys.expiresAt };
}

async function findKeys(
  ports: ProvidersPorts,
  config: SharedConfig,
  region: string,
): Promise<Expiring<AwsKeys>> {
  const { env } = ports.operator;
  const profile = env['AWS_PROFILE'];
  const fromEnv = environmentKeys(ports);
  if (fromEnv !== null && profile === undefined) return { value: fromEnv, expiresAt: null };
  const fromProfile = await profileKeys({ ports, config, region, seen: [] }, profileName(ports));
  if (fromProfile !== null) return fromProfile;
  if (profile !== undefined) {
    throw missing(
      `the AWS profile ${profile} has no credentials; run "aws configure --profile ${profile}" or unset AWS_PROFILE`,
    );
  }
  const tokenFile = env['AWS_WEB_IDENTITY_TOKEN_FILE'];
  const roleArn = env['AWS_ROLE_ARN'];
  if (tokenFile !== undefined && roleArn !== undefined) {
    return webIdentityKeys(ports, {
      tokenFile,
      roleArn,
      region,
      sessionName: env['AWS_ROLE_SESSION_NAME'] ?? 'postern',
    });
  }
  return ambientKeys(ports);
}

function environmentKeys(ports: ProvidersPorts): AwsKeys | null {
  const { env } = ports.operator;
  const id = env['AWS_ACCESS_KEY_ID'];
  const secret = env['AWS_SECRET_ACCESS_KEY'];
  if (id === undefined || id === '' || secret === undefined || secret === '') return null;
  const token = env['AWS_SESSION_TOKEN'];
  return awsKeys(id, secret, token === undefined || token === '' ? null : token);
}

interface ProfileSearch {
  readonly ports: ProvidersPorts;
  readonly config: SharedConfig;
  readonly region: string;
  /** Profiles on the way here, against circles. */
  readonly seen: readonly string[];
}

/** Null: the profile says nothing about credentials. */
async function profileKeys(search: ProfileSearch, name: string): Promise<Expiring<AwsKeys> | null> {
  const profile = search.config.profiles.get(name);
  if (profile === undefined) return null;
  const { ports } = search;
  const roleArn = profile.get('role_arn');
  const id = profile.get('aws_access_key_id');
  const secret = profile.get('aws_secret_access_key');
  if (roleArn !== undefined && !search.seen.includes(name))
    return roleKeys(search, name, { profile, roleArn });
  if (id !== undefined && secret !== undefined) {
    const keys = awsKeys(id, secret, profile.get('aws_session_token') ?? null);
    return { value: keys, expiresAt: ports.clock.now() + FILE_TTL_MS };
  }
  if (profile.has('sso_account_id')) return ssoKeys(search, profile);
  if (profile.has('credential_process')) {
    throw missing(
      `the AWS profile ${name} wants credential_process, which is never run; use keys, SSO or a role`,
    );
  }
  return null;
}

async function roleKeys(
  search: ProfileSearch,
  name: string,
  { profile, roleArn }: { profile: Profile; roleArn: string },
): Promise<Expiring<AwsKeys>> {
  const { ports, region } = search;
  const sessionName = profile.get('role_session_name') ?? 'postern';
  const tokenFile = profile.get('web_identity_token_file');
  if (tokenFile !== undefined) return webIdentityKeys(ports, { tokenFile, roleArn, region, sessionName });
  const source = await sourceKeys(search, name, profile);
  const call = stsCall(ports, { region, roleArn, sessionName });
  return assumeRole(call, source, profile.get('external_id') ?? null);
}

async function sourceKeys(search: ProfileSearch, name: string, profile: Profile): Promise<AwsKeys> {
  const sourceName = profile.get('source_profile');
  if (sourceName !== undefined) {
    if (search.seen.length >= PROFILE_CHAIN_MAX)
      throw missing(`the AWS profile ${name} has too long a chain of source_profile`);
    const source = await profileKeys({ ...search, seen: [...search.seen, name] }, sourceName);
    if (source !== null) return source.value;
    throw missing(`the AWS profile ${name} has the source_profile ${sourceName}, which has no credentials`);
  }
  const source = profile.get('credential_source');
  if (source === 'EcsContainer' || source === 'Ec2InstanceMetadata')
    return (await ambientKeys(search.ports)).value;
  if (source !== 'Environment')
    throw missing(`the AWS profile ${name} has a role_arn without source_profile or credential_source`);
  const keys = environmentKeys(search.ports);
  if (keys !== null) return keys;
  throw missing(`the AWS profile ${name} takes keys from the environment, which has none`);
}

/** The token that `aws sso login` left (https://docs.aws.amazon.com/sdkref/latest/guide/understanding-sso.html). */
async function ssoKeys(search: ProfileSearch, profile: Profile): Promise<Expiring<AwsKeys>> {
  const { ports, config } = search;
  const sessionName = profile.get('sso_session');
  const session = sessionName === undefined ? profile : config.ssoSessions.get(sessionName);
  const region = session?.get('sso_region') ?? '';
  const cacheName = await sha1Hex(sessionName ?? profile.get('sso_start_url') ?? '');
  const path = `${ports.operator.homeDirectory}/.aws/sso/cache/${cacheName}.json`;
  const login = 'the AWS SSO login is missing or over; run "aws sso login"';
  const cached = parseFields(await readText(ports, path));
  const accessToken = textField(cached, 'accessToken');
  const expiresAt = Date.parse(String(cached['expiresAt']));
  if (accessToken === null || !(expiresAt > ports.clock.now()) || !/^[a-z0-9-]+$/.test(region))
    throw missing(login);
  return getSsoRoleKeys({
    fetchSmall: ports.fetchSmall,
    region,
    accountId: profile.get('sso_account_id') ?? '',
    roleName: profile.get('sso_role_name') ?? '',
    accessToken,
  });
}

async function webIdentityKeys(
  ports: ProvidersPorts,
  role: { tokenFile: string; roleArn: string; region: string; sessionName: string },
): Promise<Expiring<AwsKeys>> {
  // Read at every turn: Kubernetes replaces the file.
  const token = (await readText(ports, role.tokenFile)).trim();
  if (token === '')
    throw missing('the web identity token file of AWS_WEB_IDENTITY_TOKEN_FILE cannot be read');
  return assumeRoleWithWebIdentity(stsCall(ports, role), token);
}

function stsCall(
  ports: ProvidersPorts,
  role: { region: string; roleArn: string; sessionName: string },
): StsCall {
  const { region } = role;
  const suffix = region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com';
  const endpoint = ports.operator.env['AWS_ENDPOINT_URL_STS'] ?? `https://sts.${region}.${suffix}`;
  return {
    fetchSmall: ports.fetchSmall,
    endpoint: endpoint.replace(/\/$/, ''),
    region,
    roleArn: role.roleArn,
    sessionName: role.sessionName,
    time: ports.clock.now(),
  };
}

async function ambientKeys(ports: ProvidersPorts): Promise<Expiring<AwsKeys>> {
  const { env, fetchAwsMetadata } = ports.operator;
  if (fetchAwsMetadata === null) {
    throw missing(
      'no AWS credentials: enter a key for this provider, set AWS_ACCESS_KEY_ID or AWS_PROFILE, or start with --ambient-credentials aws',
    );
  }
  const relative = env['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'];
  const full = relative === undefined ? env['AWS_CONTAINER_CREDENTIALS_FULL_URI'] : CONTAINER_HOST + relative;
  if (full !== undefined && full !== '') {
    const url = URL.parse(full);
    if (url === null || (url.protocol !== 'https:' && !CONTAINER_HOSTS.has(url.hostname))) {
      throw missing(
        'AWS_CONTAINER_CREDENTIALS_FULL_URI must be https, or plain http to loopback, ECS or EKS',
      );
    }
    return getContainerKeys(fetchAwsMetadata, url.href, await containerToken(ports));
  }
  if (env['AWS_EC2_METADATA_DISABLED']?.toLowerCase() === 'true') {
    throw missing('no AWS credentials, and AWS_EC2_METADATA_DISABLED is true');
  }
  return getInstanceKeys(fetchAwsMetadata);
}

async function containerToken(ports: ProvidersPorts): Promise<string | null> {
  const file = ports.operator.env['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'];
  const token =
    file === undefined
      ? ports.operator.env['AWS_CONTAINER_AUTHORIZATION_TOKEN']
      : await readText(ports, file);
  const trimmed = token?.trim() ?? '';
  return trimmed === '' ? null : trimmed;
}

async function readSharedConfig(ports: ProvidersPorts): Promise<SharedConfig> {
  const { env, homeDirectory } = ports.operator;
  const [config, credentials] = await Promise.all([
    readText(ports, env['AWS_CONFIG_FILE'] ?? `${homeDirectory}/.aws/config`),
    readText(ports, env['AWS_SHARED_CREDENTIALS_FILE'] ?? `${homeDirectory}/.aws/credentials`),
  ]);
  return parseSharedConfig(config, credentials);
}

function profileName(ports: ProvidersPorts): string {
  return ports.operator.env['AWS_PROFILE'] ?? 'default';
}

/** '' if it cannot be read: absent files are normal in this chain, and what is missing then is said by name. */
async function readText(ports: ProvidersPorts, path: string): Promise<string> {
  return ports.operator.readFile(path).catch(() => '');
}

/** AWS's tools name their cache files so; nothing is protected by it. */
async function sha1Hex(text: string): Promise<string> {
  const digest = await globalThis.crypto.subtle.digest('SHA-1', Buffer.from(text));
  return Buffer.from(digest).toString('hex');
}

function missing(message: string): Error {
  return upstreamError('upstream_credential_missing', message);
}
