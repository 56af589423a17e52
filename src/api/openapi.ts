/** The OpenAPI document without a running server; docs/reference/openapi.json is this, checked in. */
import { describeRouter } from './describe.ts';
import type { ApiDependencies } from './ports.ts';
import { createPresenceSessions } from './presence/sessions.ts';
import { createRouter } from './router.ts';
import { addRoutes } from './routes/all.ts';

/** The document of every route. */
export function openApiDocument(): Record<string, unknown> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- registering routes calls nothing of the dependencies; only requests would
  const deps = {} as ApiDependencies;
  const sessions = createPresenceSessions(deps);
  const router = createRouter({ deps, sessions, contextOf: () => undefined });
  addRoutes(router, deps, sessions);
  return describeRouter(router);
}
