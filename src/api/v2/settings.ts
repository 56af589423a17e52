/** A tailnet's settings in the API v2. What Postern does not have says so when it is asked for. */
import { z } from '@hono/zod-openapi';
import type { Tailnet } from '../../tailnet/control/index.ts';
import { readJson } from './body.ts';
import { badRequest } from './failure.ts';
import type { V2Route } from './routes.ts';

const Settings = z.object({
  devicesApprovalOn: z.boolean().nullish(),
  devicesKeyDurationDays: z.int().min(1).max(3650).nullish(),
});

/** Off here, and not to be turned on. */
const ABSENT = {
  aclsExternallyManagedOn: false,
  aclsExternalLink: '',
  devicesAutoUpdatesOn: false,
  usersApprovalOn: false,
  usersRoleAllowedToJoinExternalTailnets: 'none',
  networkFlowLoggingOn: false,
  regionalRoutingOn: false,
  postureIdentityCollectionOn: false,
  httpsEnabled: false,
} as const;

export const SETTINGS_ROUTES: readonly V2Route[] = [
  {
    method: 'GET',
    path: '/tailnet/{tailnet}/settings',
    scope: 'feature_settings:read',
    handle: ({ tailnet }) => ({ body: settingsJson(tailnet) }),
  },
  {
    method: 'PATCH',
    path: '/tailnet/{tailnet}/settings',
    scope: 'feature_settings',
    async handle({ tailnet, body, change }, { admin }) {
      const asked = readJson(body, Settings.loose());
      /* Programs in Go send null for what they leave as it is. */
      const [approval, days] = [asked.devicesApprovalOn ?? null, asked.devicesKeyDurationDays ?? null];
      for (const [name, off] of Object.entries(ABSENT))
        if ((asked[name] ?? off) !== off) throw badRequest(`${name}: this server does not have it`);
      const action = { action: 'tailnet.change', target: tailnet.record.name, facts: { approval, days } };
      await change(action, () =>
        admin.changeTailnet(tailnet, {
          ...(approval === null ? {} : { deviceApproval: approval }),
          ...(days === null ? {} : { keyExpiryDays: days }),
        }),
      );
      return { body: settingsJson(tailnet) };
    },
  },
];

function settingsJson({ record }: Tailnet) {
  return {
    ...ABSENT,
    devicesApprovalOn: record.deviceApproval,
    devicesKeyDurationDays: record.keyExpiryDays,
  };
}
