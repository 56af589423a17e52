/** What a request does with provider objects, by its route and method. */
import type { SurfaceMatch } from '../../llm/index.ts';

/** `use` reads or changes one object, or what lies inside it. */
export type ObjectOperation = 'create' | 'list' | 'use' | 'delete';

export interface ObjectRequest {
  readonly match: SurfaceMatch;
  readonly method: string;
}

/** Null for routes that are not about an object. */
export function objectOperation({ match, method }: ObjectRequest): ObjectOperation | null {
  if (match.objectKind === undefined) return null;
  if (match.objectId !== null) return method === 'DELETE' && match.action === '' ? 'delete' : 'use';
  return method === 'POST' ? 'create' : 'list';
}

/** `POST /v1/files`, OpenAI's or Anthropic's. */
export function createsFile(request: ObjectRequest): boolean {
  return request.match.objectKind === 'file' && objectOperation(request) === 'create';
}

/** `POST /v1/batches` and `POST /v1/messages/batches`: requests that run later, each billed by itself. */
export function startsLines(request: ObjectRequest): boolean {
  const { objectKind } = request.match;
  const isBatch = objectKind === 'batch' || objectKind === 'message_batch';
  return isBatch && objectOperation(request) === 'create';
}

/** `POST /v1/batches`. */
export function createsBatch(request: ObjectRequest): boolean {
  return request.match.objectKind === 'batch' && objectOperation(request) === 'create';
}
