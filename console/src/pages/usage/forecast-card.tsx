/** What the month will cost, and which budget will not last. */
import { useQuery } from '@tanstack/react-query';
import { budgetsQuery } from '../../api/queries.ts';
import type { Schema } from '../../api/client.ts';
import { inUnit, Money, percent, Relative, Time } from '../../format/index.ts';
import { Badge, Card, Loaded, Meter, Stat, Stats, type Tone } from '../../ui/index.ts';
import { forecastQuery, type UsageFilter } from './usage-queries.ts';

/** Those that will be used up first; the budgets of a thousand people are a list of their own. */
const SHOWN_MAX = 8;

export function ForecastCard({ filter, of }: { readonly filter: UsageFilter; readonly of: 'mine' | 'all' }) {
  const forecast = useQuery(forecastQuery(filter));
  const budgets = useQuery(budgetsQuery(of));
  return (
    <Card title="Forecast" hint="A straight line through what was spent so far.">
      <Loaded query={forecast} what="The forecast could not be loaded">
        {(month) => (
          <Stats>
            <Stat
              label="Spent this month"
              value={<Money nano={month.spent_nano_usd} />}
              note={
                <>
                  <Money nano={month.per_day_nano_usd} /> a day
                </>
              }
            />
            <Stat
              label="At its end"
              value={<Money nano={month.projected_nano_usd} />}
              note={
                <>
                  on <Time at={month.to} />
                </>
              }
            />
          </Stats>
        )}
      </Loaded>
      <Loaded query={budgets} what="The budgets could not be loaded">
        {({ items }) => <Budgets items={items} />}
      </Loaded>
    </Card>
  );
}

function Budgets({ items }: { readonly items: readonly Schema<'Budget'>[] }) {
  if (items.length === 0)
    return <p className="soft small-text usage-note">No budget of the policy counts this yet.</p>;
  const sorted = items.toSorted((a, b) => expected(b) - expected(a));
  return (
    <ul className="usage-budgets" aria-label="Budgets">
      {sorted.slice(0, SHOWN_MAX).map((budget) => (
        <Budget key={budget.bucket} budget={budget} />
      ))}
      {sorted.length > SHOWN_MAX && (
        <li className="soft small-text">{sorted.length - SHOWN_MAX} more have more left.</li>
      )}
    </ul>
  );
}

function Budget({ budget }: { readonly budget: Schema<'Budget'> }) {
  const { bucket, unit, capacity, remaining, forecast } = budget;
  const spent = Math.max(0, capacity - remaining);
  const share = capacity === 0 ? 1 : spent / capacity;
  const isShort = forecast !== null && forecast.exhausted_at !== null;
  const tone: Tone = share >= 0.95 ? 'bad' : isShort || share >= 0.8 ? 'warn' : 'info';
  return (
    <li>
      <div className="row usage-budget-head">
        <span className="stranger">{bucket}</span>
        <span className="number">
          {inUnit(spent, unit)} of {inUnit(capacity, unit)}
          {unit === 'usd' ? '' : ` ${unit}`}
        </span>
      </div>
      <Meter share={share} tone={tone} label={`${bucket}: ${percent(share)} spent`} />
      {forecast !== null && (
        <p className="soft small-text">
          {forecast.exhausted_at === null ? (
            <>
              Lasts: {inUnit(forecast.projected, unit)} expected
              {budget.window_end !== null && (
                <>
                  {' '}
                  by <Time at={budget.window_end} />
                </>
              )}
              .
            </>
          ) : (
            <>
              <Badge tone="warn">short</Badge> Used up <Relative at={forecast.exhausted_at} /> if it goes on
              like this.
            </>
          )}
        </p>
      )}
    </li>
  );
}

/** The share of the budget that will be spent at the end of its window; without one, that is spent now. */
function expected({ capacity, remaining, forecast }: Schema<'Budget'>): number {
  if (capacity <= 0) return Number.POSITIVE_INFINITY;
  return Math.max(capacity - remaining, forecast?.projected ?? 0) / capacity;
}
