/** One page of requests or of sessions; what narrows it and the place in it are in the address. */
import type { LucideIcon } from 'lucide-react';
import type { ReactNode } from 'react';
import { useAccess } from '../access.ts';
import { counted } from '../format/index.ts';
import { rangeLabel } from '../time-range.ts';
import { Card, type Column, DataTable, EmptyState, LinkButton, Pager } from '../ui/index.ts';
import { type Filters, isNarrowed } from './filters.ts';

export interface RecordListProps<Row> {
  /** `Requests`; the table's name. */
  readonly label: string;
  /** `request`; for counts. */
  readonly noun: string;
  readonly icon: LucideIcon;
  readonly filters: Filters;
  readonly onCursor: (cursor: string | null) => void;
  readonly list: {
    readonly data: { readonly items: readonly Row[]; readonly next_cursor: string | null } | undefined;
    readonly error: unknown;
    readonly refetch: () => unknown;
    readonly isPlaceholderData: boolean;
  };
  readonly columns: readonly Column<Row>[];
  /** Its third column, where more than the viewer's own are listed. */
  readonly userColumn: Column<Row>;
  readonly rowId: (row: Row) => string;
  readonly rowHref: (row: Row) => string;
  /** How the first of them comes here. */
  readonly howToBegin: ReactNode;
}

export function RecordList<Row>(props: RecordListProps<Row>) {
  const { label, noun, icon, filters, onCursor, list, columns, userColumn, howToBegin } = props;
  const { seesAll, leads } = useAccess();
  const showsUser = (seesAll || leads.length > 0) && filters.whose !== 'mine';
  const { data } = list;
  return (
    <Card title={null} label={label} flush>
      <DataTable
        label={label}
        columns={showsUser ? [...columns.slice(0, 2), userColumn, ...columns.slice(2)] : columns}
        rows={data?.items}
        rowId={props.rowId}
        rowHref={props.rowHref}
        error={list.error}
        retry={() => void list.refetch()}
        isStale={list.isPlaceholderData}
        empty={
          isNarrowed(filters) ? (
            <EmptyState title="Nothing fits these filters" icon={icon}>
              Take one off, or look at a longer time than “{rangeLabel(filters.range)}”.
            </EmptyState>
          ) : (
            <EmptyState
              title={`No ${noun}s yet`}
              icon={icon}
              action={<LinkButton to="/">Connect a client</LinkButton>}
            >
              {howToBegin}
            </EmptyState>
          )
        }
      />
      <Pager
        cursor={filters.cursor}
        nextCursor={data?.next_cursor}
        onCursor={onCursor}
        {...(data === undefined ? {} : { shown: counted(data.items.length, noun) })}
      />
    </Card>
  );
}
