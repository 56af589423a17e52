/** The network nodes of this process, for /metrics: their state, their peers, and what was dropped and why. */
import { snakeCase } from '../api/snake-case.ts';
import type { NodeStatus } from '../tailnet/node/index.ts';

/** `own`: Postern's own network; `joined`: the one of `postern up`. Null where it is off. */
export type NodeStatuses = Readonly<Record<'own' | 'joined', NodeStatus | null>>;

type Row = readonly [labels: string, value: number];

/** Lines in Prometheus' text format; none where no node is on. */
export function renderNodes(statuses: NodeStatuses): string {
  const nodes = Object.entries(statuses).flatMap(([network, status]) =>
    status === null ? [] : [{ network, status }],
  );
  if (nodes.length === 0) return '';
  const rows = (of: (status: NodeStatus, network: string) => readonly Row[]): readonly Row[] =>
    nodes.flatMap(({ network, status }) => of(status, network));
  return [
    family(
      'postern_node_up',
      'gauge',
      'Whether traffic of the network flows.',
      rows((status, network) => [[`network="${network}"`, status.state === 'running' ? 1 : 0]]),
    ),
    family('postern_node_peers', 'gauge', 'Peers, by how packets travel now.', rows(peerRows)),
    family(
      'postern_node_peer_bytes',
      'gauge',
      'Bytes exchanged with the peers of now.',
      rows((status, network) => [
        [`network="${network}",direction="in"`, sum(status.peers.map((peer) => peer.receivedBytes))],
        [`network="${network}",direction="out"`, sum(status.peers.map((peer) => peer.sentBytes))],
      ]),
    ),
    family(
      'postern_node_events_total',
      'counter',
      'What the parts of the node did and dropped, and why.',
      rows((status, network) => [
        ...counterRows(network, 'wireguard', status.wireguard),
        ...counterRows(network, 'netstack', status.netstack),
        ...counterRows(network, 'control', status.control?.counters ?? null),
      ]),
    ),
  ].join('');
}

function peerRows({ peers }: NodeStatus, network: string): readonly Row[] {
  return (['direct', 'relay', 'idle'] as const).map((path) => [
    `network="${network}",path="${path}"`,
    peers.filter((peer) => (peer.path ?? 'idle') === path).length,
  ]);
}

/** Every number of a tree of counters, by its path: `dropped.forged_source`. */
function counterRows(network: string, part: string, counters: object | null): readonly Row[] {
  const walk = (value: unknown, path: string): readonly Row[] => {
    if (typeof value === 'number') return [[`network="${network}",part="${part}",event="${path}"`, value]];
    if (typeof value !== 'object' || value === null) return [];
    return Object.entries(value).flatMap(([name, inner]) =>
      walk(inner, path === '' ? name : `${path}.${name}`),
    );
  };
  return walk(snakeCase(counters), '');
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function family(name: string, type: 'gauge' | 'counter', help: string, rows: readonly Row[]): string {
  const lines = rows.map(([labels, value]) => `${name}{${labels}} ${value}\n`);
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}
