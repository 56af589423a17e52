/**
 * Google Cloud as the fake plays it: assertions verified by `jose` with the public key, tokens that
 * only it can have issued, and Vertex's paths.
 */
import { exportPKCS8, generateKeyPair, jwtVerify } from 'jose';
import type { CryptoKey } from 'jose';
import type { Answer, Received } from './received.ts';
import { Violation, header, insist, jsonAnswer, jsonBody } from './received.ts';
import { createVertexCalls, type VertexCalls } from './vertex-calls.ts';

export interface FakeGoogle {
  readonly project: string;
  readonly email: string;
  readonly keyId: string;
  readonly publicKey: CryptoKey;
  readonly privateKeyPem: string;
  readonly apiKey: string;
  /** Issued access tokens. */
  readonly tokens: Set<string>;
  /** Seconds that an issued token lives. */
  tokenLifeSec: number;
  readonly now: () => number;
  /** For models whose name asks for a behaviour. */
  readonly calls: VertexCalls;
}

export async function createFakeGoogle(now: () => number): Promise<FakeGoogle> {
  const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true });
  return {
    project: 'fake-project',
    email: 'gateway@fake-project.iam.gserviceaccount.com',
    keyId: 'key-1',
    publicKey,
    privateKeyPem: await exportPKCS8(privateKey),
    apiKey: 'AIzaFakeExpressKey',
    tokens: new Set(),
    tokenLifeSec: 3_599,
    now,
    calls: createVertexCalls(),
  };
}

/** The service-account key file, as Google hands it out. */
export function serviceAccountKey(google: FakeGoogle, tokenUri: string): string {
  return JSON.stringify({
    type: 'service_account',
    project_id: google.project,
    private_key_id: google.keyId,
    private_key: google.privateKeyPem,
    client_email: google.email,
    client_id: '1',
    token_uri: tokenUri,
  });
}

/** Gives a token that Vertex does not accept: that of a caller, which must not come through. */
export const CALLER_REFRESH_TOKEN = 'caller-refresh';

/** The token endpoint; null for other paths. `origin` is that of the fake. */
export async function answerGoogleToken(
  google: FakeGoogle,
  received: Received,
  origin: string,
): Promise<Answer | null> {
  if (received.path !== '/token') return null;
  insist(received.method === 'POST', 405, 'only POST');
  insist(header(received, 'content-type').startsWith('application/x-www-form-urlencoded'), 415, 'not a form');
  const form = new URLSearchParams(received.body.toString('utf8'));
  if (form.get('refresh_token') === CALLER_REFRESH_TOKEN) {
    return jsonAnswer(200, { access_token: 'ya29.caller', expires_in: 3_600, token_type: 'Bearer' });
  }
  if (form.get('grant_type') === 'refresh_token') {
    insist(
      form.get('refresh_token') === 'user-refresh' && form.get('client_secret') === 'user-secret',
      400,
      'invalid_grant',
    );
    return issue(google);
  }
  insist(
    form.get('grant_type') === 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    400,
    'unsupported_grant_type',
  );
  const { payload, protectedHeader } = await jwtVerify(form.get('assertion') ?? '', google.publicKey, {
    algorithms: ['RS256'],
    issuer: google.email,
    audience: `${origin}/token`,
    currentDate: new Date(google.now()),
    requiredClaims: ['iat', 'exp', 'scope'],
  }).catch((error: unknown) => {
    throw new Violation(400, `invalid_grant: ${String(error)}`);
  });
  insist(protectedHeader.kid === google.keyId, 400, 'invalid_grant: unknown key id');
  insist((payload.exp ?? 0) - (payload.iat ?? 0) <= 3_600, 400, 'invalid_grant: lives longer than an hour');
  insist(payload['scope'] === 'https://www.googleapis.com/auth/cloud-platform', 400, 'invalid_scope');
  return issue(google);
}

/** The metadata server; null for other paths. */
export function answerGoogleMetadata(google: FakeGoogle, received: Received): Answer | null {
  if (!received.path.startsWith('/computeMetadata/v1/')) return null;
  insist(header(received, 'metadata-flavor') === 'Google', 403, 'no Metadata-Flavor');
  if (received.path.endsWith('/project/project-id'))
    return { status: 200, headers: {}, body: Buffer.from(google.project) };
  return received.path.endsWith('/instance/service-accounts/default/token') ? issue(google) : null;
}

function issue(google: FakeGoogle): Answer {
  const token = `ya29.fake-${google.tokens.size + 1}`;
  google.tokens.add(token);
  return jsonAnswer(200, { access_token: token, expires_in: google.tokenLifeSec, token_type: 'Bearer' });
}

const FULL =
  /^\/(v1|v1beta1)\/projects\/([^/]+)\/locations\/([a-z0-9-]+)\/publishers\/(google|anthropic)\/models\/([^/:]+):(\w+)$/;
const EXPRESS = /^\/(v1|v1beta1)\/publishers\/google\/models\/([^/:]+):(\w+)$/;

/** Vertex AI; null for a path that is not its. */
export function answerVertex(google: FakeGoogle, received: Received): Answer | null {
  const full = FULL.exec(received.path);
  const express = EXPRESS.exec(received.path);
  if (full === null && express === null) return null;
  insist(received.method === 'POST', 405, 'only POST');
  if (header(received, 'x-goog-api-key') === '') {
    const token = /^Bearer (.+)$/.exec(header(received, 'authorization'))?.[1] ?? '';
    insist(google.tokens.has(token), 401, 'ACCESS_TOKEN_TYPE_UNSUPPORTED');
    insist(full !== null, 401, 'express mode takes API keys only');
  } else {
    insist(header(received, 'x-goog-api-key') === google.apiKey, 400, 'API_KEY_INVALID');
  }
  insist(full === null || full[2] === google.project, 403, `no permission on project ${full?.[2] ?? ''}`);
  const body = jsonBody(received);
  const publisher = full?.[4] ?? 'google';
  const model = full?.[5] ?? express?.[2] ?? '';
  const action = full?.[6] ?? express?.[3] ?? '';
  return publisher === 'anthropic'
    ? rawPredict(google, { model, action, body })
    : generate(model, action, body, received.query);
}

interface RawPrediction {
  readonly model: string;
  readonly action: string;
  readonly body: Record<string, unknown>;
}

function rawPredict({ calls }: FakeGoogle, { model, action, body }: RawPrediction): Answer {
  insist(body['anthropic_version'] === 'vertex-2023-10-16', 400, 'anthropic_version: Field required');
  if (model === 'count-tokens') {
    insist(action === 'rawPredict', 404, `unknown action ${action}`);
    insist(typeof body['model'] === 'string', 400, 'model: Field required');
    return jsonAnswer(200, { input_tokens: 17, counted_for: body['model'] });
  }
  insist(!('model' in body), 400, 'model: extra inputs are not permitted');
  const asked = calls.answer(decodeURIComponent(model), action === 'streamRawPredict', body);
  if (asked !== null) return asked;
  const text = `vertex:${model}`;
  const start = { id: 'msg_vrtx_1', type: 'message', role: 'assistant', model, stop_sequence: null };
  if (action === 'rawPredict') {
    const usage = { input_tokens: 17, output_tokens: 4 };
    return jsonAnswer(200, { ...start, content: [{ type: 'text', text }], stop_reason: 'end_turn', usage });
  }
  insist(action === 'streamRawPredict', 404, `unknown action ${action}`);
  return eventSource([
    {
      type: 'message_start',
      message: { ...start, content: [], stop_reason: null, usage: { input_tokens: 17, output_tokens: 1 } },
    },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } },
    { type: 'content_block_stop', index: 0 },
    {
      type: 'message_delta',
      delta: { stop_reason: 'end_turn', stop_sequence: null },
      usage: { output_tokens: 4 },
    },
    { type: 'message_stop' },
  ]);
}

/** Fields that Vertex does not know, by the names of Google's SDK. */
const UNKNOWN_TO_VERTEX = [
  'store',
  'enableEnhancedCivicAnswers',
  'includeServerSideToolInvocations',
  'partMetadata',
];

function generate(model: string, action: string, body: Record<string, unknown>, query: string): Answer {
  const text = JSON.stringify(body);
  for (const field of UNKNOWN_TO_VERTEX) insist(!text.includes(`"${field}"`), 400, `Unknown name "${field}"`);
  if (action === 'countTokens') return jsonAnswer(200, { totalTokens: 9, totalBillableCharacters: 30 });
  const response = {
    candidates: [
      { content: { role: 'model', parts: [{ text: `vertex:${model}` }] }, finishReason: 'STOP', index: 0 },
    ],
    usageMetadata: {
      promptTokenCount: 9,
      candidatesTokenCount: 3,
      totalTokenCount: 12,
      trafficType: 'ON_DEMAND',
    },
    modelVersion: model,
    responseId: 'vertex-1',
  };
  if (action === 'generateContent') return jsonAnswer(200, response);
  insist(action === 'streamGenerateContent', 404, `unknown action ${action}`);
  insist(query === 'alt=sse', 400, 'the fake streams only with alt=sse');
  return eventSource([response]);
}

function eventSource(events: readonly object[]): Answer {
  const text = events
    .map(
      (event) =>
        `${'type' in event ? `event: ${String(event.type)}\n` : ''}data: ${JSON.stringify(event)}\n\n`,
    )
    .join('');
  return { status: 200, headers: { 'content-type': 'text/event-stream' }, body: Buffer.from(text) };
}
