/** The viewer's passkeys and presence, and whether the server was claimed. */
import { useQuery } from '@tanstack/react-query';
import { KeyRound } from 'lucide-react';
import { useState } from 'react';
import { useAccess } from '../../access.ts';
import { api, dataOf, type Item } from '../../api/client.ts';
import { statusQuery } from '../../api/queries.ts';
import { Relative, Time } from '../../format/index.ts';
import { useAction } from '../../presence/index.ts';
import { addPasskey, endPresence, supportsPasskeys } from '../../presence/passkey.ts';
import {
  Badge,
  Button,
  Card,
  ConfirmDialog,
  DataTable,
  Dialog,
  EmptyState,
  Notice,
  TextField,
} from '../../ui/index.ts';
import { passkeysQuery } from './queries.ts';

type Passkey = Item<'/api/v1/presence/passkeys'>;

export function PasskeysPart() {
  const { isPerson } = useAccess();
  const status = useQuery(statusQuery());
  return (
    <>
      {status.data?.claimed === false && (
        <Notice tone="warn">
          <strong>Nobody has claimed this server.</strong> The server printed a claim link on its terminal:
          whoever opens it becomes the first admin, and it works once. A new one: stop the server, run{' '}
          <code>postern admin reset</code>, and start it again.
        </Notice>
      )}
      <PresenceCard />
      {isPerson ? (
        <PasskeysCard />
      ) : (
        <Card title="Passkeys">
          <EmptyState title="Passkeys belong to people" icon={KeyRound}>
            You are here as a program. Open this page as a person, in a browser on a device of yours.
          </EmptyState>
        </Card>
      )}
    </>
  );
}

function PresenceCard() {
  const { me } = useAccess();
  const end = useAction({
    run: endPresence,
    done: 'Your presence is ended, in every browser and command line.',
    changes: ['whoami'],
  });
  const until = me.presence_until;
  return (
    <Card
      title="Presence"
      hint="Programs on your devices share your identity. What changes the server, or reads what others wrote, asks for you in person."
    >
      <div className="row">
        {until === null ? (
          <p>You are not present now. You are asked when something needs you.</p>
        ) : (
          <>
            <p>
              <Badge tone="good">present</Badge> until <Time at={until} />
            </p>
            <Button small busy={end.isBusy} onPress={() => end.start()}>
              End it everywhere
            </Button>
          </>
        )}
      </div>
    </Card>
  );
}

function PasskeysCard() {
  const passkeys = useQuery(passkeysQuery());
  const [name, setName] = useState<string | null>(null);
  const [target, setTarget] = useState<Passkey | null>(null);
  const add = useAction({
    run: (given: string) => addPasskey(given),
    done: 'The passkey is added.',
    changes: ['passkeys', 'audit'],
    onDone: () => setName(null),
  });
  const remove = useAction({
    run: ({ id }: Passkey) =>
      dataOf(api.DELETE('/api/v1/presence/passkeys/{id}', { params: { path: { id } } })),
    done: 'The passkey is removed.',
    changes: ['passkeys', 'audit'],
    onDone: () => setTarget(null),
  });
  return (
    <Card
      title="Passkeys"
      hint="The quick way to show presence: a fingerprint, a face, or a security key."
      actions={
        <Button small kind="primary" isDisabled={!supportsPasskeys()} onPress={() => setName('')}>
          Add a passkey
        </Button>
      }
      flush
    >
      {!supportsPasskeys() && (
        <Notice>
          Passkeys belong to the name of the server, over HTTPS or at localhost: open this page there to add
          one.
        </Notice>
      )}
      <DataTable
        label="Passkeys"
        rows={passkeys.data?.items}
        rowId={({ id }) => id}
        error={passkeys.error}
        retry={() => void passkeys.refetch()}
        empty={
          <EmptyState title="No passkey yet" icon={KeyRound}>
            Without one, you show presence by a code that the server prints on its terminal.
          </EmptyState>
        }
        columns={[
          { id: 'name', head: 'Name', priority: 1, cell: (passkey) => passkey.name },
          { id: 'added', head: 'Added', cell: (passkey) => <Time at={passkey.created_at} /> },
          {
            id: 'used',
            head: 'Last used',
            cell: ({ last_used_at: at }) =>
              at === null ? <span className="soft">never</span> : <Relative at={at} />,
          },
          {
            id: 'actions',
            head: <span className="visually-hidden">Actions</span>,
            priority: 1,
            cell: (passkey) => (
              <Button
                small
                kind="danger"
                onPress={() => setTarget(passkey)}
                aria-label={`Remove ${passkey.name}`}
              >
                Remove
              </Button>
            ),
          },
        ]}
      />
      {name !== null && (
        <Dialog
          title="Add a passkey"
          isOpen
          onClose={() => setName(null)}
          footer={
            <>
              <Button onPress={() => setName(null)}>Cancel</Button>
              <Button
                kind="primary"
                busy={add.isBusy}
                isDisabled={name.trim() === ''}
                onPress={() => add.start(name.trim())}
              >
                Add it
              </Button>
            </>
          }
        >
          <TextField
            label="Name"
            value={name}
            onChange={setName}
            maxLength={80}
            placeholder="my laptop"
            hint="So that you know it again."
            autoFocus
          />
        </Dialog>
      )}
      {target !== null && (
        <ConfirmDialog
          title="Remove the passkey?"
          isOpen
          onClose={() => setTarget(null)}
          onConfirm={() => remove.start(target)}
          confirm="Remove the passkey"
          busy={remove.isBusy}
        >
          <p>
            <strong className="stranger">{target.name}</strong> no longer shows your presence here. Remove it
            in the device's own settings too.
          </p>
        </ConfirmDialog>
      )}
    </Card>
  );
}
