/** DNS in the API v2. */
import { z } from '@hono/zod-openapi';
import type { DnsSettings, Tailnet } from '../../tailnet/control/index.ts';
import { listOf, readJson } from './body.ts';
import type { V2Answer, V2Parts, V2Request, V2Route } from './routes.ts';

const NAMES_MAX = 1000;
const Texts = listOf(z.string().max(253), NAMES_MAX);
const Split = z.record(z.string().max(253), Texts);
const Nameservers = listOf(z.object({ address: z.string().max(64) }), NAMES_MAX);
const Configuration = z.object({
  nameservers: Nameservers.optional(),
  splitDNS: z.record(z.string().max(253), Nameservers).optional(),
  searchPaths: Texts.optional(),
  preferences: z.object({ magicDNS: z.boolean().optional() }).optional(),
});

type Change = Partial<DnsSettings>;

export const DNS_ROUTES: readonly V2Route[] = [
  shows('nameservers', ({ resolvers }) => ({ dns: resolvers })),
  sets(
    'POST',
    'nameservers',
    z.object({ dns: Texts }),
    ({ dns }) => ({ resolvers: dns }),
    ({ record }) => ({
      dns: record.dns.resolvers,
      magicDNS: record.dns.magicDns,
    }),
  ),
  shows('preferences', ({ magicDns }) => ({ magicDNS: magicDns })),
  sets(
    'POST',
    'preferences',
    z.object({ magicDNS: z.boolean() }),
    ({ magicDNS }) => ({ magicDns: magicDNS }),
    ({ record }) => ({ magicDNS: record.dns.magicDns }),
  ),
  shows('searchpaths', ({ searchDomains }) => ({ searchPaths: searchDomains })),
  sets(
    'POST',
    'searchpaths',
    z.object({ searchPaths: Texts }),
    ({ searchPaths }) => ({ searchDomains: searchPaths }),
    ({ record }) => ({ searchPaths: record.dns.searchDomains }),
  ),
  shows('split-dns', ({ split }) => split),
  sets(
    'PUT',
    'split-dns',
    Split,
    (split) => ({ split: splitOf(split, {}) }),
    ({ record }) => record.dns.split,
  ),
  sets(
    'PATCH',
    'split-dns',
    Split,
    (split, before) => ({ split: splitOf(split, before.split) }),
    ({ record }) => record.dns.split,
  ),
  shows('configuration', configurationJson),
  sets('POST', 'configuration', Configuration, configured, ({ record }) => configurationJson(record.dns)),
];

function shows(what: string, json: (dns: DnsSettings) => unknown): V2Route {
  return {
    method: 'GET',
    path: `/tailnet/{tailnet}/dns/${what}`,
    scope: 'dns:read',
    handle: ({ tailnet }) => ({ body: json(tailnet.record.dns) }),
  };
}

function sets<Schema extends z.ZodType>(
  method: 'POST' | 'PUT' | 'PATCH',
  what: string,
  schema: Schema,
  changeOf: (asked: z.output<Schema>, before: DnsSettings) => Change,
  json: (tailnet: Tailnet) => unknown,
): V2Route {
  return {
    method,
    path: `/tailnet/{tailnet}/dns/${what}`,
    scope: 'dns',
    async handle(request, parts): Promise<V2Answer> {
      const change = changeOf(readJson(request.body, schema), request.tailnet.record.dns);
      await applyChange(request, parts, change);
      return { body: json(request.tailnet) };
    },
  };
}

async function applyChange(
  { tailnet, change: record }: V2Request,
  { admin }: V2Parts,
  change: Change,
): Promise<void> {
  const action = { action: 'tailnet.change', target: tailnet.record.name, facts: { dns: change } };
  await record(action, () => admin.changeTailnet(tailnet, { dns: { ...tailnet.record.dns, ...change } }));
}

/** Null or no server takes a domain away. */
function splitOf(
  asked: z.output<typeof Split>,
  before: Readonly<Record<string, readonly string[]>>,
): Record<string, readonly string[]> {
  const split: Record<string, readonly string[]> = { ...before };
  for (const [domain, servers] of Object.entries(asked)) {
    if (servers.length === 0) delete split[domain];
    else split[domain] = servers;
  }
  return split;
}

function configured(asked: z.output<typeof Configuration>, before: DnsSettings): Change {
  const addresses = (list: z.output<typeof Nameservers>): string[] => list.map(({ address }) => address);
  const split = Object.entries(asked.splitDNS ?? {}).map(
    ([domain, servers]) => [domain, addresses(servers)] as const,
  );
  return {
    resolvers: addresses(asked.nameservers ?? []),
    split: splitOf(Object.fromEntries(split), {}),
    searchDomains: asked.searchPaths ?? [],
    magicDns: asked.preferences?.magicDNS ?? before.magicDns,
  };
}

function configurationJson({ resolvers, split, searchDomains, magicDns }: DnsSettings) {
  const servers = (list: readonly string[]) => list.map((address) => ({ address, useWithExitNode: false }));
  return {
    nameservers: servers(resolvers),
    splitDNS: Object.fromEntries(Object.entries(split).map(([domain, list]) => [domain, servers(list)])),
    searchPaths: searchDomains,
    preferences: { overrideLocalDNS: resolvers.length > 0, magicDNS: magicDns },
  };
}
