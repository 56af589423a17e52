/** Usage and cost: over time, by whom and what, against the period before, and against what is left. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Download, X } from 'lucide-react';
import { useState } from 'react';
import { type Access, useAccess } from '../../access.ts';
import { useLive } from '../../api/live.ts';
import { choiceParam, rangeParam, textParam, useUrlState } from '../../url-state.ts';
import { boundsOf, intervalOf } from '../../time-range.ts';
import { Button, DateRange, Page, Select, Toolbar } from '../../ui/index.ts';
import { useSoon } from '../../use-soon.ts';
import { AdoptionCard } from './adoption-card.tsx';
import { BreakdownCard, FIRST_ROWS } from './breakdown-card.tsx';
import { ForecastCard } from './forecast-card.tsx';
import { SavingsCard } from './savings-card.tsx';
import { SeriesCard } from './series-card.tsx';
import { TotalsCard } from './totals-card.tsx';
import {
  compareQuery,
  csvHref,
  type Dimension,
  DIMENSIONS,
  totalsQuery,
  type UsageFilter,
} from './usage-queries.ts';
import { type Measure, measured, MEASURES } from './usage-texts.ts';
import './usage.css';

const MINE = 'mine';
const ALL = 'all';
const DIMENSION_IDS = DIMENSIONS.map(({ id }) => id);
const MEASURE_IDS = MEASURES.map(({ id }) => id);
/** Dimensions of which one name can be chosen in the breakdown. */
const NARROWED = ['model', 'provider', 'agent', 'device', 'user', 'group'] as const;

/** 5 s: sums over many rows are not asked for with each of them. */
const FRESH_MS = 5_000;

const PARAMS = {
  of: textParam(),
  by: choiceParam(DIMENSION_IDS, 'model'),
  measure: choiceParam(MEASURE_IDS, 'cost'),
  range: rangeParam('7d'),
  model: textParam(),
  provider: textParam(),
  agent: textParam(),
  device: textParam(),
  user: textParam(),
  group: textParam(),
};

export function UsagePage() {
  const access = useAccess();
  const [state, setState] = useUrlState(PARAMS);
  const scopes = scopesOf(access);
  const of = scopes.find(({ id }) => id === state.of)?.id ?? scopes[0]?.id ?? MINE;
  const filter = filterOf(access, of, state);
  const span = boundsOf(state.range);
  const interval = intervalOf(state.range);
  const totals = useQuery(totalsQuery(filter, span));
  const queries = useQueryClient();
  // Everything on the page at once, so that its parts tell of the same requests.
  const refreshSoon = useSoon(() => {
    for (const queryKey of [['usage'], ['budgets']])
      void queries.refetchQueries({ queryKey, type: 'active' }, { cancelRefetch: false });
  }, FRESH_MS);
  useLive(['gap', 'request.finished'], refreshSoon);
  const dimensions = of === MINE ? DIMENSIONS.filter(({ id }) => id !== 'user') : DIMENSIONS;
  const by: Dimension = dimensions.find(({ id }) => id === state.by)?.id ?? 'model';
  const [rows, setRows] = useState(FIRST_ROWS);
  const compared = useQuery(compareQuery(filter, span, { by, sort: state.measure, limit: rows }));
  // What is read first is asked first: sums over many rows wait for each other.
  const isFirstThere = compared.data !== undefined || compared.errorUpdateCount > 0;
  const narrow = (name: string): void => setState({ [by]: name });
  return (
    <Page
      title="Usage and cost"
      lead="What was used, by whom and what, and what it cost."
      actions={
        <a className="button secondary" href={csvHref(filter, span, by, interval)} download="usage.csv">
          <Download aria-hidden size={16} />
          <span>CSV</span>
        </a>
      }
    >
      <Toolbar label="What is shown">
        {scopes.length > 1 && (
          <Select
            small
            label="Whose"
            options={scopes}
            value={of}
            onChange={(id) => setState({ of: id, user: null, group: null })}
          />
        )}
        <DateRange value={state.range} onChange={(range) => setState({ range })} />
        <Select small label="By" options={dimensions} value={by} onChange={(id) => setState({ by: id })} />
        <Select
          small
          label="Measure"
          options={MEASURES}
          value={state.measure}
          onChange={(id: Measure) => setState({ measure: id })}
        />
      </Toolbar>
      <Narrowed state={state} onClear={(name) => setState({ [name]: null })} />
      <TotalsCard totals={totals} />
      <SeriesCard
        filter={filter}
        span={span}
        by={by}
        names={compared.data?.rows ?? (compared.error === null ? undefined : 0)}
        interval={interval}
        measure={state.measure}
      />
      <BreakdownCard
        compared={compared}
        total={measured(state.measure, totals.data?.items[0]?.current)}
        onMore={setRows}
        by={by}
        measure={state.measure}
        onName={canNarrow(by, of) ? narrow : null}
      />
      {isFirstThere && (
        <>
          <div className="usage-grid">
            <ForecastCard filter={filter} of={of === ALL ? 'all' : 'mine'} />
            <SavingsCard filter={filter} span={span} />
          </div>
          {of !== MINE && <AdoptionCard filter={filter} span={span} interval={interval} />}
        </>
      )}
    </Page>
  );
}

type NarrowedState = Readonly<Record<(typeof NARROWED)[number], string | null>>;

/** What the breakdown was narrowed to, each with a way back. */
function Narrowed({
  state,
  onClear,
}: {
  readonly state: NarrowedState;
  readonly onClear: (name: string) => void;
}) {
  const set = NARROWED.filter((name) => state[name] !== null);
  if (set.length === 0) return null;
  return (
    <Toolbar label="Only">
      {set.map((name) => (
        <Button
          key={name}
          small
          icon={X}
          aria-label={`Show more than ${name} ${state[name] ?? ''}`}
          onPress={() => onClear(name)}
        >
          {name}: <span className="stranger">{state[name]}</span>
        </Button>
      ))}
    </Toolbar>
  );
}

/** Whose usage the viewer may choose; the widest first. */
function scopesOf({ seesAll, leads }: Access): readonly { readonly id: string; readonly label: string }[] {
  return [
    ...(seesAll ? [{ id: ALL, label: 'Everybody' }] : []),
    ...leads.map((group) => ({ id: group, label: group })),
    { id: MINE, label: 'Mine' },
  ];
}

function filterOf({ me }: Access, of: string, state: NarrowedState): UsageFilter {
  const scope: UsageFilter =
    of === MINE
      ? { principal: me.principal }
      : of === ALL
        ? state.group === null
          ? {}
          : { group: state.group }
        : { group: of };
  return {
    ...scope,
    // A name of the breakdown is a label, not a principal.
    ...(state.user === null ? {} : { q: state.user }),
    ...(state.model === null ? {} : { model: state.model }),
    ...(state.provider === null ? {} : { provider: state.provider }),
    ...(state.agent === null ? {} : { agent: state.agent }),
    ...(state.device === null ? {} : { device: state.device }),
  };
}

/** Somebody's own usage is of one person, and whose it is, is chosen above. */
function canNarrow(by: Dimension, of: string): boolean {
  return (by !== 'user' && by !== 'group') || of === ALL;
}
