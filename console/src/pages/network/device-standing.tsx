/** How a device of a tailnet stands, in a word or two. */
import { Badge } from '../../ui/index.ts';
import type { TailnetDevice } from './network-queries.ts';
import { openRoutes, standingOf } from './network-texts.ts';

const SHOWN = {
  online: { tone: 'good', text: 'online' },
  away: { tone: 'neutral', text: 'away' },
  waiting: { tone: 'warn', text: 'waits for approval' },
  expired: { tone: 'warn', text: 'key expired' },
} as const;

export function DeviceStandingBadge({ device }: { readonly device: TailnetDevice }) {
  const { tone, text } = SHOWN[standingOf(device)];
  return (
    <>
      <Badge tone={tone}>{text}</Badge>
      {openRoutes(device).length > 0 && (
        <>
          {' '}
          <Badge tone="warn">offers routes</Badge>
        </>
      )}
    </>
  );
}
