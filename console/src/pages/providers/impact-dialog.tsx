/** Before a key is revoked: who used it, what is cut, and what takes its place. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, dataOf, type Answer } from '../../api/client.ts';
import { counted, Money, Relative, Tokens } from '../../format/index.ts';
import { useAction } from '../../presence/index.ts';
import {
  Button,
  Checkbox,
  type Column,
  DataTable,
  Dialog,
  Loaded,
  Notice,
  Stat,
  Stats,
} from '../../ui/index.ts';
import { impactQuery } from './providers-queries.ts';
import { keyName, type Provider, type ProviderKey } from './provider-texts.ts';

type Impact = Answer<'/api/v1/keys/{id}/impact'>;
type Caller = Impact['callers'][number];

export function ImpactDialog({
  provider,
  keyOf: key,
  onClose,
}: {
  readonly provider: Provider;
  readonly keyOf: ProviderKey;
  readonly onClose: () => void;
}) {
  const impact = useQuery(impactQuery(key.id));
  const [isSeen, setSeen] = useState(false);
  const revoke = useAction({
    run: () => dataOf(api.POST('/api/v1/keys/{id}/revoke', { params: { path: { id: key.id } } })),
    done: `${keyName(key)} is revoked.`,
    changes: ['providers', 'keys', 'status', 'audit'],
    onDone: onClose,
  });
  const leavesNone = (impact.data?.providers_without_key.length ?? 0) > 0;
  return (
    <Dialog
      wide
      title={`Revoke ${keyName(key)}`}
      isOpen
      onClose={onClose}
      footer={
        <>
          <Button onPress={onClose}>Cancel</Button>
          <Button
            kind="danger"
            busy={revoke.isBusy}
            isDisabled={leavesNone && !isSeen}
            onPress={() => revoke.start()}
          >
            Revoke the key
          </Button>
        </>
      }
    >
      <p>
        It is withdrawn at once and for good; requests under way with it are cut. Revoke it at{' '}
        <span className="stranger">{provider.name}</span> too: Postern cannot.
      </p>
      <Loaded query={impact} what="What it would touch could not be loaded">
        {(data) => <WhatItTouches impact={data} provider={provider} />}
      </Loaded>
      {leavesNone && (
        <Checkbox
          label="I know that no key is left and these models stop working"
          checked={isSeen}
          onChange={setSeen}
        />
      )}
    </Dialog>
  );
}

function WhatItTouches({ impact, provider }: { readonly impact: Impact; readonly provider: Provider }) {
  const instead = provider.keys.filter(({ id }) => impact.used_instead.includes(id));
  return (
    <>
      {impact.providers_without_key.length > 0 ? (
        <Notice tone="bad">
          <strong>No key is left for {impact.providers_without_key.join(', ')}.</strong> Requests to its
          models fail until a key is added.
        </Notice>
      ) : (
        <Notice tone="good">
          {instead.length === 0
            ? 'Nothing uses it now.'
            : `Used in its place: ${instead.map(keyName).join(', ')}.`}
        </Notice>
      )}
      <Stats>
        <Stat
          label="Under way now"
          value={impact.open === null ? 'unknown' : <Tokens count={impact.open.exchanges} />}
          note={impact.open === null ? undefined : `of ${counted(impact.open.principals.length, 'caller')}`}
        />
        <Stat label="Requests, 30 days" value={<Tokens count={impact.requests} />} />
        <Stat label="Cost, 30 days" value={<Money nano={impact.cost_nano_usd} />} />
      </Stats>
      <DataTable
        label="Who used it"
        columns={CALLERS}
        rows={impact.callers}
        rowId={({ principal }) => principal}
        empty={<p className="soft">Nobody used it within 30 days.</p>}
      />
      {impact.callers_more > 0 && <p className="soft">{counted(impact.callers_more, 'caller')} more.</p>}
      {!impact.complete && (
        <p className="soft">There were more requests than are read here: the sums are too small.</p>
      )}
    </>
  );
}

const CALLERS: readonly Column<Caller>[] = [
  {
    id: 'who',
    head: 'Who',
    priority: 1,
    cell: ({ user_label: label }) => <span className="stranger">{label}</span>,
  },
  { id: 'agents', head: 'Agents', cell: ({ agents }) => agents.join(', ') },
  { id: 'models', head: 'Models', cell: ({ models }) => models.join(', ') },
  { id: 'devices', head: 'Devices', priority: 3, cell: ({ devices }) => devices.join(', ') },
  { id: 'requests', head: 'Requests', isNumber: true, cell: ({ requests }) => <Tokens count={requests} /> },
  { id: 'last', head: 'Last', cell: ({ last_at: at }) => <Relative at={at} /> },
];
