/** Words of the map. */
import { counted } from '../../format/index.ts';
import type { NetworkMap } from './network-queries.ts';
import { namesText } from './network-texts.ts';

export type ReachGroup = NetworkMap['groups'][number];
export type ReachLink = NetworkMap['links'][number];

/** What an end is called: people by login, machines by tags. */
export function labelOf({ kind, names }: ReachGroup): string {
  if (kind === 'nobody') return 'devices of nobody';
  return kind === 'people' && names.length > 3 ? counted(names.length, 'person', 'people') : namesText(names);
}

/** `everything`, or ports. */
export function trafficText({ traffic }: ReachLink): string {
  if (traffic.length === 0) return 'only what is behind it';
  return traffic.includes('*') ? 'everything' : traffic.join(', ');
}
