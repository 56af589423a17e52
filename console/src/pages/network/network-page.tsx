/** The networks that Postern coordinates itself (DESIGN section 4): tailnets, their devices, people, keys and policy. */
import { useQuery } from '@tanstack/react-query';
import { Network as NetworkIcon } from 'lucide-react';
import { useState } from 'react';
import { useAccess } from '../../access.ts';
import { counted } from '../../format/index.ts';
import {
  Badge,
  Button,
  Card,
  CodeBlock,
  EmptyState,
  Loaded,
  Notice,
  Page,
  Select,
  Tabs,
  Toolbar,
} from '../../ui/index.ts';
import { choiceParam, textParam, useUrlState } from '../../url-state.ts';
import { CreateTailnetDialog } from './create-tailnet-dialog.tsx';
import { DevicesTab } from './devices-tab.tsx';
import { DnsTab } from './dns-tab.tsx';
import { JoinDialog } from './join-dialog.tsx';
import { KeysTab } from './keys-tab.tsx';
import { MapTab } from './map-tab.tsx';
import { type Tailnet, tailnetsQuery } from './network-queries.ts';
import { PolicyTab } from './policy-tab.tsx';
import { SettingsTab } from './settings-tab.tsx';
import { UsersTab } from './users-tab.tsx';
import { WaitingCard } from './waiting-card.tsx';
import './network.css';

const TABS = [
  { id: 'devices', label: 'Devices' },
  { id: 'map', label: 'Map' },
  { id: 'policy', label: 'Policy' },
  { id: 'keys', label: 'Keys' },
  { id: 'users', label: 'Users' },
  { id: 'dns', label: 'DNS' },
  { id: 'settings', label: 'Settings' },
] as const;
type Tab = (typeof TABS)[number]['id'];

export function NetworkPage() {
  return useAccess().seesAll ? <Networks /> : <NotForYou />;
}

function NotForYou() {
  return (
    <Page title="Network">
      <Card title={null} label="Network">
        <EmptyState title="For auditors and admins" icon={NetworkIcon}>
          Who is in the networks of this Postern is shown to those who look after it. To join with a device of
          yours, ask an admin for a line to type.
        </EmptyState>
      </Card>
    </Page>
  );
}

function Networks() {
  const { isAdmin } = useAccess();
  const list = useQuery(tailnetsQuery());
  const [{ tailnet: chosen, tab }, setState] = useUrlState({
    tailnet: textParam(),
    tab: choiceParam(
      TABS.map(({ id }) => id),
      'devices',
    ),
    q: textParam(),
    device: textParam(),
  });
  const [isCreating, setCreating] = useState(false);
  const [isJoining, setJoining] = useState(false);
  const tailnets = list.data?.items ?? [];
  const tailnet = tailnets.find(({ name }) => name === chosen) ?? tailnets[0];
  const open = (name: string): void => setState({ tailnet: name, q: null, device: null });
  return (
    <Page
      title="Network"
      lead="Private networks that Postern coordinates itself, joined by the official Tailscale client."
      actions={
        isAdmin &&
        list.data !== undefined &&
        list.data.login_server !== null && (
          <>
            <Button onPress={() => setCreating(true)}>Create a tailnet</Button>
            {tailnet !== undefined && (
              <Button kind="primary" onPress={() => setJoining(true)}>
                Add a device
              </Button>
            )}
          </>
        )
      }
    >
      <Loaded query={list} what="The networks could not be loaded" lines={8}>
        {({ login_server: server }) =>
          server === null || tailnet === undefined ? (
            <NothingYet />
          ) : (
            <>
              <NotOpen server={server} />
              <WaitingCard tailnets={tailnets} tailnet={tailnet} />
              <TailnetBar tailnets={tailnets} tailnet={tailnet} onOpen={open} />
              <Tabs
                label="Parts of the tailnet"
                tabs={TABS}
                value={tab}
                onChange={(id) => setState({ tab: id, q: null, device: null })}
              >
                <Part key={tailnet.id} tab={tab} tailnet={tailnet} onJoin={() => setJoining(true)} />
              </Tabs>
            </>
          )
        }
      </Loaded>
      {isCreating && <CreateTailnetDialog onClose={() => setCreating(false)} onMade={open} />}
      {isJoining && tailnet !== undefined && (
        <JoinDialog tailnet={tailnet} onClose={() => setJoining(false)} />
      )}
    </Page>
  );
}

function Part({
  tab,
  tailnet,
  onJoin,
}: {
  readonly tab: Tab;
  readonly tailnet: Tailnet;
  readonly onJoin: () => void;
}) {
  if (tab === 'devices') return <DevicesTab tailnet={tailnet} onJoin={onJoin} />;
  const Shown = PARTS[tab];
  return <Shown tailnet={tailnet} />;
}

const PARTS = {
  map: MapTab,
  policy: PolicyTab,
  keys: KeysTab,
  users: UsersTab,
  dns: DnsTab,
  settings: SettingsTab,
} as const;

function TailnetBar({
  tailnets,
  tailnet,
  onOpen,
}: {
  readonly tailnets: readonly Tailnet[];
  readonly tailnet: Tailnet;
  readonly onOpen: (name: string) => void;
}) {
  return (
    <Toolbar label="Tailnet">
      <Select
        label="Tailnet"
        options={tailnets.map(({ name, kind, devices }) => ({
          id: name,
          label: name,
          hint: `of ${kind}, ${counted(devices, 'device')}`,
        }))}
        value={tailnet.name}
        onChange={onOpen}
      />
      <p className="network-facts soft">
        <Badge>{tailnet.kind === 'people' ? 'of people' : 'of machines'}</Badge>{' '}
        {counted(tailnet.devices, 'device')}, {tailnet.online} online; their names end in{' '}
        <code className="stranger">{tailnet.domain}</code>
      </p>
    </Toolbar>
  );
}

/** Loopback addresses are reached by nobody else: says what opens the network. */
function NotOpen({ server }: { readonly server: string }) {
  const host = URL.canParse(server) ? new URL(server).hostname : '';
  if (!/^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(host)) return null;
  return (
    <Notice>
      Only this machine can join yet. The operator opens the network to other devices when the server starts:{' '}
      <code>postern serve --lan</code>, or <code>--public-url</code> for a name that is reached from anywhere.
    </Notice>
  );
}

function NothingYet() {
  return (
    <Card title={null} label="Network">
      <EmptyState title="No network yet" icon={NetworkIcon}>
        <p>
          Postern can carry a private network of its own, without an account anywhere: devices join with the
          official Tailscale client. The operator opens it when the server starts:
        </p>
      </EmptyState>
      <CodeBlock title="On the server" text="postern serve --lan" />
    </Card>
  );
}
