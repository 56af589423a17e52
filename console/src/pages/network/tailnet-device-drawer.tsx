/** One device of a tailnet in full, and everything that an admin does with it. */
import { useState } from 'react';
import { useAccess } from '../../access.ts';
import { api, dataOf } from '../../api/client.ts';
import { messageOf } from '../../api/problem.ts';
import { Relative, Time } from '../../format/index.ts';
import { useAction } from '../../presence/index.ts';
import {
  Badge,
  Button,
  Checkbox,
  ConfirmDialog,
  CopyButton,
  Drawer,
  Facts,
  Notice,
  TextField,
} from '../../ui/index.ts';
import { DeviceStandingBadge } from './device-standing.tsx';
import type { Tailnet, TailnetDevice } from './network-queries.ts';
import { inDays, justPassed, LABEL_MAX, labelProblem, readTags, standingOf } from './network-texts.ts';

interface Change {
  readonly body: {
    name?: string;
    tags?: string[];
    authorized?: boolean;
    approved_routes?: string[];
    key_expires_at?: string | null;
  };
  /** For the toast. */
  readonly done: string;
}

export function TailnetDeviceDrawer({
  tailnet,
  device,
  onClose,
}: {
  readonly tailnet: Tailnet;
  readonly device: TailnetDevice;
  readonly onClose: () => void;
}) {
  const { isAdmin } = useAccess();
  const [isRemoving, setRemoving] = useState(false);
  const change = useAction({
    run: ({ body }: Change) =>
      dataOf(
        api.PATCH('/api/v1/tailnets/{tailnet}/devices/{id}', {
          params: { path: { tailnet: tailnet.name, id: device.id } },
          body,
        }),
      ),
    done: (_, { done }) => done,
    changes: ['tailnets', 'audit'],
    onFailure: () => true,
  });
  return (
    <>
      <Drawer title={device.name} isOpen={!isRemoving} onClose={onClose}>
        <div className="device-drawer">
          {change.error !== null && !change.isBusy && <Notice tone="bad">{messageOf(change.error)}</Notice>}
          {isAdmin && <MainAction tailnet={tailnet} device={device} change={change} />}
          <Facts facts={factsOf(device)} />
          <Routes key={device.approved_routes.join()} device={device} change={change} />
          {isAdmin && (
            <>
              <Rename device={device} change={change} />
              <Tags key={device.tags.join()} device={device} change={change} />
              <Button kind="danger" onPress={() => setRemoving(true)}>
                Remove …
              </Button>
            </>
          )}
        </div>
      </Drawer>
      {isRemoving && (
        <RemoveDialog tailnet={tailnet} device={device} onClose={() => setRemoving(false)} onDone={onClose} />
      )}
    </>
  );
}

interface PartProps {
  readonly device: TailnetDevice;
  readonly change: { readonly start: (change: Change) => void; readonly isBusy: boolean };
}

/** What the state of the device asks for: to be approved, or its key. */
function MainAction({ tailnet, device, change }: PartProps & { readonly tailnet: Tailnet }) {
  const { name } = device;
  const standing = standingOf(device);
  if (standing === 'waiting')
    return (
      <Button
        kind="primary"
        busy={change.isBusy}
        onPress={() => change.start({ body: { authorized: true }, done: `${name} is approved.` })}
      >
        Approve the device
      </Button>
    );
  const days = tailnet.key_expiry_days;
  return (
    <div className="actions">
      {standing === 'expired' ? (
        <Button
          busy={change.isBusy}
          onPress={() =>
            change.start({
              body: { key_expires_at: days === 0 ? null : inDays(days) },
              done: `The key of ${name} holds again.`,
            })
          }
        >
          Renew its key
        </Button>
      ) : (
        <Button
          kind="danger"
          busy={change.isBusy}
          onPress={() =>
            change.start({
              body: { key_expires_at: justPassed() },
              done: `${name} has to sign in again.`,
            })
          }
        >
          Expire its key now
        </Button>
      )}
      {device.key_expires_at !== null && (
        <Button
          kind="quiet"
          busy={change.isBusy}
          onPress={() =>
            change.start({ body: { key_expires_at: null }, done: `The key of ${name} never ends.` })
          }
        >
          Let it never end
        </Button>
      )}
    </div>
  );
}

function factsOf(device: TailnetDevice): readonly (readonly [string, React.ReactNode])[] {
  const address = device.addresses[0] ?? '';
  return [
    ['State', <DeviceStandingBadge key="state" device={device} />],
    [
      'Name in the network',
      <span key="name" className="row">
        <code className="stranger">{device.dns_name}</code>
        <CopyButton iconOnly text={device.dns_name} label="Copy the name" />
      </span>,
    ],
    [
      'Addresses',
      <span key="addresses" className="row">
        <span>{device.addresses.join(', ')}</span>
        <CopyButton iconOnly text={address} label="Copy the address" />
      </span>,
    ],
    ['Of', device.tags.length > 0 ? device.tags.join(', ') : (device.user ?? 'nobody')],
    ['Calls itself', device.hostname],
    ['Client', `${device.os} ${device.version}`],
    [
      'Key ends',
      device.key_expires_at === null ? 'never' : <Relative key="expiry" at={device.key_expires_at} />,
    ],
    ['Last seen', device.online ? 'now' : <Relative key="seen" at={device.last_seen_at} />],
    ['Joined', <Time key="joined" at={device.created_at} />],
    ...(device.ephemeral ? [['Kind', <Badge key="kind">ephemeral</Badge>] as const] : []),
  ];
}

/** Subnets and exit routes that the device offers; approved ones are used by those whom the policy lets. */
function Routes({ device, change }: PartProps) {
  const { isAdmin } = useAccess();
  const all = [...new Set([...device.offered_routes, ...device.approved_routes])];
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set(device.approved_routes));
  if (all.length === 0) return null;
  const isChanged =
    chosen.size !== device.approved_routes.length || device.approved_routes.some((one) => !chosen.has(one));
  return (
    <fieldset className="network-fieldset">
      <legend>Routes through it</legend>
      {all.map((route) => (
        <Checkbox
          key={route}
          label={
            <span className="stranger">
              {route === '0.0.0.0/0' || route === '::/0' ? `${route} (exit node: the internet)` : route}
              {!device.offered_routes.includes(route) && <span className="soft"> not offered now</span>}
            </span>
          }
          checked={chosen.has(route)}
          isDisabled={!isAdmin}
          onChange={(checked) => {
            const next = new Set(chosen);
            if (checked) next.add(route);
            else next.delete(route);
            setChosen(next);
          }}
        />
      ))}
      {isAdmin && (
        <Button
          small
          busy={change.isBusy}
          isDisabled={!isChanged}
          onPress={() =>
            change.start({
              body: { approved_routes: [...chosen] },
              done: `Routes of ${device.name} are as you chose.`,
            })
          }
        >
          Save the routes
        </Button>
      )}
    </fieldset>
  );
}

function Rename({ device, change }: PartProps) {
  const [name, setName] = useState(device.name);
  const wrong = labelProblem(name);
  const isReady = name !== '' && wrong === null && name !== device.name;
  const save = (): void => {
    if (isReady && !change.isBusy) change.start({ body: { name }, done: `It is ${name} now.` });
  };
  return (
    <div className="network-field">
      <TextField
        label="Name"
        value={name}
        onChange={setName}
        onEnter={save}
        maxLength={LABEL_MAX}
        error={wrong}
      />
      <Button small busy={change.isBusy} isDisabled={!isReady} onPress={save}>
        Rename
      </Button>
    </div>
  );
}

function Tags({ device, change }: PartProps) {
  const [text, setText] = useState(device.tags.join(' '));
  const { tags, problem } = readTags(text);
  const isReady = problem === null && tags.length > 0 && tags.join() !== device.tags.join();
  return (
    <div className="network-field">
      <TextField
        label="Tags"
        value={text}
        onChange={setText}
        maxLength={500}
        error={problem}
        placeholder="tag:server"
        hint={device.user === null ? undefined : 'With tags it is no longer a device of this person.'}
      />
      <Button
        small
        busy={change.isBusy}
        isDisabled={!isReady}
        onPress={() => change.start({ body: { tags: [...tags] }, done: `${device.name} has its tags.` })}
      >
        Save the tags
      </Button>
    </div>
  );
}

function RemoveDialog({
  tailnet,
  device,
  onDone,
  onClose,
}: {
  readonly tailnet: Tailnet;
  readonly device: TailnetDevice;
  readonly onDone: () => void;
  readonly onClose: () => void;
}) {
  const remove = useAction({
    run: () =>
      dataOf(
        api.DELETE('/api/v1/tailnets/{tailnet}/devices/{id}', {
          params: { path: { tailnet: tailnet.name, id: device.id } },
        }),
      ),
    done: `${device.name} is removed.`,
    changes: ['tailnets', 'audit'],
    onDone,
  });
  return (
    <ConfirmDialog
      title={`Remove ${device.name}?`}
      isOpen
      onClose={onClose}
      onConfirm={() => remove.start()}
      confirm="Remove the device"
      busy={remove.isBusy}
    >
      <p>
        It leaves {tailnet.name} at once: the others no longer know it, and its connections by the relay end.
        To come back, it has to join anew.
      </p>
      <p className="soft">Its records stay.</p>
    </ConfirmDialog>
  );
}
