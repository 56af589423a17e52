/** What is left of my budgets. */
import { useQuery } from '@tanstack/react-query';
import { Wallet } from 'lucide-react';
import { type Schema } from '../../api/client.ts';
import { useLive } from '../../api/live.ts';
import { budgetsQuery } from '../../api/queries.ts';
import { durationOfMs, inUnit, percent, Relative } from '../../format/index.ts';
import { Card, EmptyState, LinkButton, Loaded, Meter, type Tone } from '../../ui/index.ts';
import { useSoon } from '../../use-soon.ts';

/** What is nearest to its end first; the rest is on the page of usage. */
const SHOWN_MAX = 5;

export function BudgetsCard() {
  const budgets = useQuery(budgetsQuery());
  const refetchSoon = useSoon(() => void budgets.refetch());
  useLive(
    ['gap', 'request.finished', 'budget.warned', 'budget.exhausted', 'budget.overrun', 'config.changed'],
    refetchSoon,
  );
  return (
    <Card title="Budgets left">
      <Loaded query={budgets} what="Your budgets could not be loaded">
        {({ items }) =>
          items.length === 0 ? (
            <EmptyState title="No budget limits you" icon={Wallet}>
              Where a quota of the policy counts your requests, what is left of it is here.
            </EmptyState>
          ) : (
            <BudgetList items={items} />
          )
        }
      </Loaded>
    </Card>
  );
}

function BudgetList({ items }: { readonly items: readonly Schema<'Budget'>[] }) {
  const sorted = items.toSorted((a, b) => leftOf(a) - leftOf(b));
  return (
    <>
      <ul className="budgets">
        {sorted.slice(0, SHOWN_MAX).map((budget) => (
          <Budget key={budget.bucket} budget={budget} />
        ))}
      </ul>
      {sorted.length > SHOWN_MAX && (
        <LinkButton to="/usage" kind="quiet" small>
          {sorted.length - SHOWN_MAX} more
        </LinkButton>
      )}
    </>
  );
}

function Budget({ budget }: { readonly budget: Schema<'Budget'> }) {
  const { bucket, unit, capacity, remaining, rate, window_end: windowEnd } = budget;
  const left = leftOf(budget);
  const tone: Tone = left <= 0.05 ? 'bad' : left <= 0.2 ? 'warn' : 'info';
  const amounts = `${inUnit(remaining, unit)} of ${inUnit(capacity, unit)}${unit === 'usd' ? '' : ` ${unit}`}`;
  return (
    <li>
      <div className="budget-head">
        <span className="stranger">{bucket}</span>
        <span className="number">{amounts}</span>
      </div>
      <Meter share={left} tone={tone} label={`${bucket}: ${percent(left)} left`} />
      <p className="soft small-text">
        {remaining < 0 ? 'Overdrawn. ' : ''}
        {windowEnd !== null && (
          <>
            Full again <Relative at={windowEnd} />.
          </>
        )}
        {windowEnd === null && rate !== null && (
          <>
            Refills by {inUnit(rate.amount, unit)} every {durationOfMs(rate.period_sec * 1_000)}.
          </>
        )}
      </p>
    </li>
  );
}

function leftOf({ capacity, remaining }: Schema<'Budget'>): number {
  return capacity <= 0 ? 0 : Math.max(0, remaining / capacity);
}
