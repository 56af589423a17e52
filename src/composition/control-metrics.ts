/** The coordination server and its relay in /metrics: totals of the process, never a name of a tailnet or device. */
import type { ControlCounters, Coordinator } from '../tailnet/control/index.ts';
import type { RelayCounters } from '../tailnet/derp/server/index.ts';

export interface ControlFigures {
  readonly tailnets: number;
  readonly devices: number;
  /** Of `devices`, those with a map stream, or that lost it a moment ago. */
  readonly onlineDevices: number;
  readonly control: ControlCounters;
  readonly relay: RelayCounters;
}

/** As the relay states them; the rest only grow. */
const RELAY_GAUGES: ReadonlySet<string> = new Set(['clients', 'keys', 'homes', 'loggingIn', 'queuedBytes']);

/** How things stand now; it looks at every device once. */
export function countControl(
  coordinator: Coordinator,
  control: ControlCounters,
  relay: RelayCounters,
): ControlFigures {
  const tailnets = coordinator.tailnets();
  let devices = 0;
  let onlineDevices = 0;
  for (const tailnet of tailnets) {
    for (const { id } of tailnet.nodes()) {
      devices += 1;
      if (tailnet.isOnline(id)) onlineDevices += 1;
    }
  }
  return { tailnets: tailnets.length, devices, onlineDevices, control, relay };
}

/** Lines in Prometheus' text format. */
export function renderControl({ tailnets, devices, onlineDevices, control, relay }: ControlFigures): string {
  const relayEvents = Object.entries(relay)
    .filter(([name]) => !RELAY_GAUGES.has(name))
    .map(([name, value]) => `postern_control_relay_events_total{event="${eventOf(name)}"} ${value}\n`);
  return [
    single('tailnets', 'gauge', 'Tailnets of this coordination server.', tailnets),
    single('devices', 'gauge', 'Devices of all tailnets.', devices),
    single('devices_online', 'gauge', 'Devices that others are told are online.', onlineDevices),
    single('connections', 'gauge', 'Encrypted connections of devices.', control.connections),
    single('map_streams', 'gauge', 'Devices that follow their network map.', control.streams),
    single(
      'handshakes_refused_total',
      'counter',
      'Handshakes that were none, or came when too many waited.',
      control.refused,
    ),
    single('relay_clients', 'gauge', 'Connections to the relay that have logged in.', relay.clients),
    single('relay_queued_bytes', 'gauge', 'Bytes that wait for clients of the relay.', relay.queuedBytes),
    header('relay_events_total', 'counter', 'What the relay did and dropped, and why.'),
    ...relayEvents,
  ].join('');
}

function eventOf(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function single(name: string, type: 'gauge' | 'counter', help: string, value: number): string {
  return `${header(name, type, help)}postern_control_${name} ${value}\n`;
}

function header(name: string, type: 'gauge' | 'counter', help: string): string {
  return `# HELP postern_control_${name} ${help}\n# TYPE postern_control_${name} ${type}\n`;
}
