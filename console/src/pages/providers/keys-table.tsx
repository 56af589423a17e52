/** The keys of one provider, and what may be done with each. */
import { Ellipsis } from 'lucide-react';
import { useState } from 'react';
import { useAccess } from '../../access.ts';
import { api, dataOf } from '../../api/client.ts';
import { amount, counted, Relative } from '../../format/index.ts';
import { useAction } from '../../presence/index.ts';
import {
  Button,
  Checkbox,
  type Column,
  ConfirmDialog,
  DataTable,
  IconButton,
  Menu,
  type MenuAction,
  StateBadge,
} from '../../ui/index.ts';
import { AddKeyDialog } from './add-key-dialog.tsx';
import { ImpactDialog } from './impact-dialog.tsx';
import { keyName, type Provider, type ProviderKey } from './provider-texts.ts';

/** Rows at a time: hundreds of keys are not read at once. */
const ROWS_STEP = 50;

type Step = 'promote' | 'retire' | 'revoke' | 'rotate';

export function KeysTable({
  provider,
  onTest,
}: {
  readonly provider: Provider;
  readonly onTest: (keyId: string) => void;
}) {
  const { isAdmin } = useAccess();
  const [asked, setAsked] = useState<{ readonly step: Step; readonly key: ProviderKey } | null>(null);
  const [showsRevoked, setShowsRevoked] = useState(false);
  const [rowsMax, setRowsMax] = useState(ROWS_STEP);
  const ask = (step: Step, key: ProviderKey) => () => setAsked({ step, key });
  const close = (): void => setAsked(null);
  const revoked = provider.keys.filter(({ state }) => state === 'revoked').length;
  const rows = provider.keys.filter(({ state }) => showsRevoked || state !== 'revoked');
  const actionsOf = (key: ProviderKey): readonly MenuAction[] => [
    { id: 'test', label: 'Test', onAction: () => onTest(key.id) },
    ...(key.state === 'staged' || key.state === 'retired'
      ? [{ id: 'promote', label: 'Promote: use it from now on', onAction: ask('promote', key) }]
      : []),
    ...(key.state === 'active'
      ? [
          { id: 'rotate', label: 'Rotate: enter its successor', onAction: ask('rotate', key) },
          { id: 'retire', label: 'Retire: use it no more', onAction: ask('retire', key) },
        ]
      : []),
    { id: 'revoke', label: 'Revoke …', onAction: ask('revoke', key), danger: true },
  ];
  if (provider.keys.length === 0)
    return (
      <p className="soft small-text">No key: add one, or none is needed where the address is your own.</p>
    );
  return (
    <div className="provider-keys">
      <DataTable
        label={`Keys of ${provider.name}`}
        columns={columnsOf(isAdmin ? actionsOf : null)}
        rows={rows.slice(0, rowsMax)}
        rowId={({ id }) => id}
        empty={<p className="soft small-text">No key is left: all are revoked.</p>}
      />
      {rows.length > rowsMax && (
        <div className="pager">
          <span className="soft">
            {rowsMax} of {counted(rows.length, 'key')}
          </span>
          <Button small onPress={() => setRowsMax(rowsMax + ROWS_STEP)}>
            Show more
          </Button>
        </div>
      )}
      {revoked > 0 && (
        <Checkbox label={`Show ${revoked} revoked`} checked={showsRevoked} onChange={setShowsRevoked} />
      )}
      {asked?.step === 'revoke' && <ImpactDialog provider={provider} keyOf={asked.key} onClose={close} />}
      {asked?.step === 'rotate' && (
        <AddKeyDialog providers={[provider.id]} successorOf={asked.key} onClose={close} />
      )}
      {asked?.step === 'promote' && <PromoteDialog provider={provider} keyOf={asked.key} onClose={close} />}
      {asked?.step === 'retire' && <RetireDialog provider={provider} keyOf={asked.key} onClose={close} />}
    </div>
  );
}

interface KeyDialogProps {
  readonly provider: Provider;
  readonly keyOf: ProviderKey;
  readonly onClose: () => void;
}

const CHANGES = ['providers', 'keys', 'audit'];

function PromoteDialog({ provider, keyOf: key, onClose }: KeyDialogProps) {
  const [alongside, setAlongside] = useState(false);
  const promote = useAction({
    run: () =>
      dataOf(
        api.POST('/api/v1/keys/{id}/promote', { params: { path: { id: key.id } }, body: { alongside } }),
      ),
    done: `${keyName(key)} is used from now on.`,
    changes: CHANGES,
    onDone: onClose,
  });
  const active = provider.keys.filter(({ state, id }) => state === 'active' && id !== key.id);
  return (
    <ConfirmDialog
      title={`Promote ${keyName(key)}`}
      isOpen
      onClose={onClose}
      onConfirm={() => promote.start()}
      confirm="Promote the key"
      busy={promote.isBusy}
      danger={false}
    >
      <p>
        Requests to <span className="stranger">{provider.name}</span> use this key from now on.{' '}
        {active.length > 0 && !alongside && `Retired by this: ${active.map(keyName).join(', ')}.`}
      </p>
      {active.length > 0 && (
        <Checkbox
          label="Keep the present keys active beside it"
          checked={alongside}
          onChange={setAlongside}
        />
      )}
    </ConfirmDialog>
  );
}

function RetireDialog({ provider, keyOf: key, onClose }: KeyDialogProps) {
  const retire = useAction({
    run: () => dataOf(api.POST('/api/v1/keys/{id}/retire', { params: { path: { id: key.id } } })),
    done: `${keyName(key)} is used no more.`,
    changes: CHANGES,
    onDone: onClose,
  });
  const isLast = !provider.keys.some(({ state, id }) => state === 'active' && id !== key.id);
  return (
    <ConfirmDialog
      title={`Retire ${keyName(key)}`}
      isOpen
      onClose={onClose}
      onConfirm={() => retire.start()}
      confirm="Retire the key"
      busy={retire.isBusy}
      danger={isLast}
    >
      <p>
        Requests under way finish with it; no new one uses it. It can be promoted again.
        {isLast && ` It is the last active key of ${provider.name}: its models stop working.`}
      </p>
    </ConfirmDialog>
  );
}

function columnsOf(
  actionsOf: ((key: ProviderKey) => readonly MenuAction[]) | null,
): readonly Column<ProviderKey>[] {
  return [
    { id: 'name', head: 'Key', priority: 1, cell: (key) => <span className="stranger">{keyName(key)}</span> },
    {
      id: 'state',
      head: 'State',
      priority: 1,
      cell: (key) => (
        <>
          <StateBadge state={key.state} />
          {key.source === 'unreadable' && ' sealed with another master key'}
        </>
      ),
    },
    {
      id: 'source',
      head: 'From',
      cell: (key) =>
        key.source === 'environment' ? 'the environment' : <span className="stranger">{key.created_by}</span>,
    },
    {
      id: 'added',
      head: 'Added',
      priority: 3,
      cell: (key) => <Relative at={key.created_at} />,
    },
    {
      id: 'used',
      head: 'Last used',
      cell: (key) => (key.last_used_at === null ? 'never' : <Relative at={key.last_used_at} />),
    },
    { id: 'uses', head: 'Uses', isNumber: true, cell: (key) => amount(key.uses) },
    {
      id: 'failures',
      head: 'Failures',
      isNumber: true,
      cell: (key) => <span title={key.last_error ?? undefined}>{amount(key.failures)}</span>,
    },
    ...(actionsOf === null
      ? []
      : [
          {
            id: 'actions',
            head: <span className="visually-hidden">Actions</span>,
            priority: 1 as const,
            cell: (key: ProviderKey) =>
              key.state === 'revoked' ? null : (
                <Menu
                  label={`Actions of ${keyName(key)}`}
                  trigger={<IconButton label={`Actions of ${keyName(key)}`} icon={Ellipsis} />}
                  actions={actionsOf(key)}
                />
              ),
          },
        ]),
  ];
}
