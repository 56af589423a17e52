/** Settings of a tailnet, and its end. */
import { useState } from 'react';
import { useAccess } from '../../access.ts';
import { api, dataOf } from '../../api/client.ts';
import { counted, Time } from '../../format/index.ts';
import { useAction } from '../../presence/index.ts';
import { Button, Card, Checkbox, Dialog, Facts, TextField } from '../../ui/index.ts';
import type { Tailnet } from './network-queries.ts';

/** Ten years, as the server has it. */
const DAYS_MAX = 3_650;

export function SettingsTab({ tailnet }: { readonly tailnet: Tailnet }) {
  const { isAdmin } = useAccess();
  const [isDeleting, setDeleting] = useState(false);
  return (
    <>
      {isAdmin ? (
        <Settings key={`${tailnet.key_expiry_days} ${tailnet.device_approval}`} tailnet={tailnet} />
      ) : (
        <Card title="Settings">
          <Facts
            facts={[
              ['People sign in again', daysText(tailnet.key_expiry_days)],
              ['New devices', tailnet.device_approval ? 'wait for an admin' : 'are in at once'],
              ['Made', <Time key="made" at={tailnet.created_at} />],
            ]}
          />
        </Card>
      )}
      {isAdmin && (
        <Card
          title="Delete the tailnet"
          hint="With its devices, users, keys and policy. It cannot be undone."
        >
          <Button kind="danger" onPress={() => setDeleting(true)}>
            Delete {tailnet.name} …
          </Button>
        </Card>
      )}
      {isDeleting && <DeleteDialog tailnet={tailnet} onClose={() => setDeleting(false)} />}
    </>
  );
}

function daysText(days: number): string {
  return days === 0 ? 'never' : `after ${counted(days, 'day')}`;
}

function Settings({ tailnet }: { readonly tailnet: Tailnet }) {
  const [days, setDays] = useState(String(tailnet.key_expiry_days));
  const [approval, setApproval] = useState(tailnet.device_approval);
  const save = useAction({
    run: () =>
      dataOf(
        api.PATCH('/api/v1/tailnets/{tailnet}', {
          params: { path: { tailnet: tailnet.name } },
          body: { key_expiry_days: Number(days), device_approval: approval },
        }),
      ),
    done: 'The settings are saved.',
    changes: ['tailnets', 'audit'],
  });
  const isDays = /^\d{1,4}$/.test(days) && Number(days) <= DAYS_MAX;
  const isChanged = Number(days) !== tailnet.key_expiry_days || approval !== tailnet.device_approval;
  return (
    <Card title="Settings">
      <div className="stack network-form">
        <TextField
          label="Days until a person’s device signs in again"
          type="number"
          value={days}
          onChange={setDays}
          maxLength={4}
          error={isDays ? null : `0 (never) to ${DAYS_MAX} days.`}
          hint="0: never. For devices that join from now on; those with tags never expire."
        />
        <Checkbox
          label="A new device waits for an admin, unless its key was approved beforehand"
          checked={approval}
          onChange={setApproval}
        />
        <Button
          kind="primary"
          busy={save.isBusy}
          isDisabled={!isDays || !isChanged}
          onPress={() => save.start()}
        >
          Save the settings
        </Button>
      </div>
    </Card>
  );
}

function DeleteDialog({ tailnet, onClose }: { readonly tailnet: Tailnet; readonly onClose: () => void }) {
  const [typed, setTyped] = useState('');
  const remove = useAction({
    run: () =>
      dataOf(api.DELETE('/api/v1/tailnets/{tailnet}', { params: { path: { tailnet: tailnet.name } } })),
    done: `${tailnet.name} is deleted.`,
    changes: ['tailnets', 'audit'],
    onDone: onClose,
  });
  const isSure = typed === tailnet.name;
  return (
    <Dialog
      title={`Delete ${tailnet.name}?`}
      isOpen
      onClose={onClose}
      footer={
        <>
          <Button onPress={onClose}>Cancel</Button>
          <Button kind="danger" busy={remove.isBusy} isDisabled={!isSure} onPress={() => remove.start()}>
            Delete the tailnet
          </Button>
        </>
      }
    >
      <p>
        {counted(tailnet.devices, 'device')} ({tailnet.online} online) are cut at once, and{' '}
        {counted(tailnet.users, 'user')}, all keys and the policy are gone. Records and the audit log stay.
      </p>
      <TextField
        label={`Type ${tailnet.name} to go on`}
        value={typed}
        onChange={setTyped}
        maxLength={63}
        autoFocus
      />
    </Dialog>
  );
}
