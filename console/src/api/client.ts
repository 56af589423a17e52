/**
 * The API, typed by docs/reference/openapi.json (`schema.d.ts`, made by `npm run openapi`). A refused
 * or failed call throws `ApiProblem`. The half of presence that this origin keeps goes along.
 */
import createClient from 'openapi-fetch';
import { presenceProof } from '../presence/proof.ts';
import { problemOf, unreachable } from './problem.ts';
import type { components, paths } from './schema.d.ts';

/** `api.GET('/api/v1/usage', { params: { query } })`; take the answer out with `dataOf`. */
export const api = createClient<paths>({ baseUrl: '', credentials: 'same-origin', redirect: 'error' });

api.use({
  onRequest({ request }) {
    const proof = presenceProof();
    if (proof !== null) request.headers.set('x-postern-presence-proof', proof);
    // A write names its media type, even without a body: no form can.
    if (request.method !== 'GET' && request.method !== 'DELETE')
      request.headers.set('content-type', 'application/json');
    return request;
  },
  async onResponse({ response }) {
    if (!response.ok) throw await problemOf(response);
    return undefined;
  },
  onError({ error }) {
    if (error instanceof DOMException && error.name === 'AbortError') return error;
    return unreachable();
  },
});

/** What a call answered. Throws `ApiProblem`. */
export async function dataOf<Data>(
  call: Promise<{ data?: Data | undefined }>,
): Promise<Exclude<Data, string>> {
  const { data } = await call;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- failures threw already; a 204 has no data and its type says so
  return data as Exclude<Data, string>;
}

/** A shape of the API by its name: `Schema<'Request'>`. */
export type Schema<Name extends keyof components['schemas']> = components['schemas'][Name];

/** What `GET path` answers with 200. */
export type Answer<Path extends keyof paths> = paths[Path] extends {
  get: { responses: { 200: { content: { 'application/json': infer Body } } } };
}
  ? Body
  : never;

/** One item of the list that `GET path` answers. */
export type Item<Path extends keyof paths> =
  Answer<Path> extends { items: readonly (infer One)[] } ? One : never;
