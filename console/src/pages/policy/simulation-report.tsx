/** What a simulation found. Members beyond the sums are loosely typed by the API, and read with care. */
import type { ReactNode } from 'react';
import type { Schema } from '../../api/client.ts';
import { counted, Money, Time, Tokens } from '../../format/index.ts';
import { Badge, Card, DataTable, EmptyState, Stat, Stats } from '../../ui/index.ts';
import { isRecord, itemsOf, textOf, textsOf } from './hujson.ts';

type Report = NonNullable<Schema<'SimulationReport'>>;
type Row = Readonly<Record<string, unknown>>;

export function SimulationReport({ report }: { readonly report: Report }) {
  const { before, after } = report;
  const requests = recordsOf(report['requests']);
  const budgets = recordsOf(report['budgets']).filter(
    (row) => numberOf(row['refused_before']) !== numberOf(row['refused_after']),
  );
  return (
    <>
      <Card title="What would have been different" label="Result of the simulation">
        <div className="stack">
          <p role="status">
            <strong>{counted(report.changed_requests, 'request')}</strong> of{' '}
            {counted(report.rows, 'request')} would have been treated otherwise, from{' '}
            <Time at={report.from} /> to <Time at={report.to} />.
          </p>
          <Stats>
            <Before
              label="Allowed"
              before={<Tokens count={before.allowed} />}
              value={<Tokens count={after.allowed} />}
            />
            <Before
              label="Refused"
              before={<Tokens count={before.denied} />}
              value={<Tokens count={after.denied} />}
            />
            <Before
              label="Over budget"
              before={<Tokens count={before.over_budget} />}
              value={<Tokens count={after.over_budget} />}
            />
            <Before
              label="Cost"
              before={<Money nano={before.cost_nano_usd} />}
              value={<Money nano={after.cost_nano_usd} />}
            />
          </Stats>
        </div>
      </Card>
      {budgets.length > 0 && (
        <Card title="Budgets" flush>
          <DataTable
            label="Budgets"
            rows={budgets}
            rowId={(row) => textOf(row['bucket'])}
            columns={[
              { id: 'bucket', head: 'Bucket', priority: 1, cell: (row) => textOf(row['bucket']) },
              {
                id: 'before',
                head: 'Refused now',
                isNumber: true,
                cell: (row) => textOf(row['refused_before']),
              },
              {
                id: 'after',
                head: 'By the draft',
                isNumber: true,
                cell: (row) => textOf(row['refused_after']),
              },
            ]}
          />
        </Card>
      )}
      <Card title="Requests that change" hint="The first hundred, in time." flush>
        <DataTable
          label="Requests that change"
          rows={requests}
          rowId={(row) => textOf(row['id'])}
          rowHref={(row) => `/requests/${encodeURIComponent(textOf(row['id']))}`}
          empty={
            <EmptyState title="Nothing changes">
              Every request of that time would have been treated as it was.
            </EmptyState>
          }
          columns={[
            { id: 'at', head: 'Time', priority: 1, cell: (row) => <Time at={textOf(row['started_at'])} /> },
            { id: 'user', head: 'User', cell: (row) => textOf(row['user']) },
            { id: 'model', head: 'Model', cell: (row) => textOf(row['requested_model']) },
            {
              id: 'change',
              head: 'Change',
              priority: 1,
              cell: (row) => (
                <span className="row">
                  {textsOf(row['changes']).map((change) => (
                    <Badge key={change} tone={toneOf(change)}>
                      {change.replaceAll('_', ' ')}
                    </Badge>
                  ))}
                </span>
              ),
            },
            { id: 'why', head: 'By the draft', cell: (row) => sideText(row['after']) },
          ]}
        />
      </Card>
      {report.limits.length > 0 && (
        <Card title="What this cannot tell">
          <ul className="policy-limits soft">
            {report.limits.map((limit) => (
              <li key={limit}>{limit}</li>
            ))}
          </ul>
        </Card>
      )}
    </>
  );
}

function Before({
  label,
  before,
  value,
}: {
  readonly label: string;
  readonly before: ReactNode;
  readonly value: ReactNode;
}) {
  return <Stat label={label} value={value} note={<>now {before}</>} />;
}

function recordsOf(value: unknown): readonly Row[] {
  return itemsOf(value).filter(isRecord);
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}

function toneOf(change: string): 'bad' | 'good' | 'warn' | 'neutral' {
  if (change === 'newly_denied' || change === 'newly_over_budget') return 'bad';
  if (change === 'newly_allowed' || change === 'no_longer_over_budget') return 'good';
  return change === 'tools' || change === 'rerouted' ? 'warn' : 'neutral';
}

function sideText(side: unknown): string {
  if (!isRecord(side)) return '';
  const target = [textOf(side['provider']), textOf(side['model'])].filter((part) => part !== '').join('/');
  const reason = textOf(side['reason']).replaceAll('_', ' ');
  const rule = textOf(side['rule']);
  return [reason === '' ? target : reason, rule].filter((part) => part !== '').join(', by ');
}
