/** Azure OpenAI and Foundry as the fake plays them: the dated and the undated way, and Anthropic's. */
import type { Answer, Received } from './received.ts';
import { header, insist, jsonAnswer, jsonBody } from './received.ts';

export interface FakeAzure {
  readonly apiKey: string;
  /** A JWT as Entra issues it. */
  readonly entraToken: string;
  readonly deployments: ReadonlySet<string>;
}

/** Versions that the service knows; others are refused, as Azure does. */
const API_VERSIONS: ReadonlySet<string> = new Set(['2024-10-21', '2025-04-01-preview', '2024-05-01-preview']);

/** Null for a path that is not Azure's. */
export function answerAzure(azure: FakeAzure, received: Received): Answer | null {
  const dated = /^\/openai\/deployments\/([^/]+)\/(chat\/completions|embeddings)$/.exec(received.path);
  const undated = received.path === '/openai/v1/chat/completions' || received.path === '/openai/v1/responses';
  const models = received.path === '/models/chat/completions';
  const anthropic = received.path === '/anthropic/v1/messages';
  if (dated === null && !undated && !models && !anthropic) return null;
  insist(received.method === 'POST', 405, 'only POST');
  checkKey(azure, received, anthropic);
  checkVersion(received, dated !== null || models);
  const body = jsonBody(received);
  const deployment = dated?.[1] ?? body['model'];
  insist(typeof deployment === 'string' && azure.deployments.has(deployment), 404, 'DeploymentNotFound');
  if (anthropic) {
    insist(header(received, 'anthropic-version') !== '', 400, 'anthropic-version: header is required');
    return jsonAnswer(200, {
      id: 'msg_az_1',
      type: 'message',
      role: 'assistant',
      model: deployment,
      content: [{ type: 'text', text: 'azure' }],
      stop_reason: 'end_turn',
      stop_sequence: null,
      usage: { input_tokens: 8, output_tokens: 2 },
    });
  }
  if (received.path.endsWith('/responses')) return response(deployment);
  return body['stream'] === true ? stream(deployment) : completion(deployment);
}

function checkKey(azure: FakeAzure, received: Received, anthropic: boolean): void {
  const bearer = header(received, 'authorization');
  if (bearer !== '') {
    insist(bearer === `Bearer ${azure.entraToken}`, 401, 'the bearer token is not one of Entra');
    return;
  }
  const name = anthropic ? 'x-api-key' : 'api-key';
  insist(header(received, name) === azure.apiKey, 401, `wrong or missing ${name}`);
}

/** The dated way must have exactly one known `api-version`; the undated one must not have a dated one. */
function checkVersion(received: Received, dated: boolean): void {
  const versions = new URLSearchParams(received.query).getAll('api-version');
  insist(versions.length <= 1, 400, 'several api-version');
  const version = versions[0];
  if (dated)
    insist(version !== undefined && API_VERSIONS.has(version), 404, `api-version ${version ?? 'missing'}`);
  else
    insist(
      version === undefined || version === 'preview',
      400,
      `api-version ${version ?? ''} on the v1 path`,
    );
}

function completion(model: string): Answer {
  const choice = {
    index: 0,
    finish_reason: 'stop',
    message: { role: 'assistant', content: `azure:${model}` },
  };
  const usage = { prompt_tokens: 8, completion_tokens: 2, total_tokens: 10 };
  return jsonAnswer(200, {
    id: 'chatcmpl-az',
    object: 'chat.completion',
    created: 1,
    model,
    choices: [choice],
    usage,
  });
}

function response(model: string): Answer {
  const content = [{ type: 'output_text', text: `azure:${model}`, annotations: [] }];
  const output = [{ type: 'message', id: 'msg_1', role: 'assistant', status: 'completed', content }];
  const usage = { input_tokens: 8, output_tokens: 2, total_tokens: 10 };
  return jsonAnswer(200, {
    id: 'resp_az',
    object: 'response',
    created_at: 1,
    status: 'completed',
    model,
    output,
    usage,
  });
}

function stream(model: string): Answer {
  const chunk = (delta: unknown, finish: string | null): string =>
    `data: ${JSON.stringify({ id: 'chatcmpl-az', object: 'chat.completion.chunk', created: 1, model, choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
  const usage = `data: ${JSON.stringify({ id: 'chatcmpl-az', object: 'chat.completion.chunk', created: 1, model, choices: [], usage: { prompt_tokens: 8, completion_tokens: 2, total_tokens: 10 } })}\n\n`;
  const text =
    chunk({ role: 'assistant', content: '' }, null) +
    chunk({ content: `azure:${model}` }, null) +
    chunk({}, 'stop') +
    usage;
  return {
    status: 200,
    headers: { 'content-type': 'text/event-stream' },
    body: Buffer.from(`${text}data: [DONE]\n\n`),
  };
}
