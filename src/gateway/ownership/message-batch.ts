/**
 * The requests inside an Anthropic message batch (`POST /v1/messages/batches`): each names a model,
 * and each is held to what the caller could ask for by itself.
 */
import { isBodyProblem, readRequestBody, type BodyFacts, type SurfaceMatch } from '../../llm/index.ts';
import { JsonScanError, scanJsonArray, scanJsonObject, type JsonSpan } from '../../wire/json-scan.ts';
import { Refused } from '../reasons.ts';
import { toolModels } from '../routing/further-models.ts';

export interface BatchedModel {
  /** As the caller named it. */
  readonly model: string;
  /** Its JSON string, quotes included, in the whole body. */
  readonly span: JsonSpan;
}

/** One request of the batch, as it would be asked by itself. */
export interface BatchedRequest {
  /** As the caller named it. */
  readonly model: string;
  readonly body: Buffer;
  readonly facts: BodyFacts;
}

/** Anthropic's own limit. */
const REQUESTS_MAX = 100_000;
/** Requests read in one go; then others get their turn. */
const SLICE = 200;

const PARAMS_MATCH: SurfaceMatch = {
  format: 'anthropic_messages',
  dialect: 'anthropic',
  model: null,
  modelInBody: true,
  stream: null,
  action: '',
  objectId: null,
};

/**
 * The model of every request, in order; each request is shown to `visit` on the way, and none of them is kept.
 * Rejects with `body_invalid` or `model_missing`, naming the request, and with what `visit` throws.
 */
export async function readMessageBatch(
  body: Buffer,
  facts: BodyFacts,
  visit: (request: BatchedRequest) => void,
): Promise<readonly BatchedModel[]> {
  const requests = facts.span('requests');
  if (requests === null) throw new Refused('body_invalid', 'the batch has no "requests"');
  const elements = scanned(() => scanJsonArray(body, requests.start), 'requests');
  if (elements.length === 0) throw new Refused('body_invalid', 'the batch has no request');
  if (elements.length > REQUESTS_MAX)
    throw new Refused('body_invalid', `the batch has more than ${REQUESTS_MAX} requests`);
  const models: BatchedModel[] = [];
  for (const [index, element] of elements.entries()) {
    models.push(modelOf(body, element, { name: `requests[${index}]`, visit }));
    if (index % SLICE === SLICE - 1) await nextTurn();
  }
  return models;
}

function modelOf(
  body: Buffer,
  element: JsonSpan,
  { name, visit }: { readonly name: string; readonly visit: (request: BatchedRequest) => void },
): BatchedModel {
  const members = scanned(() => scanJsonObject(body, element.start), name);
  const keys = new Set(members.map(({ key }) => key.toLowerCase()));
  if (keys.size !== members.length) throw new Refused('body_invalid', `${name} has a member twice`);
  const params = members.find(({ key }) => key === 'params');
  if (params === undefined) throw new Refused('body_invalid', `${name} has no "params"`);
  const asked = body.subarray(params.valueStart, params.valueEnd);
  const read = readRequestBody(asked, PARAMS_MATCH);
  if (isBodyProblem(read)) {
    const code = read.problem === 'model_missing' ? 'model_missing' : 'body_invalid';
    throw new Refused(code, `${name}.params: ${read.message}`);
  }
  if (toolModels(read, asked).length > 0)
    throw new Refused(
      'body_invalid',
      `${name}.params has a tool with a model of its own, which batches do not take`,
    );
  const { model, modelSpan } = read;
  if (model === null || modelSpan === null)
    throw new Refused('model_missing', `${name}.params names no model`);
  visit({ model, body: asked, facts: read });
  const span = { start: params.valueStart + modelSpan.start, end: params.valueStart + modelSpan.end };
  return { model, span };
}

/** The body with other models in the place of those that the caller named. */
export function renameModels(
  body: Buffer,
  models: readonly BatchedModel[],
  names: readonly string[],
): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  for (const [index, { span }] of models.entries()) {
    parts.push(body.subarray(at, span.start), Buffer.from(JSON.stringify(names[index] ?? '')));
    at = span.end;
  }
  parts.push(body.subarray(at));
  return Buffer.concat(parts);
}

function scanned<T>(scan: () => T, name: string): T {
  try {
    return scan();
  } catch (error) {
    if (error instanceof JsonScanError) throw new Refused('body_invalid', `${name}: ${error.message}`);
    throw error;
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
