/** Messages that call people to an approval or tell of a budget, and that arrived nowhere. */
import { useQuery } from '@tanstack/react-query';
import { counted, Relative } from '../../format/index.ts';
import { Card, DataTable, EmptyState, Mono } from '../../ui/index.ts';
import { lostNoticesQuery } from './queries.ts';

export function LostNotices() {
  const letters = useQuery(lostNoticesQuery());
  return (
    <Card
      title="Notices that did not arrive"
      hint="Messages about approvals and budgets that were given up after every attempt, since this process started."
      flush
    >
      <DataTable
        label="Notices that did not arrive"
        rows={letters.data?.items}
        rowId={({ id }) => id}
        error={letters.error}
        retry={() => void letters.refetch()}
        empty={<EmptyState title="None">Every notice arrived, or is still being tried.</EmptyState>}
        columns={[
          {
            id: 'target',
            head: 'To',
            priority: 1,
            cell: ({ target }) => <span className="stranger">{target}</span>,
          },
          { id: 'at', head: 'Given up', cell: ({ at }) => <Relative at={at} /> },
          { id: 'event', head: 'About', cell: ({ event }) => <Mono>{event}</Mono> },
          {
            id: 'why',
            head: 'Why',
            cell: ({ message, attempts }) => `${message} (${counted(attempts, 'attempt')})`,
          },
        ]}
      />
    </Card>
  );
}
