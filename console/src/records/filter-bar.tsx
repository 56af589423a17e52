/** The bar of filters above lists of requests and sessions; everything is in the address. */
import { useQuery } from '@tanstack/react-query';
import { X } from 'lucide-react';
import { useState } from 'react';
import { useAccess } from '../access.ts';
import { modelsQuery } from '../api/queries.ts';
import { Button, type Choice, ComboBox, DateRange, Select, TextField, Toolbar } from '../ui/index.ts';
import { DECISIONS, type Filters, isNarrowed, NO_FILTERS, type Outcome, OUTCOMES } from './filters.ts';
import './records.css';

const ANY = { id: 'any', label: 'Any' } as const;
const words = (id: string): string => id.replaceAll('_', ' ');

export function FilterBar({
  filters,
  onChange,
  children,
}: {
  readonly filters: Filters;
  /** The cursor is null again with every change. */
  readonly onChange: (change: Partial<Filters>, how?: { readonly replace?: boolean }) => void;
  /** Further controls at the end. */
  readonly children?: React.ReactNode;
}) {
  const change = (some: Partial<Filters>, replace = false): void =>
    onChange({ ...some, cursor: null }, { replace });
  const models = useQuery(modelsQuery());
  const modelNames = [...new Set(models.data?.items.map(({ id }) => id.slice(id.indexOf('/') + 1)) ?? [])];
  return (
    <Toolbar label="Filters">
      <SearchField
        key={filters.q === null ? 'empty' : 'filled'}
        value={filters.q}
        onChange={(q) => change({ q }, true)}
      />
      <DateRange value={filters.range} onChange={(range) => change({ range })} />
      <WhoseSelect value={filters.whose} onChange={(whose) => change({ whose })} />
      <Select<Outcome | 'any'>
        small
        label="Outcome"
        options={[ANY, ...OUTCOMES.map((id) => ({ id, label: words(id) }))]}
        value={filters.outcome ?? 'any'}
        onChange={(id) => change({ outcome: id === 'any' ? null : id })}
      />
      <Select<(typeof DECISIONS)[number] | 'any'>
        small
        label="Decision"
        options={[ANY, ...DECISIONS.map((id) => ({ id, label: id }))]}
        value={filters.decision ?? 'any'}
        onChange={(id) => change({ decision: id === 'any' ? null : id })}
      />
      <ComboBox
        small
        label="Model"
        placeholder="Any"
        allowsOther
        options={modelNames.map((id) => ({ id, label: id }))}
        value={filters.model}
        onChange={(model) => change({ model })}
      />
      {children}
      <Chips filters={filters} onRemove={(some) => change(some)} />
      {isNarrowed(filters) && (
        <Button small kind="quiet" onPress={() => change(NO_FILTERS)}>
          Clear filters
        </Button>
      )}
    </Toolbar>
  );
}

/** What is typed is asked for when it is entered or left, not letter by letter. */
function SearchField({
  value,
  onChange,
}: {
  readonly value: string | null;
  readonly onChange: (value: string | null) => void;
}) {
  const [typed, setTyped] = useState(value ?? '');
  const settle = (): void => {
    const next = typed.trim() === '' ? null : typed.trim();
    if (next !== value) onChange(next);
  };
  return (
    <div className="record-search" data-search onBlur={settle}>
      <div className="field small">
        <TextField
          label="Search"
          type="search"
          placeholder="Id, user, model, agent, reason …"
          value={typed}
          onChange={(text) => {
            setTyped(text);
            if (text === '' && value !== null) onChange(null);
          }}
          onEnter={settle}
          maxLength={200}
        />
      </div>
    </div>
  );
}

/** Shown to those who may see more than their own. */
function WhoseSelect({
  value,
  onChange,
}: {
  readonly value: string | null;
  readonly onChange: (value: string | null) => void;
}) {
  const { seesAll, leads } = useAccess();
  if (!seesAll && leads.length === 0) return null;
  const natural = seesAll ? 'all' : 'mine';
  const options: Choice[] = [
    ...(seesAll ? [{ id: 'all', label: 'Everybody' }] : []),
    { id: 'mine', label: 'Mine' },
    ...leads.map((group) => ({ id: group, label: group })),
  ];
  const known = options.some(({ id }) => id === value);
  return (
    <Select
      small
      label="Whose"
      options={known || value === null ? options : [...options, { id: value, label: value }]}
      value={value ?? natural}
      onChange={(id) => onChange(id === natural ? null : id)}
    />
  );
}

const CHIPS = {
  provider: 'Provider',
  agent: 'Agent',
  principal: 'User',
  session: 'Session',
  reason: 'Reason',
} as const;

/** Filters that links set and no control shows; each can be taken off. */
function Chips({
  filters,
  onRemove,
}: {
  readonly filters: Filters;
  readonly onRemove: (change: Partial<Filters>) => void;
}) {
  const names = ['provider', 'agent', 'principal', 'session', 'reason'] as const;
  return names
    .filter((name) => filters[name] !== null)
    .map((name) => (
      <button key={name} type="button" className="record-chip" onClick={() => onRemove({ [name]: null })}>
        <span className="stranger">
          {CHIPS[name]}: {filters[name]}
        </span>
        <X aria-hidden size={14} />
        <span className="visually-hidden">, remove</span>
      </button>
    ));
}
