/** Auth keys of a tailnet: made, shown once, revoked. */
import { useQuery } from '@tanstack/react-query';
import { KeyRound } from 'lucide-react';
import { useState } from 'react';
import { useAccess } from '../../access.ts';
import { api, dataOf } from '../../api/client.ts';
import { messageOf } from '../../api/problem.ts';
import { counted, Relative } from '../../format/index.ts';
import { useAction } from '../../presence/index.ts';
import {
  Badge,
  Button,
  Card,
  Checkbox,
  CodeBlock,
  type Column,
  ConfirmDialog,
  DataTable,
  Dialog,
  EmptyState,
  Notice,
  Pager,
  Select,
  TextField,
  type Tone,
} from '../../ui/index.ts';
import { countParam, useUrlState } from '../../url-state.ts';
import { type MadeKey, useNewKey } from './key-fields.ts';
import { type Tailnet, type TailnetKey, tailnetKeysQuery } from './network-queries.ts';
import { joinCommand, type KeyStanding, keyStandingOf, LIVES } from './network-texts.ts';
import { OwnerFields } from './owner-fields.tsx';

const PAGE_SIZE = 50;
const TONES = {
  usable: 'good',
  used: 'neutral',
  expired: 'neutral',
  revoked: 'bad',
} as const satisfies Record<KeyStanding, Tone>;

export function KeysTab({ tailnet }: { readonly tailnet: Tailnet }) {
  const { isAdmin } = useAccess();
  const keys = useQuery(tailnetKeysQuery(tailnet.name));
  const [{ skip }, setState] = useUrlState({ skip: countParam(0) });
  const [isMaking, setMaking] = useState(false);
  const [revoking, setRevoking] = useState<TailnetKey | null>(null);
  // Newest first: whoever made one looks for it at the top.
  const items = keys.data?.items.toReversed();
  return (
    <Card
      title="Auth keys"
      flush
      hint="With one, a device joins without anybody signing in. Its text is shown once."
      actions={isAdmin && <Button onPress={() => setMaking(true)}>Make a key</Button>}
    >
      <DataTable
        label="Auth keys"
        columns={isAdmin ? [...COLUMNS, revokeColumn(setRevoking)] : COLUMNS}
        rows={items?.slice(skip, skip + PAGE_SIZE)}
        rowId={({ id }) => id}
        error={keys.error}
        retry={() => void keys.refetch()}
        empty={
          <EmptyState title="No key yet" icon={KeyRound}>
            {isAdmin ? 'Make one for a server, a container or a fleet.' : 'An admin makes them here.'}
          </EmptyState>
        }
      />
      <Pager
        cursor={skip === 0 ? null : String(skip)}
        nextCursor={items === undefined || skip + PAGE_SIZE >= items.length ? null : String(skip + PAGE_SIZE)}
        onCursor={(cursor) => setState({ skip: Number(cursor ?? 0) })}
        {...(items === undefined || items.length === 0 ? {} : { shown: counted(items.length, 'key') })}
      />
      {isMaking && <MakeKeyDialog tailnet={tailnet} onClose={() => setMaking(false)} />}
      {revoking !== null && (
        <RevokeDialog tailnet={tailnet} authKey={revoking} onClose={() => setRevoking(null)} />
      )}
    </Card>
  );
}

const COLUMNS: readonly Column<TailnetKey>[] = [
  {
    id: 'description',
    head: 'Key',
    priority: 1,
    cell: ({ description }) => <span className="stranger">{description}</span>,
  },
  {
    id: 'state',
    head: 'State',
    cell: (key) => <Badge tone={TONES[keyStandingOf(key)]}>{keyStandingOf(key)}</Badge>,
  },
  {
    id: 'for',
    head: 'Devices of',
    cell: ({ user, tags }) => <span className="stranger">{user ?? tags.join(', ')}</span>,
  },
  {
    id: 'kind',
    head: 'Kind',
    cell: ({ reusable, ephemeral, preauthorized }) =>
      [
        reusable ? 'reusable' : 'one device',
        ...(ephemeral ? ['ephemeral'] : []),
        ...(preauthorized ? [] : ['waits for approval']),
      ].join(', '),
  },
  { id: 'expires', head: 'Ends', cell: ({ expires_at: at }) => <Relative at={at} /> },
  {
    id: 'used',
    head: 'Last used',
    cell: ({ used_at: at }) => (at === null ? <span className="soft">never</span> : <Relative at={at} />),
  },
  { id: 'by', head: 'By', priority: 3, cell: ({ created_by: by }) => <span className="stranger">{by}</span> },
];

function revokeColumn(onRevoke: (key: TailnetKey) => void): Column<TailnetKey> {
  return {
    id: 'actions',
    head: <span className="visually-hidden">Actions</span>,
    priority: 1,
    cell: (key) =>
      keyStandingOf(key) === 'usable' ? (
        <Button small kind="danger" aria-label={`Revoke ${key.description}`} onPress={() => onRevoke(key)}>
          Revoke
        </Button>
      ) : null,
  };
}

function RevokeDialog({
  tailnet,
  authKey,
  onClose,
}: {
  readonly tailnet: Tailnet;
  readonly authKey: TailnetKey;
  readonly onClose: () => void;
}) {
  const revoke = useAction({
    run: () =>
      dataOf(
        api.DELETE('/api/v1/tailnets/{tailnet}/keys/{id}', {
          params: { path: { tailnet: tailnet.name, id: authKey.id } },
        }),
      ),
    done: `${authKey.description} is revoked.`,
    changes: ['tailnets', 'audit'],
    onDone: onClose,
  });
  return (
    <ConfirmDialog
      title={`Revoke ${authKey.description}?`}
      isOpen
      onClose={onClose}
      onConfirm={() => revoke.start()}
      confirm="Revoke the key"
      busy={revoke.isBusy}
    >
      <p>No further device joins by it. Devices that joined already stay; remove them one by one.</p>
    </ConfirmDialog>
  );
}

function MakeKeyDialog({ tailnet, onClose }: { readonly tailnet: Tailnet; readonly onClose: () => void }) {
  const draft = useNewKey(tailnet, 'auth key');
  const { fields, change, make, isComplete } = draft;
  if (draft.made !== null) return <KeyOnce made={draft.made} onClose={onClose} />;
  return (
    <Dialog
      title={`Make a key for ${tailnet.name}`}
      isOpen
      onClose={onClose}
      footer={
        <>
          <Button onPress={onClose}>Cancel</Button>
          <Button kind="primary" busy={make.isBusy} isDisabled={!isComplete} onPress={() => make.start()}>
            Make the key
          </Button>
        </>
      }
    >
      {make.error !== null && !make.isBusy && <Notice tone="bad">{messageOf(make.error)}</Notice>}
      <TextField
        label="What for"
        value={fields.description}
        onChange={(description) => change({ description })}
        maxLength={80}
        placeholder="build servers"
        autoFocus
      />
      <OwnerFields tailnet={tailnet} draft={draft} />
      <Select
        label="It ends after"
        options={LIVES}
        value={fields.life}
        onChange={(life) => change({ life })}
      />
      <div className="network-checks">
        <Checkbox
          label="Reusable: many devices join by it"
          checked={fields.reusable}
          onChange={(reusable) => change({ reusable })}
        />
        <Checkbox
          label="Ephemeral: its devices are forgotten once they are silent"
          checked={fields.ephemeral}
          onChange={(ephemeral) => change({ ephemeral })}
        />
        <Checkbox
          label="Approved beforehand: its devices wait for nobody"
          checked={fields.preauthorized}
          onChange={(preauthorized) => change({ preauthorized })}
        />
      </div>
    </Dialog>
  );
}

function KeyOnce({ made, onClose }: { readonly made: MadeKey; readonly onClose: () => void }) {
  return (
    <Dialog
      title="The key is made"
      isOpen
      isDismissable={false}
      onClose={onClose}
      footer={
        <Button kind="primary" onPress={onClose}>
          I have kept it
        </Button>
      }
    >
      <Notice tone="warn">Copy it now: it is shown this once, and kept nowhere.</Notice>
      <CodeBlock title="Key" text={made.key} />
      <CodeBlock title="On a device" text={joinCommand(made.login_server, made.key)} />
    </Dialog>
  );
}
