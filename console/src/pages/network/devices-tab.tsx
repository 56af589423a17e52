/** Devices of a tailnet: found, opened, and what an admin does with one. */
import { useQuery } from '@tanstack/react-query';
import { MonitorSmartphone } from 'lucide-react';
import { useSearchParams } from 'react-router';
import { useAccess } from '../../access.ts';
import { counted, Relative } from '../../format/index.ts';
import {
  Button,
  Card,
  type Column,
  DataTable,
  EmptyState,
  Pager,
  Select,
  TextField,
  Toolbar,
} from '../../ui/index.ts';
import { choiceParam, countParam, textParam, useUrlState } from '../../url-state.ts';
import { DeviceStandingBadge } from './device-standing.tsx';
import { type Tailnet, type TailnetDevice, tailnetDevicesQuery } from './network-queries.ts';
import { openRoutes, standingOf } from './network-texts.ts';
import { TailnetDeviceDrawer } from './tailnet-device-drawer.tsx';

const PAGE_SIZE = 50;
const STATES = [
  { id: 'all', label: 'All' },
  { id: 'online', label: 'Online' },
  { id: 'away', label: 'Away' },
  { id: 'waiting', label: 'Waiting for approval' },
  { id: 'expired', label: 'Key expired' },
  { id: 'routes', label: 'Routes to approve' },
] as const;
type State = (typeof STATES)[number]['id'];

const COLUMNS: readonly Column<TailnetDevice>[] = [
  { id: 'name', head: 'Name', priority: 1, cell: ({ name }) => <span className="stranger">{name}</span> },
  { id: 'state', head: 'State', cell: (device) => <DeviceStandingBadge device={device} /> },
  { id: 'address', head: 'Address', cell: ({ addresses }) => addresses[0] ?? '' },
  {
    id: 'owner',
    head: 'Of',
    cell: ({ user, tags }) => (
      <span className="stranger">{tags.length > 0 ? tags.join(', ') : (user ?? 'nobody')}</span>
    ),
  },
  {
    id: 'version',
    head: 'Client',
    priority: 3,
    cell: ({ os, version }) => <span className="stranger">{[os, version.split('-')[0]].join(' ')}</span>,
  },
  {
    id: 'expiry',
    head: 'Key ends',
    cell: ({ key_expires_at: at }) =>
      at === null ? <span className="soft">never</span> : <Relative at={at} />,
  },
  {
    id: 'seen',
    head: 'Last seen',
    cell: ({ online, last_seen_at: at }) => (online ? 'now' : <Relative at={at} />),
  },
];

export function DevicesTab({ tailnet, onJoin }: { readonly tailnet: Tailnet; readonly onJoin: () => void }) {
  const { isAdmin } = useAccess();
  const list = useQuery(tailnetDevicesQuery(tailnet.name));
  const [state, setState] = useUrlState({
    q: textParam(),
    state: choiceParam(
      STATES.map(({ id }) => id),
      'all',
    ),
    device: textParam(),
    skip: countParam(0),
  });
  const [search] = useSearchParams();
  const hrefOf = (id: string): string => {
    const next = new URLSearchParams(search);
    next.set('device', id);
    return `/network?${next}`;
  };
  const items = list.data?.items;
  const rows = items?.filter((device) => fits(device, state.state, state.q));
  const opened = items?.find(({ id }) => id === state.device);
  const isLast = rows === undefined || state.skip + PAGE_SIZE >= rows.length;
  return (
    <Card title={null} label="Devices" flush>
      {(items?.length ?? 0) > 0 && (
        <div className="network-filters">
          <Toolbar label="Filters">
            <Select
              small
              label="State"
              options={STATES}
              value={state.state}
              onChange={(next) => setState({ state: next, skip: 0 })}
            />
            <TextField
              small
              label="Find"
              type="search"
              value={state.q ?? ''}
              onChange={(q) => setState({ q: q === '' ? null : q, skip: 0 }, { replace: true })}
              placeholder="Name, address, person or tag"
            />
          </Toolbar>
        </div>
      )}
      <DataTable
        label="Devices"
        rows={rows?.slice(state.skip, state.skip + PAGE_SIZE)}
        rowId={({ id }) => id}
        rowHref={({ id }) => hrefOf(id)}
        error={list.error}
        retry={() => void list.refetch()}
        columns={COLUMNS}
        empty={
          items?.length === 0 ? (
            <EmptyState
              title="No device yet"
              icon={MonitorSmartphone}
              action={
                isAdmin && (
                  <Button kind="primary" onPress={onJoin}>
                    Add the first device
                  </Button>
                )
              }
            >
              {isAdmin
                ? 'One line on a laptop or server with the official Tailscale client, and it is here.'
                : 'An admin adds them here.'}
            </EmptyState>
          ) : (
            <EmptyState title="No device fits">Show all, or look for something else.</EmptyState>
          )
        }
      />
      <Pager
        cursor={state.skip === 0 ? null : String(state.skip)}
        nextCursor={isLast ? null : String(state.skip + PAGE_SIZE)}
        onCursor={(cursor) => setState({ skip: Number(cursor ?? 0) })}
        {...(rows === undefined || rows.length === 0 ? {} : { shown: counted(rows.length, 'device') })}
      />
      {opened !== undefined && (
        <TailnetDeviceDrawer
          key={opened.id}
          tailnet={tailnet}
          device={opened}
          onClose={() => setState({ device: null })}
        />
      )}
    </Card>
  );
}

function fits(device: TailnetDevice, state: State, q: string | null): boolean {
  if (state === 'routes') {
    if (openRoutes(device).length === 0) return false;
  } else if (state !== 'all' && standingOf(device) !== state) return false;
  const { name, hostname, addresses, user, tags, os } = device;
  const text = [name, hostname, ...addresses, user ?? '', ...tags, os].join('\n').toLowerCase();
  return q === null || text.includes(q.trim().toLowerCase());
}
