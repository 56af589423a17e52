/** Every route of the API, in the order of the reference. */
import { createRoute, z } from '@hono/zod-openapi';
import { apertureDocument, describeRouter } from '../describe.ts';
import { addConsoleRoutes } from '../console/routes.ts';
import { addPageRoutes } from '../pages/routes.ts';
import type { ApiDependencies } from '../ports.ts';
import { type ClaimDesk, createClaimDesk } from '../presence/claim.ts';
import { createPasskeyDesk } from '../presence/passkeys.ts';
import { createPresenceDesk } from '../presence/requests.ts';
import { addPresenceRoutes } from '../presence/routes.ts';
import type { PresenceSessions } from '../presence/sessions.ts';
import { createRequestMetrics, type RequestMetrics } from '../request-metrics.ts';
import type { ApiRouter } from '../router.ts';
import { json } from '../schemas.ts';
import { addApprovalRoutes } from './approvals.ts';
import { addApertureRoutes } from './aperture.ts';
import { addAuditRoutes } from './audit.ts';
import { addBudgetRoutes } from './budgets.ts';
import { addConfigDraftRoutes } from './config-drafts.ts';
import { addConfigRoutes } from './config.ts';
import { addDeviceRoutes } from './devices.ts';
import { addEventRoutes, type LiveEvents } from './events.ts';
import { addGovernanceRoutes } from './governance.ts';
import { addHealthRoutes } from './health.ts';
import { addHealthStateRoutes } from './health-states.ts';
import { addHookRoutes } from './hooks.ts';
import { addIdentityRoutes } from './identity.ts';
import { addJwtDenialRoutes } from './jwt-denials.ts';
import { addKeyRoutes } from './keys.ts';
import { addNetworkRoutes } from './network.ts';
import { addNoticeRoutes } from './notices.ts';
import { addPlaygroundRoutes } from './playground.ts';
import { addProviderRoutes } from './providers.ts';
import { addQuotaRoutes } from './quotas.ts';
import { addRequestRoutes } from './requests.ts';
import { addSessionRoutes } from './sessions.ts';
import { addSettingsRoutes } from './settings.ts';
import { addSimulateRoutes } from './simulate.ts';
import { addTailnetDeviceRoutes } from './tailnet-devices.ts';
import { addTailnetDnsRoutes } from './tailnet-dns.ts';
import { addTailnetReachRoutes } from './tailnet-reach.ts';
import { addTailnetUserRoutes } from './tailnet-users.ts';
import { addTailnetRoutes } from './tailnets.ts';
import { addTokenRoutes } from './tokens.ts';
import { addUsageRoutes } from './usage.ts';

const KNOWN = { role: 'known', presence: false, scope: null } as const;

export interface RouteParts {
  readonly claim: ClaimDesk;
  readonly metrics: RequestMetrics;
  readonly events: LiveEvents;
}

export function addRoutes(router: ApiRouter, deps: ApiDependencies, sessions: PresenceSessions): RouteParts {
  const claim = createClaimDesk(deps);
  const metrics = createRequestMetrics();
  addIdentityRoutes(router, deps, claim);
  addRequestRoutes(router, deps);
  addSessionRoutes(router, deps);
  addUsageRoutes(router, deps);
  const events = addEventRoutes(router, deps);
  addProviderRoutes(router, deps);
  addKeyRoutes(router, deps);
  addTokenRoutes(router, deps);
  addJwtDenialRoutes(router, deps);
  addDeviceRoutes(router, deps);
  addNetworkRoutes(router, deps);
  addTailnetRoutes(router, deps);
  addTailnetDeviceRoutes(router, deps);
  addTailnetDnsRoutes(router, deps);
  addTailnetReachRoutes(router, deps);
  addTailnetUserRoutes(router, deps);
  addApprovalRoutes(router, deps);
  addBudgetRoutes(router, deps);
  addConfigRoutes(router, deps);
  addConfigDraftRoutes(router, deps);
  addGovernanceRoutes(router, deps, sessions);
  addAuditRoutes(router, deps);
  addSimulateRoutes(router, deps);
  addPresenceRoutes(router, {
    deps,
    sessions,
    claim,
    desk: createPresenceDesk(deps),
    passkeys: createPasskeyDesk(deps),
  });
  addApertureRoutes(router, deps);
  addQuotaRoutes(router, deps);
  addHookRoutes(router, deps);
  addNoticeRoutes(router, deps);
  addSettingsRoutes(router, deps);
  addPlaygroundRoutes(router, deps);
  addHealthStateRoutes(router, deps);
  addHealthRoutes(router, deps, metrics);
  addDocumentRoutes(router);
  addPageRoutes(router, deps);
  addConsoleRoutes(router, deps);
  return { claim, metrics, events };
}

function addDocumentRoutes(router: ApiRouter): void {
  const anyObject = json(z.looseObject({ openapi: z.string() }), 'OpenAPI 3.1.');
  router.add(
    KNOWN,
    createRoute({
      method: 'get',
      path: '/api/v1/openapi.json',
      summary: 'This document',
      responses: { 200: anyObject },
    }),
    (c) => c.json({ openapi: '3.1.0', ...describeRouter(router) }, 200),
  );
  router.add(
    KNOWN,
    createRoute({
      method: 'get',
      path: '/aperture/openapi.json',
      summary: "This document, Aperture's part",
      responses: { 200: anyObject },
    }),
    (c) => c.json({ openapi: '3.1.0', ...apertureDocument(describeRouter(router)) }, 200),
  );
}
