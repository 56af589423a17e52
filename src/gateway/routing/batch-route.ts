/** Where batches and caches are made: their models stand in a file, in a list, or under another name. */
import { isSurfaceMiss, matchSurface, type Format } from '../../llm/index.ts';
import type { OwnedObject } from '../../store/index.ts';
import { BatchLineSums, type BatchLines } from '../ownership/batch-lines.ts';
import { readMessageBatch, renameModels } from '../ownership/message-batch.ts';
import { Refused } from '../reasons.ts';
import type { LlmRequest } from '../steps/read-request.ts';
import { chooseRoute, type Route } from './choose-route.ts';
import { grantOfModels, joinGrants, type ObjectRouteQuestion } from './object-route.ts';

/** A route with what is sent and what it asks for, where those are more than the request says. */
export interface PlacedRoute extends Route {
  readonly body?: Buffer | null;
  readonly models?: readonly string[] | null;
  /** The file that a batch is made of, and what its lines are sent to. */
  readonly batched?: { readonly input: OwnedObject; readonly format: Format };
  /** What the requests of a batch ask for that stand in its body. */
  readonly lines?: BatchLines;
}

/**
 * `POST /v1/batches`: every model that the input file names must be granted, by the provider's own
 * name, since lines are not rewritten. A file whose lines were not seen is refused.
 */
export function routeBatch(
  question: ObjectRouteQuestion,
  request: LlmRequest,
  { route, objects }: { readonly route: Route; readonly objects: readonly OwnedObject[] },
): PlacedRoute {
  const inputId = request.facts?.member('input_file_id');
  const input = objects.find(({ kind, objectId }) => kind === 'file' && objectId === inputId);
  if (input === undefined) throw new Refused('body_invalid', 'the batch names no "input_file_id"');
  if (input.models === null) {
    throw new Refused(
      'body_invalid',
      `the file "${input.objectId}" cannot be a batch's input: upload it here in one piece with the purpose "batch"`,
    );
  }
  const endpoint = request.facts?.member('endpoint');
  const served = typeof endpoint === 'string' ? matchSurface('POST', endpoint, false) : null;
  if (served === null || isSurfaceMiss(served) || !route.provider.formats.has(served.format)) {
    throw new Refused('format_not_available', 'the "endpoint" of the batch is not served by its provider');
  }
  const grant = grantOfModels(question, route.provider, input.models);
  return {
    ...route,
    grant: grant ?? route.grant,
    models: input.models,
    batched: { input, format: served.format },
  };
}

/** `POST /v1/messages/batches`: every request's model must be granted, all at one provider. */
export async function routeMessageBatch(
  { policy, access, format }: ObjectRouteQuestion,
  request: LlmRequest,
): Promise<PlacedRoute> {
  if (request.facts === null) throw new Refused('body_invalid', 'the batch has no body');
  const byName = new Map<string, Route>();
  const sums = new BatchLineSums();
  const refersToObjects = (request.references?.length ?? 0) > 0;
  const batched = await readMessageBatch(request.body, request.facts, ({ model, body, facts }) => {
    const route = byName.get(model) ?? chooseRoute({ policy, access, requestedModel: model, format });
    byName.set(model, route);
    sums.add({ model: route.model, format: 'anthropic_messages', body, facts, refersToObjects });
  });
  const routes = [...byName.values()];
  const [first] = routes;
  const grant = joinGrants(routes.map((route) => route.grant));
  if (first === undefined || grant === null) throw new Refused('body_invalid', 'the batch has no request');
  const other = routes.find(({ provider }) => provider.id !== first.provider.id);
  if (other !== undefined) {
    throw new Refused(
      'body_invalid',
      `the models "${first.requestedModel}" and "${other.requestedModel}" are of two providers: make a batch for each`,
    );
  }
  const isRenamed = routes.some((route) => route.isRenamed);
  const names = batched.map(({ model }) => byName.get(model)?.model ?? model);
  return {
    provider: first.provider,
    requestedModel: '',
    model: '',
    grant,
    isRenamed: false,
    models: [...new Set(names)],
    body: isRenamed ? renameModels(request.body, batched, names) : null,
    lines: sums.sums(),
  };
}

/** `POST /v1beta/cachedContents`: the body's `model` is `models/x`. */
export function routeCache(
  { policy, access, format }: ObjectRouteQuestion,
  request: LlmRequest,
): PlacedRoute {
  const named = request.facts?.member('model');
  const span = request.facts?.span('model') ?? null;
  if (typeof named !== 'string' || span === null || named.length > 512)
    throw new Refused('model_missing', 'the cache names no model');
  const requestedModel = named.startsWith('models/') ? named.slice(7) : named;
  const route = chooseRoute({ policy, access, requestedModel, format });
  if (!route.isRenamed) return { ...route, isRenamed: false };
  const name = Buffer.from(JSON.stringify(`models/${route.model}`));
  const body = Buffer.concat([request.body.subarray(0, span.start), name, request.body.subarray(span.end)]);
  return { ...route, isRenamed: false, body };
}
