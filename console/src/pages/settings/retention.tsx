/** What is kept of requests, and how long. */
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { Badge, Card, DataTable, EmptyState, Facts, Loaded, Notice } from '../../ui/index.ts';
import { retentionQuery } from './queries.ts';

const DAY_SEC = 86_400;

export function RetentionPart() {
  const retention = useQuery(retentionQuery());
  return (
    <Loaded query={retention} what="What is kept could not be loaded">
      {({ document, enforced, capture }) => (
        <>
          <Card title="How long">
            {document === null ? (
              <EmptyState title="The document says nothing">
                Everything that is captured is kept. <code>retention</code> in the{' '}
                <Link to="/policy">policy</Link> says how long words are kept.
              </EmptyState>
            ) : (
              <div className="stack">
                <Facts
                  facts={[
                    ['Words are kept', spanOf(document.duration_sec)],
                    ['Removed then', document.purge.join(', ') || 'nothing named'],
                    ['Only after an export', document.require_export ? 'yes' : 'no'],
                  ]}
                />
                {!enforced && (
                  <Notice tone="warn">
                    This version does not delete what is older by itself yet: until it does, nothing that was
                    captured is removed.
                  </Notice>
                )}
              </div>
            )}
          </Card>
          <Card
            title="What is kept"
            hint="By grant; the most private one wins. Without one, everything."
            flush
          >
            <DataTable
              label="What is kept"
              rows={capture}
              rowId={({ rule, capture: kept }) => `${rule} ${kept}`}
              empty={
                <EmptyState title="No grant limits it">
                  Requests are kept with their words. <code>capture</code> of a grant changes that:{' '}
                  <code>redacted</code>, <code>metadata</code> or <code>none</code>.
                </EmptyState>
              }
              columns={[
                { id: 'rule', head: 'Grant', priority: 1, cell: ({ rule }) => rule },
                { id: 'capture', head: 'Kept', cell: ({ capture: kept }) => <Badge>{kept}</Badge> },
              ]}
            />
          </Card>
        </>
      )}
    </Loaded>
  );
}

function spanOf(sec: number | null): string {
  if (sec === null) return 'without an end';
  if (sec === 0) return 'never: they are not written';
  return sec % DAY_SEC === 0 ? `${sec / DAY_SEC} days` : `${Math.round(sec / 3_600)} hours`;
}
