/**
 * Using a model from the console. The caller is whoever the connection is, exactly as on the models'
 * own paths: a right to use, which asks for no presence and reads no cookie (DESIGN section 5). The
 * request goes the one way that every request goes; here it only gets to its beginning.
 */
import { createRoute, z } from '@hono/zod-openapi';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { ApiError } from '../errors.ts';
import type { ApiDependencies } from '../ports.ts';
import { type ApiRouter, untyped } from '../router.ts';
import { ProblemSchema } from '../schemas.ts';
import { requireCaller } from './identity.ts';

const USE = { role: 'user', presence: false, scope: 'use' } as const;
const PREFIX = '/api/v1/playground';

/** Refusals come from here as problems, and from the pipeline in the format of the route. */
const REFUSAL = {
  description: 'Refused, as a problem or in the format of the route.',
  content: {
    'application/problem+json': { schema: ProblemSchema },
    'application/json': { schema: z.unknown() },
  },
};
const REFUSALS = [400, 401, 403, 404, 405, 413, 415, 422, 429, 502, 503, 504] as const;
const ANSWERS = {
  200: { description: "The model's answer, as its format has it." },
  ...Object.fromEntries(REFUSALS.map((status) => [status, REFUSAL])),
};

export function addPlaygroundRoutes(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    USE,
    createRoute({
      method: 'post',
      path: `${PREFIX}/{route{.+}}`,
      summary: 'Use a model from the console',
      description:
        'Behind the prefix stands the route of the model, such as `v1/messages`; body and answer are those of its format, streams included. Policy, budgets and records are those of every request; its agent is `playground`. `x-postern-request-id` names its record.',
      request: { params: z.object({ route: z.string().min(1).max(4_096) }) },
      responses: ANSWERS,
    }),
    (c) => {
      const { playground } = deps;
      if (playground === undefined) throw new ApiError('not_found', 'this server has no playground');
      const { caller } = requireCaller(c);
      const { incoming, outgoing } = c.env;
      const [path, query] = splitTarget(incoming.url ?? '');
      playground({
        req: incoming,
        res: outgoing,
        path: path.slice(PREFIX.length),
        query,
        caller,
        context: c.get('context'),
      });
      return untyped(RESPONSE_ALREADY_SENT);
    },
    { bodyMaxBytes: 'unread' },
  );
}

function splitTarget(target: string): [string, string] {
  const mark = target.indexOf('?');
  return mark < 0 ? [target, ''] : [target.slice(0, mark), target.slice(mark + 1)];
}
