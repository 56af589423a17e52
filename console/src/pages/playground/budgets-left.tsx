/** What is left of the viewer's budgets, as every answer changes it. */
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { budgetsQuery } from '../../api/queries.ts';
import { inUnit } from '../../format/index.ts';
import { Card, Loaded, Meter } from '../../ui/index.ts';

/** A budget with less than a fifth left is pointed out. */
const LOW = 0.2;

export function BudgetsLeft() {
  const budgets = useQuery(budgetsQuery());
  return (
    <Card title="Budgets left">
      <Loaded query={budgets} what="Your budgets could not be loaded">
        {({ items }) =>
          items.length === 0 ? (
            <p className="soft">No budget limits you.</p>
          ) : (
            <ul className="playground-budgets">
              {items.map(({ bucket, remaining, capacity, unit }) => {
                const share = capacity === 0 ? 0 : remaining / capacity;
                const left = `${inUnit(Math.max(0, remaining), unit)} of ${inUnit(capacity, unit)} left`;
                return (
                  <li key={bucket}>
                    <span className="stranger">{bucket}</span>
                    <Meter
                      share={share}
                      label={`${bucket}: ${left}`}
                      tone={share <= 0 ? 'bad' : share < LOW ? 'warn' : 'good'}
                    />
                    <span className="soft small-text">
                      {left}
                      {share < LOW && (
                        <>
                          {' · '}
                          <Link to={`/approvals?ask=budget&bucket=${encodeURIComponent(bucket)}`}>
                            Ask for more
                          </Link>
                        </>
                      )}
                    </span>
                  </li>
                );
              })}
            </ul>
          )
        }
      </Loaded>
    </Card>
  );
}
