/** Devices at which somebody signs in: they wait until an admin has compared the fingerprint and lets them in. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useAccess } from '../../access.ts';
import { api, dataOf } from '../../api/client.ts';
import { messageOf } from '../../api/problem.ts';
import { Relative } from '../../format/index.ts';
import { useAction } from '../../presence/index.ts';
import { Button, Card, ComboBox, Dialog, ErrorState, Facts, Notice, Select } from '../../ui/index.ts';
import {
  type Tailnet,
  tailnetUsersQuery,
  type WaitingDevice,
  waitingDevicesQuery,
} from './network-queries.ts';

/** More wait their turn below. */
const SHOWN_MAX = 20;

export function WaitingCard({
  tailnets,
  tailnet,
}: {
  readonly tailnets: readonly Tailnet[];
  /** The one that is looked at, and proposed. */
  readonly tailnet: Tailnet;
}) {
  const { isAdmin } = useAccess();
  const waiting = useQuery(waitingDevicesQuery());
  const [admitting, setAdmitting] = useState<WaitingDevice | null>(null);
  const refuse = useAction({
    run: ({ code }: WaitingDevice) =>
      dataOf(api.POST('/api/v1/waiting-devices/{code}/refuse', { params: { path: { code } } })),
    done: ({ hostname }) => `${hostname} is turned away.`,
    changes: ['tailnets', 'audit'],
  });
  const items = waiting.data?.items ?? [];
  if (waiting.error !== null && waiting.data === undefined)
    return (
      <ErrorState
        error={waiting.error}
        what="Which devices wait could not be loaded"
        retry={() => void waiting.refetch()}
      />
    );
  if (items.length === 0) return null;
  return (
    <Card
      title={items.length === 1 ? 'A device waits to be let in' : `${items.length} devices wait to be let in`}
      hint="Let in only what shows the same fingerprint at the device."
    >
      <ul className="network-waiting">
        {items.slice(0, SHOWN_MAX).map((device) => (
          <li key={device.code}>
            <div>
              <p className="stranger">
                <strong>{device.hostname === '' ? 'a device without a name' : device.hostname}</strong>{' '}
                <span className="soft">
                  {device.os}, <Relative at={device.since} />
                </span>
              </p>
              <p className="soft">
                Fingerprint <code>{device.fingerprint}</code>, code <code>{device.code}</code>
              </p>
            </div>
            {isAdmin && (
              <div className="actions">
                <Button
                  small
                  kind="danger"
                  busy={refuse.isBusy}
                  aria-label={`Turn away ${device.hostname}`}
                  onPress={() => refuse.start(device)}
                >
                  Turn away
                </Button>
                <Button
                  small
                  kind="primary"
                  aria-label={`Let in ${device.hostname}`}
                  onPress={() => setAdmitting(device)}
                >
                  Let in
                </Button>
              </div>
            )}
          </li>
        ))}
      </ul>
      {items.length > SHOWN_MAX && <p className="soft">and {items.length - SHOWN_MAX} more after these</p>}
      {admitting !== null && (
        <AdmitDialog
          device={admitting}
          tailnets={tailnets}
          tailnet={tailnet}
          onClose={() => setAdmitting(null)}
        />
      )}
    </Card>
  );
}

function AdmitDialog({
  device,
  tailnets,
  tailnet,
  onClose,
}: {
  readonly device: WaitingDevice;
  readonly tailnets: readonly Tailnet[];
  readonly tailnet: Tailnet;
  readonly onClose: () => void;
}) {
  const choices = tailnets.filter(({ kind }) => kind === 'people');
  const [into, setInto] = useState(tailnet.kind === 'people' ? tailnet.name : (choices[0]?.name ?? null));
  const [user, setUser] = useState<string | null>(null);
  const users = useQuery({ ...tailnetUsersQuery(into ?? ''), enabled: into !== null });
  const admit = useAction({
    run: () =>
      dataOf(
        api.POST('/api/v1/waiting-devices/{code}/approve', {
          params: { path: { code: device.code } },
          body: { tailnet: into ?? '', user },
        }),
      ),
    done: `${device.hostname} is let in.`,
    changes: ['tailnets', 'audit'],
    onDone: onClose,
    onFailure: () => true,
  });
  return (
    <Dialog
      title={`Let ${device.hostname} in?`}
      isOpen
      onClose={onClose}
      footer={
        <>
          <Button onPress={onClose}>Cancel</Button>
          <Button kind="primary" busy={admit.isBusy} isDisabled={into === null} onPress={() => admit.start()}>
            Let the device in
          </Button>
        </>
      }
    >
      {admit.error !== null && !admit.isBusy && <Notice tone="bad">{messageOf(admit.error)}</Notice>}
      <Facts
        facts={[
          ['Fingerprint', <code key="fingerprint">{device.fingerprint}</code>],
          ['System', device.os],
          ['Asks for tags', device.tags.length === 0 ? 'none' : device.tags.join(', ')],
        ]}
      />
      <p>
        The person at the device sees the same fingerprint on the page that its sign-in opened. If it differs,
        or nobody can say, turn it away.
      </p>
      <Select
        label="Into"
        options={choices.map(({ name }) => ({ id: name, label: name }))}
        value={into}
        onChange={(next) => {
          setInto(next);
          setUser(null);
        }}
      />
      <ComboBox
        label="As the device of"
        options={(users.data?.items ?? []).map(({ login }) => ({ id: login, label: login }))}
        value={user}
        onChange={setUser}
        placeholder="the tailnet’s owner"
        hint="Empty: the owner’s."
      />
    </Dialog>
  );
}
