/** How many people, devices and agents took part. */
import { useQuery } from '@tanstack/react-query';
import { Sparkline } from '../../charts/sparkline.tsx';
import { exactAmount, Tokens } from '../../format/index.ts';
import { Card, Loaded, Stat, Stats } from '../../ui/index.ts';
import { adoptionQuery, type Interval, type UsageFilter, type UsageSpan } from './usage-queries.ts';
import { timeLabel } from './usage-texts.ts';

const COUNTED = [
  ['users', 'People and services'],
  ['devices', 'Devices'],
  ['agents', 'Agents'],
  ['sessions', 'Sessions'],
] as const;

export function AdoptionCard({
  filter,
  span,
  interval,
}: {
  readonly filter: UsageFilter;
  readonly span: UsageSpan;
  readonly interval: Interval;
}) {
  const adoption = useQuery(adoptionQuery(filter, span, interval));
  return (
    <Card title="Adoption" hint="Everybody who made a request counts once.">
      <Loaded query={adoption} what="The adoption could not be loaded">
        {({ items, total }) => (
          <>
            <Stats>
              {COUNTED.map(([id, label]) => (
                <Stat key={id} label={label} value={<Tokens count={total[id]} />}>
                  <Sparkline
                    values={items.map((item) => item[id])}
                    label={`${label} of each ${interval}: ${items.map((item) => item[id]).join(', ')}`}
                  />
                </Stat>
              ))}
            </Stats>
            {items.length > 0 && (
              <details className="chart-table">
                <summary>Adoption as a table</summary>
                {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reached by the keyboard */}
                <div className="table-scroll" tabIndex={0} role="region" aria-label="Adoption, table">
                  <table>
                    <thead>
                      <tr>
                        <th scope="col">Time</th>
                        {COUNTED.map(([id, label]) => (
                          <th key={id} scope="col" className="number">
                            {label}
                          </th>
                        ))}
                      </tr>
                    </thead>
                    <tbody>
                      {items.map((item) => (
                        <tr key={item.at}>
                          <th scope="row">{timeLabel(item.at)}</th>
                          {COUNTED.map(([id]) => (
                            <td key={id} className="number">
                              {exactAmount(item[id])}
                            </td>
                          ))}
                        </tr>
                      ))}
                    </tbody>
                  </table>
                </div>
              </details>
            )}
          </>
        )}
      </Loaded>
    </Card>
  );
}
