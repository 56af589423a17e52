/** Webhooks in the API v2. Their secrets are told when they are made, and when they change. */
import { z } from '@hono/zod-openapi';
import type { Tailnet, WebhookRecord } from '../../tailnet/control/index.ts';
import { listOf, readJson, timeText } from './body.ts';
import { reachable } from './devices.ts';
import { notFound } from './failure.ts';
import type { V2Parts, V2Request, V2Route } from './routes.ts';

const Subscriptions = listOf(z.string().max(100), 100);
const NewWebhook = z.object({
  endpointUrl: z.string().max(2000),
  providerType: z.enum(['', 'slack', 'mattermost', 'googlechat', 'discord']).default(''),
  subscriptions: Subscriptions,
});

export const WEBHOOK_ROUTES: readonly V2Route[] = [
  {
    method: 'GET',
    path: '/tailnet/{tailnet}/webhooks',
    scope: 'webhooks:read',
    handle: ({ tailnet }, { admin }) => ({
      body: { webhooks: admin.webhooks.list(tailnet.id).map(webhookJson) },
    }),
  },
  {
    method: 'POST',
    path: '/tailnet/{tailnet}/webhooks',
    scope: 'webhooks',
    async handle({ tailnet, body, change, requester }, { admin }) {
      const asked = readJson(body, NewWebhook);
      /* Paths of chats are secrets: the log gets the host. */
      const facts = { host: URL.parse(asked.endpointUrl)?.host ?? '', events: asked.subscriptions };
      const action = { action: 'tailnet.webhook.create', target: tailnet.record.name, facts };
      const made = await change(action, () =>
        admin.webhooks.create(tailnet.id, {
          url: asked.endpointUrl,
          format: asked.providerType,
          events: asked.subscriptions,
          createdBy: requester.actor.principal,
        }),
      );
      return { body: { ...webhookJson(made), secret: admin.webhooks.secretOf(made).reveal() } };
    },
  },
  {
    method: 'GET',
    path: '/webhooks/{webhook}',
    scope: 'webhooks:read',
    handle: (request, parts) => ({ body: webhookJson(webhookOf(request, parts).webhook) }),
  },
  {
    method: 'PATCH',
    path: '/webhooks/{webhook}',
    scope: 'webhooks',
    async handle(request, { admin }) {
      const { subscriptions } = readJson(request.body, z.object({ subscriptions: Subscriptions }));
      const { tailnet, webhook } = webhookOf(request, { admin });
      const action = actionOf('tailnet.webhook.change', tailnet, webhook, { events: subscriptions });
      const changed = await request.change(action, () => admin.webhooks.setEvents(webhook, subscriptions));
      return { body: webhookJson(changed) };
    },
  },
  {
    method: 'DELETE',
    path: '/webhooks/{webhook}',
    scope: 'webhooks',
    async handle(request, { admin }) {
      const { tailnet, webhook } = webhookOf(request, { admin });
      await request.change(actionOf('tailnet.webhook.remove', tailnet, webhook), () =>
        admin.webhooks.remove(webhook),
      );
      return {};
    },
  },
  {
    method: 'POST',
    path: '/webhooks/{webhook}/rotate',
    scope: 'webhooks',
    async handle(request, { admin }) {
      const { tailnet, webhook } = webhookOf(request, { admin });
      const changed = await request.change(actionOf('tailnet.webhook.rotate', tailnet, webhook), () =>
        admin.webhooks.rotate(webhook),
      );
      return { body: { ...webhookJson(changed), secret: admin.webhooks.secretOf(changed).reveal() } };
    },
  },
  {
    method: 'POST',
    path: '/webhooks/{webhook}/test',
    scope: 'webhooks',
    handle(request, { admin }) {
      const { tailnet, webhook } = webhookOf(request, { admin });
      admin.webhooks.test(webhook, tailnet);
      return { status: 202 };
    },
  },
];

/** Those of tailnets that the requester may not name are as if they were not. */
function webhookOf(
  { requester, params }: V2Request,
  { admin }: Pick<V2Parts, 'admin'>,
): { readonly tailnet: Tailnet; readonly webhook: WebhookRecord } {
  const id = params['webhook'] ?? '';
  for (const tailnet of reachable(requester, admin)) {
    const webhook = admin.webhooks.get(tailnet.id, id);
    if (webhook !== null) return { tailnet, webhook };
  }
  throw notFound();
}

function actionOf(action: string, { record }: Tailnet, { id }: WebhookRecord, facts: object = {}) {
  return { action, target: `${record.name}/${id}`, facts: { ...facts } };
}

function webhookJson({ id, url, format, createdBy, createdAt, changedAt, events }: WebhookRecord) {
  return {
    endpointId: id,
    endpointUrl: url,
    providerType: format,
    creatorLoginName: createdBy,
    created: timeText(createdAt),
    lastModified: timeText(changedAt),
    subscriptions: events,
  };
}
