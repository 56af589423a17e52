/** Which device carries which prefix: approved and offered, and of several that are online the oldest. */
import type { NodeRecord } from './records.ts';

const EXIT_ROUTES: ReadonlySet<string> = new Set(['0.0.0.0/0', '::/0']);

export function isExitRoute(route: string): boolean {
  return EXIT_ROUTES.has(route);
}

/** Prefixes that the device may carry now. */
export function carriedRoutes({
  approvedRoutes,
  facts,
}: Pick<NodeRecord, 'approvedRoutes' | 'facts'>): readonly string[] {
  if (approvedRoutes.length === 0 || facts.offeredRoutes.length === 0) return NONE;
  const offered = new Set(facts.offeredRoutes);
  return approvedRoutes.filter((route) => offered.has(route));
}

const NONE: readonly string[] = [];

/** Prefix to the one device that carries it; exit routes are left out, for a device chooses its exit itself. */
export function electCarriers(
  nodes: Iterable<NodeRecord>,
  isOnline: (node: NodeRecord) => boolean,
): ReadonlyMap<string, number> {
  const carriers = new Map<string, NodeRecord>();
  for (const node of nodes) {
    if (!node.isAuthorized) continue;
    for (const route of carriedRoutes(node)) {
      if (isExitRoute(route)) continue;
      const rival = carriers.get(route);
      if (rival === undefined || isBetter(node, rival, isOnline)) carriers.set(route, node);
    }
  }
  return new Map([...carriers].map(([route, { id }]) => [route, id]));
}

function isBetter(node: NodeRecord, rival: NodeRecord, isOnline: (node: NodeRecord) => boolean): boolean {
  const [online, rivalOnline] = [isOnline(node), isOnline(rival)];
  return online === rivalOnline ? node.id < rival.id : online;
}
