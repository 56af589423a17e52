/** Whether a device is there now, in a word. */
import { Badge } from '../../ui/index.ts';
import type { Device } from './devices-queries.ts';

export function DeviceState({ device }: { readonly device: Device }) {
  if (device.online) return <Badge tone="good">online</Badge>;
  return <Badge>{device.last_handshake_at === null ? 'not heard yet' : 'away'}</Badge>;
}
