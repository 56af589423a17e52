/** Devices of Postern's own network (DESIGN section 5, door `node`): who may come in by WireGuard. */
import { useQuery } from '@tanstack/react-query';
import { MonitorSmartphone } from 'lucide-react';
import { useState } from 'react';
import { Link, useSearchParams } from 'react-router';
import { useAccess } from '../../access.ts';
import { bytes, counted, Relative } from '../../format/index.ts';
import { choiceParam, countParam, textParam, useUrlState } from '../../url-state.ts';
import {
  Button,
  Card,
  CodeBlock,
  type Column,
  DataTable,
  EmptyState,
  Page,
  Pager,
  Select,
  TextField,
  Toolbar,
} from '../../ui/index.ts';
import { AddDeviceDialog } from './add-device-dialog.tsx';
import { DeviceDrawer } from './device-drawer.tsx';
import { DeviceState } from './device-state.tsx';
import { type Device, devicesQuery } from './devices-queries.ts';
import './devices.css';
import { RemoveDeviceDialog } from './remove-device-dialog.tsx';

const PAGE_SIZE = 50;
const STATES = [
  { id: 'all', label: 'All' },
  { id: 'online', label: 'Online' },
  { id: 'away', label: 'Not online' },
] as const;
type State = (typeof STATES)[number]['id'];

export function DevicesPage() {
  return useAccess().seesAll ? <Devices /> : <NotForYou />;
}

function NotForYou() {
  return (
    <Page title="Devices">
      <Card title={null} label="Devices">
        <EmptyState title="For auditors and admins" icon={MonitorSmartphone}>
          Which devices may come in is shown to those who look after this server. To add yours, ask an admin.
        </EmptyState>
      </Card>
    </Page>
  );
}

function Devices() {
  const { isAdmin } = useAccess();
  const list = useQuery(devicesQuery());
  const [state, setState] = useUrlState({
    q: textParam(),
    state: choiceParam(['all', 'online', 'away'], 'all'),
    device: textParam(),
    skip: countParam(0),
  });
  const [search] = useSearchParams();
  const hrefOf = (id: string): string => {
    const next = new URLSearchParams(search);
    next.set('device', id);
    return `/devices?${next}`;
  };
  const [isAdding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<Device | null>(null);
  const isOn = list.data?.enabled ?? false;
  const opened = list.data?.items.find(({ id }) => id === state.device);
  const rows = list.data?.items.filter((device) => fits(device, state.state, state.q));
  const isLast = rows === undefined || state.skip + PAGE_SIZE >= rows.length;
  const add = isAdmin && isOn && (
    <Button kind="primary" onPress={() => setAdding(true)}>
      Add a device
    </Button>
  );
  return (
    <Page
      title="Devices"
      lead="Phones, laptops and servers that reach Postern through its own WireGuard network, without a token or a login."
      actions={add}
    >
      {list.data?.enabled === false ? (
        <TurnedOff />
      ) : (
        <Card title={null} label="Devices" flush>
          {(list.data?.items.length ?? 0) > 0 && (
            <div className="devices-filters">
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
                  placeholder="Name, address or key"
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
            columns={isAdmin ? [...COLUMNS, removeColumn(setRemoving)] : COLUMNS}
            empty={
              list.data?.items.length === 0 ? (
                <EmptyState title="No device yet" icon={MonitorSmartphone}>
                  {isAdmin
                    ? 'Add one: its configuration is shown as a QR code for the WireGuard app of a phone, and as a file for a computer.'
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
        </Card>
      )}
      {isAdding && <AddDeviceDialog onClose={() => setAdding(false)} />}
      {opened !== undefined && removing === null && (
        <DeviceDrawer
          device={opened}
          onRemove={isAdmin ? () => setRemoving(opened) : null}
          onClose={() => setState({ device: null })}
        />
      )}
      {removing !== null && (
        <RemoveDeviceDialog
          device={removing}
          onClose={() => setRemoving(null)}
          onDone={() => {
            setRemoving(null);
            setState({ device: null });
          }}
        />
      )}
    </Page>
  );
}

function TurnedOff() {
  return (
    <Card title={null} label="Devices">
      <EmptyState title="This network is off" icon={MonitorSmartphone}>
        <p>
          Postern can be a WireGuard server of its own, so that a phone or a laptop reaches it from anywhere.
          The operator turns it on when the server starts, and lets the UDP port through the firewall:
        </p>
      </EmptyState>
      <div className="stack">
        <CodeBlock title="On the server" text="postern serve --node --node-endpoint ai.example.net" />
        <p className="soft">
          The name is the one under which devices reach the machine. Devices of a tailnet need none of this:{' '}
          <Link to="/">they connect as they are</Link>.
        </p>
      </div>
    </Card>
  );
}

function fits(device: Device, state: State, q: string | null): boolean {
  if (state !== 'all' && device.online !== (state === 'online')) return false;
  const { name, public_key: key, addresses, endpoint } = device;
  const text = [name, key, ...addresses, endpoint ?? '', device.principal].join('\n').toLowerCase();
  return q === null || text.includes(q.trim().toLowerCase());
}

const COLUMNS: readonly Column<Device>[] = [
  { id: 'name', head: 'Name', priority: 1, cell: ({ name }) => name },
  { id: 'state', head: 'State', cell: (device) => <DeviceState device={device} /> },
  { id: 'address', head: 'Address', cell: ({ addresses }) => addresses[0] ?? '' },
  {
    id: 'heard',
    head: 'Last heard',
    cell: ({ last_handshake_at: at }) =>
      at === null ? <span className="soft">never</span> : <Relative at={at} />,
  },
  { id: 'from', head: 'From', priority: 3, cell: ({ endpoint }) => endpoint },
  {
    id: 'traffic',
    head: 'In / out',
    isNumber: true,
    cell: ({ received_bytes: received, sent_bytes: sent }) => `${bytes(received)} / ${bytes(sent)}`,
  },
  { id: 'added', head: 'Added', cell: ({ created_at: at }) => <Relative at={at} /> },
  { id: 'by', head: 'By', priority: 3, cell: ({ created_by: by }) => <span className="stranger">{by}</span> },
];

function removeColumn(onRemove: (device: Device) => void): Column<Device> {
  return {
    id: 'actions',
    head: <span className="visually-hidden">Actions</span>,
    priority: 1,
    cell: (device) => (
      <Button small kind="danger" onPress={() => onRemove(device)} aria-label={`Remove ${device.name}`}>
        Remove
      </Button>
    ),
  };
}
