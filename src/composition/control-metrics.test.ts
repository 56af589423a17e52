/** The coordination server in /metrics. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyOf, openCoordinatorBed } from '../tailnet/control/coordinator-bed.fixture.ts';
import { createRelayCounters } from '../tailnet/derp/server/relay-counters.ts';
import { countControl, renderControl } from './control-metrics.ts';

test('devices, streams, refusals and what the relay dropped are told as totals, without a name of anybody', async () => {
  const bed = await openCoordinatorBed();
  const home = await bed.add('secretive');
  const authKey = await bed.key(home, { isReusable: true });
  const node = bed.join(keyOf('m1'), { nodeKey: keyOf('n1'), authKey });
  bed.join(keyOf('m2'), { nodeKey: keyOf('n2'), authKey });
  await bed.add('reticent');
  home.setOnline(node.id, true, bed.coordinator.now());
  const relay = { ...createRelayCounters(), clients: 6, queuedBytes: 7, droppedForeign: 8 };
  const control = { connections: 3, streams: 4, refused: 5 };
  const text = renderControl(countControl(bed.coordinator, control, relay));
  for (const line of [
    'postern_control_tailnets 2',
    'postern_control_devices 2',
    'postern_control_devices_online 1',
    'postern_control_connections 3',
    'postern_control_map_streams 4',
    'postern_control_handshakes_refused_total 5',
    'postern_control_relay_clients 6',
    'postern_control_relay_queued_bytes 7',
    'postern_control_relay_events_total{event="dropped_foreign"} 8',
  ])
    assert.ok(text.includes(`${line}\n`), `${line} in\n${text}`);
  assert.ok(!text.includes('event="clients"'), 'a gauge is no event');
  assert.doesNotMatch(text, /secretive|reticent|box|undefined|NaN/);
});
