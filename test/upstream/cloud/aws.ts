/**
 * AWS as the fake plays it: signatures verified and event streams framed by AWS's own packages,
 * never by the code under test.
 */
import { Sha256 } from '@aws-crypto/sha256-js';
import { EventStreamCodec } from '@smithy/eventstream-codec';
import { SignatureV4 } from '@smithy/signature-v4';
import type { BedrockAnswer, BedrockCalls } from './bedrock-calls.ts';
import type { Answer, Received } from './received.ts';
import { Violation, header, insist, jsonAnswer, jsonBody } from './received.ts';

export interface FakeAwsKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface FakeAws {
  readonly region: string;
  /** Keys that may sign, by access key id. */
  readonly keys: Map<string, FakeAwsKeys>;
  readonly bedrockApiKey: string;
  /** What STS accepts as a web identity. */
  readonly webIdentityToken: string;
  readonly now: () => number;
  /** For models whose name asks for a behaviour. */
  readonly calls: BedrockCalls;
}

/** AWS allows 5 minutes between the signature's time and its own clock. */
const SKEW_MAX_MS = 5 * 60_000;

/** Throws `Violation` unless the request is signed as AWS demands; gives the keys. */
async function verifySignature(aws: FakeAws, received: Received, service: string): Promise<FakeAwsKeys> {
  const authorization = header(received, 'authorization');
  const parsed =
    /^AWS4-HMAC-SHA256 Credential=(\w+)\/(\d{8})\/([\w-]+)\/([\w-]+)\/aws4_request, SignedHeaders=([\w;-]+), Signature=([0-9a-f]{64})$/.exec(
      authorization,
    );
  insist(parsed !== null, 403, `not a SigV4 authorization: ${authorization.slice(0, 60)}`);
  const [, accessKeyId = '', date = '', region = '', signedService = '', names = ''] = parsed;
  const keys = aws.keys.get(accessKeyId);
  insist(keys !== undefined, 403, `unknown access key ${accessKeyId}`);
  insist(region === aws.region && signedService === service, 403, `signed for ${region}/${signedService}`);

  const stamp = header(received, 'x-amz-date');
  const time = Date.parse(stamp.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
  insist(
    stamp.startsWith(date) && Math.abs(time - aws.now()) <= SKEW_MAX_MS,
    403,
    `signature time ${stamp} is off`,
  );
  insist(header(received, 'x-amz-security-token') === (keys.sessionToken ?? ''), 403, 'wrong session token');

  const signed = names.split(';');
  insist(signed.join(';') === signed.toSorted().join(';'), 403, 'signed headers are not sorted');
  for (const name of mustBeSigned(received))
    insist(signed.includes(name), 403, `header ${name} is not signed`);
  await compareSignature({ keys, received, signed, region, service, time });
  return keys;
}

/** AWS demands: host, content-type if sent, and every x-amz header. */
function mustBeSigned(received: Received): string[] {
  const names = received.rawHeaders.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase());
  return names.filter(
    (name) =>
      name === 'host' ||
      name === 'content-type' ||
      (name.startsWith('x-amz-') && name !== 'x-amz-content-sha256'),
  );
}

interface Comparison {
  readonly keys: FakeAwsKeys;
  readonly received: Received;
  readonly signed: readonly string[];
  readonly region: string;
  readonly service: string;
  readonly time: number;
}

async function compareSignature({
  keys,
  received,
  signed,
  region,
  service,
  time,
}: Comparison): Promise<void> {
  const signer = new SignatureV4({ credentials: keys, region, service, sha256: Sha256, applyChecksum: true });
  const written = new Set(['x-amz-date', 'x-amz-content-sha256', 'x-amz-security-token']);
  const headers = Object.fromEntries(
    signed.filter((name) => !written.has(name)).map((name) => [name, header(received, name)]),
  );
  const again = await signer.sign(
    {
      method: received.method,
      protocol: 'https:',
      hostname: header(received, 'host'),
      path: received.path,
      query: queryBag(received.query),
      headers,
      body: received.body,
    },
    { signingDate: new Date(time) },
  );
  const hash = again.headers['x-amz-content-sha256'];
  insist(
    header(received, 'x-amz-content-sha256') === hash,
    403,
    'x-amz-content-sha256 is not the hash of the body',
  );
  insist(again.headers['authorization'] === header(received, 'authorization'), 403, 'SignatureDoesNotMatch');
}

function queryBag(query: string): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(query));
}

/** Bedrock's runtime; null for a path that is not its. */
export async function answerBedrock(aws: FakeAws, received: Received): Promise<Answer | null> {
  const found = /^\/model\/([^/]+)\/(invoke|invoke-with-response-stream|converse|converse-stream)$/.exec(
    received.path,
  );
  const compatible =
    header(received, 'authorization').startsWith('AWS4-') &&
    /^\/(?:openai|anthropic)\/v1\//.test(received.path);
  if (found === null && !compatible) return null;
  insist(received.method === 'POST', 405, 'only POST');
  if (header(received, 'authorization').startsWith('Bearer ')) {
    insist(
      header(received, 'authorization') === `Bearer ${aws.bedrockApiKey}`,
      403,
      'unknown Bedrock API key',
    );
  } else {
    await verifySignature(aws, received, 'bedrock');
  }
  const body = jsonBody(received);
  if (found === null) return jsonAnswer(200, { ok: true });
  const [, segment = '', action = ''] = found;
  insist(/^[A-Za-z0-9._~%-]+$/.test(segment), 400, `the model segment ${segment} is not percent-encoded`);
  insist(!('model' in body), 400, 'model: extra inputs are not permitted');
  const model = decodeURIComponent(segment);
  const asked = aws.calls.answer(model, action.startsWith('converse') ? 'converse' : 'invoke', body);
  if (asked !== null) return answerAsked(asked, action.endsWith('stream'));
  return action.startsWith('converse') ? converse(model, action, body) : invoke(model, action, body);
}

function answerAsked({ whole, events, inBytes }: BedrockAnswer, streamed: boolean): Answer {
  const answer = streamed
    ? eventStream(events.map(([name, payload]) => frame(name, payload)))
    : jsonAnswer(200, whole);
  return { ...answer, inBytes };
}

function invoke(model: string, action: string, body: Record<string, unknown>): Answer {
  insist(body['anthropic_version'] === 'bedrock-2023-05-31', 400, 'anthropic_version: Field required');
  const text = `bedrock:${model}`;
  const usage = { input_tokens: 11, output_tokens: 5 };
  const start = {
    id: 'msg_bdrk_1',
    type: 'message',
    role: 'assistant',
    model,
    stop_reason: null,
    stop_sequence: null,
  };
  if (action === 'invoke') {
    return jsonAnswer(200, { ...start, content: [{ type: 'text', text }], stop_reason: 'end_turn', usage });
  }
  const events = [
    {
      type: 'message_start',
      message: { ...start, content: [], usage: { input_tokens: 11, output_tokens: 1 } },
    },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } },
    { type: 'content_block_stop', index: 0 },
    {
      type: 'message_delta',
      delta: { stop_reason: 'end_turn', stop_sequence: null },
      usage: { output_tokens: 5 },
    },
    {
      type: 'message_stop',
      'amazon-bedrock-invocationMetrics': { inputTokenCount: 11, outputTokenCount: 5 },
    },
  ];
  return eventStream(
    events.map((event) => frame('chunk', { bytes: Buffer.from(JSON.stringify(event)).toString('base64') })),
  );
}

function converse(model: string, action: string, body: Record<string, unknown>): Answer {
  insist(Array.isArray(body['messages']), 400, 'messages: Field required');
  const text = `bedrock:${model}`;
  const usage = { inputTokens: 13, outputTokens: 6, totalTokens: 19 };
  if (action === 'converse') {
    const message = { role: 'assistant', content: [{ text }] };
    return jsonAnswer(200, { output: { message }, stopReason: 'end_turn', usage, metrics: { latencyMs: 1 } });
  }
  return eventStream([
    frame('messageStart', { role: 'assistant' }),
    frame('contentBlockDelta', { contentBlockIndex: 0, delta: { text } }),
    frame('contentBlockStop', { contentBlockIndex: 0 }),
    frame('messageStop', { stopReason: 'end_turn' }),
    frame('metadata', { usage, metrics: { latencyMs: 1 } }),
  ]);
}

const codec = new EventStreamCodec(
  (bytes) => Buffer.from(typeof bytes === 'string' ? bytes : bytes).toString('utf8'),
  (text) => Buffer.from(text, 'utf8'),
);

function frame(event: string, payload: unknown): Uint8Array {
  return codec.encode({
    headers: {
      ':event-type': { type: 'string', value: event },
      ':content-type': { type: 'string', value: 'application/json' },
      ':message-type': { type: 'string', value: 'event' },
    },
    body: Buffer.from(JSON.stringify(payload)),
  });
}

function eventStream(frames: readonly Uint8Array[]): Answer {
  return {
    status: 200,
    headers: { 'content-type': 'application/vnd.amazon.eventstream', 'x-amzn-requestid': 'fake-1' },
    body: Buffer.concat(frames),
  };
}

/** STS, which answers with keys that may then sign; null for other requests. */
export async function answerSts(aws: FakeAws, received: Received): Promise<Answer | null> {
  if (received.method !== 'POST' || received.path !== '/') return null;
  const form = new URLSearchParams(received.body.toString('utf8'));
  const action = form.get('Action');
  insist(form.get('Version') === '2011-06-15', 400, 'wrong Version');
  insist(
    /^arn:aws:iam::\d{12}:role\/[\w+=,.@/-]+$/.test(form.get('RoleArn') ?? ''),
    400,
    'RoleArn is not an ARN',
  );
  insist(
    /^[\w+=,.@-]{2,64}$/.test(form.get('RoleSessionName') ?? ''),
    400,
    'RoleSessionName has not its form',
  );
  if (action === 'AssumeRoleWithWebIdentity') {
    insist(form.get('WebIdentityToken') === aws.webIdentityToken, 400, 'InvalidIdentityToken');
  } else if (action === 'AssumeRole') {
    await verifySignature(aws, received, 'sts');
  } else {
    throw new Violation(400, `unknown action ${action ?? ''}`);
  }
  const keys = issueKeys(aws);
  const expiration = new Date(aws.now() + 3_600_000).toISOString();
  const xml = `<${action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${action}Result><Credentials><AccessKeyId>${keys.accessKeyId}</AccessKeyId><SecretAccessKey>${keys.secretAccessKey}</SecretAccessKey><SessionToken>${keys.sessionToken ?? ''}</SessionToken><Expiration>${expiration}</Expiration></Credentials></${action}Result></${action}Response>`;
  return { status: 200, headers: { 'content-type': 'text/xml' }, body: Buffer.from(xml) };
}

/** Metadata of instances (version 2 only) and containers; null for other requests. */
export function answerAwsMetadata(aws: FakeAws, received: Received): Answer | null {
  const { path, method } = received;
  if (path === '/latest/api/token') {
    insist(method === 'PUT', 405, 'the session token is got by PUT');
    insist(Number(header(received, 'x-aws-ec2-metadata-token-ttl-seconds')) > 0, 400, 'no life time');
    return { status: 200, headers: {}, body: Buffer.from('imds-session') };
  }
  const roles = '/latest/meta-data/iam/security-credentials/';
  if (path.startsWith(roles)) {
    insist(header(received, 'x-aws-ec2-metadata-token') === 'imds-session', 401, 'no session token');
    if (path === roles) return { status: 200, headers: {}, body: Buffer.from('gateway-role') };
    return path === `${roles}gateway-role` ? metadataKeys(aws) : null;
  }
  if (path !== '/v2/credentials/task') return null;
  insist(header(received, 'authorization') === 'container-token', 401, 'no container token');
  return metadataKeys(aws);
}

function metadataKeys(aws: FakeAws): Answer {
  const keys = issueKeys(aws);
  return jsonAnswer(200, {
    Code: 'Success',
    AccessKeyId: keys.accessKeyId,
    SecretAccessKey: keys.secretAccessKey,
    Token: keys.sessionToken,
    Expiration: new Date(aws.now() + 3_600_000).toISOString(),
  });
}

function issueKeys(aws: FakeAws): FakeAwsKeys {
  const number = String(aws.keys.size).padStart(4, '0');
  const keys = {
    accessKeyId: `ASIAFAKE${number}`,
    secretAccessKey: `issued/secret+${number}`,
    sessionToken: `issued//session+token==${number}`,
  };
  aws.keys.set(keys.accessKeyId, keys);
  return keys;
}
