/** Budgets (`quotas`) of the draft. */
import { useState } from 'react';
import { type Column, Select, TextField } from '../../ui/index.ts';
import { entryEdits, type FormPartProps, type Members, type NamedEntry, namedEntries } from './form-edits.ts';
import { EntryDialog, EntryTable } from './form-frame.tsx';
import { itemsOf, textOf } from './hujson.ts';

const UNITS = [
  { id: 'usd', label: 'Dollars' },
  { id: 'tokens', label: 'Tokens' },
  { id: 'requests', label: 'Requests' },
  { id: 'concurrency', label: 'Requests at one time' },
] as const;
const WINDOWS = [
  { id: 'hour', label: 'Each hour' },
  { id: 'day', label: 'Each day' },
  { id: 'week', label: 'Each week' },
  { id: 'month', label: 'Each month' },
  { id: 'none', label: 'Little by little, at a rate' },
] as const;

export function BudgetsForm({ document, isReadOnly, isBusy, apply }: FormPartProps) {
  const rows = namedEntries(document, 'quotas');
  const [edited, setEdited] = useState<NamedEntry | null>(null);
  const close = (): void => setEdited(null);
  return (
    <EntryTable
      title="Budgets"
      hint="A budget counts for whom a grant names it."
      add="Add a budget"
      onAdd={() => setEdited({ name: '', members: { capacity: '$10.00', window: 'day' } })}
      rows={rows}
      rowId={({ name }) => name}
      rowName={({ name }) => name}
      onEdit={setEdited}
      isReadOnly={isReadOnly}
      empty={{
        title: 'No budget yet',
        text: (
          <>
            For example <code>daily:&lt;user&gt;</code>: ten dollars a day for each person.
          </>
        ),
      }}
      columns={COLUMNS}
    >
      {edited !== null && (
        <BudgetDialog
          row={edited}
          taken={rows.map(({ name }) => name)}
          isBusy={isBusy}
          onClose={close}
          onRemove={() => apply([{ path: ['quotas', edited.name], remove: true }], close)}
          onApply={(entry) => {
            const edits = entryEdits('quotas', edited, entry);
            if (edits.length === 0) close();
            else apply(edits, close);
          }}
        />
      )}
    </EntryTable>
  );
}

const COLUMNS: readonly Column<NamedEntry>[] = [
  { id: 'name', head: 'Name', priority: 1, cell: ({ name }) => name },
  { id: 'capacity', head: 'Holds', cell: ({ members }) => capacityOf(members) },
  { id: 'refill', head: 'Refills', cell: ({ members }) => refillOf(members) },
  { id: 'parent', head: 'Within', cell: ({ members }) => textOf(members['parent']) },
];

function capacityOf(members: Members): string {
  const unit = textOf(members['unit']);
  return `${textOf(members['capacity'])}${unit === '' || unit === 'usd' ? '' : ` ${unit}`}`;
}

function refillOf(members: Members): string {
  const window = textOf(members['window']);
  return window === '' ? textOf(members['rate']) : `each ${window}`;
}

function BudgetDialog({
  row,
  taken,
  isBusy,
  onClose,
  onRemove,
  onApply,
}: {
  readonly row: NamedEntry;
  readonly taken: readonly string[];
  readonly isBusy: boolean;
  readonly onClose: () => void;
  readonly onRemove: () => void;
  readonly onApply: (entry: NamedEntry) => void;
}) {
  const { members } = row;
  const isNew = row.name === '';
  const [name, setName] = useState(row.name);
  const [unit, setUnit] = useState(textOf(members['unit']) || 'usd');
  const [capacity, setCapacity] = useState(textOf(members['capacity']));
  const [window, setWindow] = useState(textOf(members['window']) || 'none');
  const [rate, setRate] = useState(textOf(members['rate']));
  const [parent, setParent] = useState(textOf(members['parent']) || 'none');
  const [warnAt, setWarnAt] = useState(
    itemsOf(members['warn_at'])
      .map((share) => (typeof share === 'number' ? Math.round(share * 100) : ''))
      .join(', '),
  );
  const isTaken = isNew && taken.includes(name);
  const refills = unit !== 'concurrency';
  const done = (): void => {
    const shares = warnAt
      .split(/[\s,%]+/)
      .map(Number)
      .filter((share) => share > 0 && share <= 100);
    onApply({
      name,
      members: {
        unit: unit === 'usd' && members['unit'] === undefined ? undefined : unit,
        capacity: amountOf(capacity, unit),
        window: window === 'none' || !refills ? undefined : window,
        rate: window === 'none' && refills && rate !== '' ? rate.trim() : undefined,
        parent: parent === 'none' ? undefined : parent,
        warn_at: shares.length === 0 ? undefined : shares.map((share) => share / 100),
      },
    });
  };
  const isComplete =
    name !== '' && !isTaken && capacity !== '' && (window !== 'none' || !refills || rate !== '');
  return (
    <EntryDialog
      title={isNew ? 'Add a budget' : `Budget ${row.name}`}
      isNew={isNew}
      isComplete={isComplete}
      isBusy={isBusy}
      onClose={onClose}
      onRemove={onRemove}
      onDone={done}
    >
      {isNew && (
        <TextField
          label="Name"
          value={name}
          onChange={setName}
          error={isTaken ? 'There is a budget of this name.' : null}
          hint="With <user>, <group>, <model> or <agent> there is one for each."
          placeholder="daily:<user>"
          autoFocus
        />
      )}
      <Select label="Counts" options={UNITS} value={unit} onChange={setUnit} />
      <TextField
        label="Holds"
        value={capacity}
        onChange={setCapacity}
        hint={unit === 'usd' ? 'Dollars: $10.00' : 'A whole number'}
      />
      {refills && (
        <>
          <Select label="Begins anew" options={WINDOWS} value={window} onChange={setWindow} />
          {window === 'none' && (
            <TextField
              label="Rate"
              value={rate}
              onChange={setRate}
              hint={unit === 'usd' ? '$5.00/day' : '1000/hour'}
            />
          )}
        </>
      )}
      <Select
        label="Within another budget"
        options={[
          { id: 'none', label: 'None' },
          ...taken.filter((other) => other !== name).map((other) => ({ id: other, label: other })),
        ]}
        value={parent}
        onChange={setParent}
      />
      <TextField label="Warn at (percent)" value={warnAt} onChange={setWarnAt} placeholder="80, 95" />
    </EntryDialog>
  );
}

function amountOf(text: string, unit: string): string | number {
  const trimmed = text.trim();
  if (unit === 'usd') return trimmed.startsWith('$') ? trimmed : `$${trimmed}`;
  return /^\d+$/.test(trimmed) ? Number(trimmed) : trimmed;
}
