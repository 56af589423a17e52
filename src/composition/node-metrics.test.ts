/** The nodes of this process in /metrics. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeStatus } from '../tailnet/node/index.ts';
import { renderNodes } from './node-metrics.ts';

test('every counter of a node is told with its network and its path; nothing where no node is', () => {
  assert.equal(renderNodes({ own: null, joined: null }), '');
  const status: unknown = {
    state: 'running',
    peers: [
      { path: 'direct', receivedBytes: 5, sentBytes: 7 },
      { path: null, receivedBytes: 1, sentBytes: 0 },
    ],
    wireguard: { dataSent: 3, dropped: { forged_source: 2 } },
    netstack: { drops: { badSource: 4 } },
    control: { counters: { filtered: { denied: 9 }, connectionsCut: 1 } },
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the parts that are read
  const text = renderNodes({ own: null, joined: status as NodeStatus });
  for (const line of [
    'postern_node_up{network="joined"} 1',
    'postern_node_peers{network="joined",path="direct"} 1',
    'postern_node_peers{network="joined",path="relay"} 0',
    'postern_node_peers{network="joined",path="idle"} 1',
    'postern_node_peer_bytes{network="joined",direction="in"} 6',
    'postern_node_events_total{network="joined",part="wireguard",event="data_sent"} 3',
    'postern_node_events_total{network="joined",part="wireguard",event="dropped.forged_source"} 2',
    'postern_node_events_total{network="joined",part="netstack",event="drops.bad_source"} 4',
    'postern_node_events_total{network="joined",part="control",event="filtered.denied"} 9',
    'postern_node_events_total{network="joined",part="control",event="connections_cut"} 1',
  ])
    assert.ok(text.includes(`${line}\n`), `${line} in\n${text}`);
});
