/** DNS of a tailnet: what its devices resolve, and where. */
import { createRoute, z } from '@hono/zod-openapi';
import { recordChange } from '../audit-trail.ts';
import type { ApiDependencies } from '../ports.ts';
import type { ApiRouter } from '../router.ts';
import { json, jsonBody } from '../schemas.ts';
import type { TailnetDnsView } from '../tailnets-port.ts';
import { READ, TailnetParams, tailnetsOf, WRITE } from './tailnets.ts';

/** Of each list, as of all together. */
const ENTRIES_MAX = 1000;
/** That many names of full length, with their addresses. */
const BODY_MAX_BYTES = 512 * 1024;
const Domain = z.string().min(1).max(253);
const Addresses = z.array(z.string().min(1).max(45)).max(ENTRIES_MAX);

const DnsSchema = z
  .strictObject({
    magic_dns: z.boolean().describe('Devices resolve each other by name.'),
    resolvers: Addresses.describe('Resolvers for everything, by address; empty: each device has its own.'),
    split: z
      .record(Domain, Addresses.min(1))
      .refine((split) => Object.keys(split).length <= ENTRIES_MAX, `at most ${ENTRIES_MAX} domains`)
      .describe('Domain to the resolvers that answer for it.'),
    search_domains: z.array(Domain).max(ENTRIES_MAX).describe("Besides the tailnet's own domain."),
    extra_records: z
      .array(z.strictObject({ name: Domain, value: z.string().min(1).max(45).describe('An IP address.') }))
      .max(ENTRIES_MAX)
      .describe('Names that resolve besides those of devices.'),
  })
  .openapi('TailnetDns');

export function addTailnetDnsRoutes(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/tailnets/{tailnet}/dns',
      summary: 'DNS of a tailnet',
      request: { params: TailnetParams },
      responses: { 200: json(DnsSchema, 'The settings in force.') },
    }),
    (c) => c.json(dnsView(tailnetsOf(deps).dns(c.req.valid('param').tailnet)), 200),
  );

  router.add(
    WRITE,
    createRoute({
      method: 'put',
      path: '/api/v1/tailnets/{tailnet}/dns',
      summary: 'Change the DNS of a tailnet, all of it',
      request: { params: TailnetParams, body: jsonBody(DnsSchema) },
      responses: { 200: json(DnsSchema, 'The settings; its devices know within a second.') },
    }),
    async (c) => {
      const { tailnet } = c.req.valid('param');
      const { magic_dns, resolvers, split, search_domains, extra_records } = c.req.valid('json');
      const action = {
        action: 'tailnet.dns.set',
        target: tailnet,
        facts: {
          magic_dns,
          resolvers: resolvers.length,
          split: Object.keys(split).length,
          search_domains: search_domains.length,
          extra_records: extra_records.length,
        },
      };
      const set = await recordChange(deps, c.get('actor'), action, () =>
        tailnetsOf(deps).setDns(tailnet, {
          magicDns: magic_dns,
          resolvers,
          split,
          searchDomains: search_domains,
          extraRecords: extra_records,
        }),
      );
      return c.json(dnsView(set), 200);
    },
    { bodyMaxBytes: BODY_MAX_BYTES },
  );
}

function dnsView(view: TailnetDnsView): z.output<typeof DnsSchema> {
  return {
    magic_dns: view.magicDns,
    resolvers: [...view.resolvers],
    split: Object.fromEntries(
      Object.entries(view.split).map(([domain, addresses]) => [domain, [...addresses]]),
    ),
    search_domains: [...view.searchDomains],
    extra_records: view.extraRecords.map(({ name, value }) => ({ name, value })),
  };
}
