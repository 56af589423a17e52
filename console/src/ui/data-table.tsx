/**
 * A table of one page of a list. Its head stays in view; arrows, `j` and `k` move between rows and
 * Enter opens one. On a phone every row is a card: columns of priority 1 at its top, 2 below with
 * their names, 3 left out.
 */
import { ChevronLeft, ChevronRight } from 'lucide-react';
import { type KeyboardEvent, type ReactNode, useRef } from 'react';
import { Link } from 'react-router';
import { Button } from './buttons.tsx';
import { EmptyState, ErrorState, Skeleton, StaleNotice, useShownError } from './states.tsx';

export interface Column<Row> {
  readonly id: string;
  readonly head: ReactNode;
  readonly cell: (row: Row) => ReactNode;
  /** Numbers stand at the right. */
  readonly isNumber?: boolean;
  /** 1, 2 (default) or 3: see above. The first column should have 1. */
  readonly priority?: 1 | 2 | 3;
}

export interface DataTableProps<Row> {
  /** What it lists, for screen readers. */
  readonly label: string;
  readonly columns: readonly Column<Row>[];
  /** Undefined while the first answer is waited for. */
  readonly rows: readonly Row[] | undefined;
  readonly rowId: (row: Row) => string;
  /** Where a row leads: its first column becomes the link. */
  readonly rowHref?: (row: Row) => string;
  readonly error?: unknown;
  readonly retry?: () => void;
  /** Shown in place of no rows; an `EmptyState` that teaches. */
  readonly empty?: ReactNode;
  /** Older rows are shown while newer ones are asked for. */
  readonly isStale?: boolean;
  /** Marks a row, such as one that runs. */
  readonly rowClass?: (row: Row) => string | undefined;
}

export function DataTable<Row>(props: DataTableProps<Row>) {
  const { label, columns, rows, rowId, rowHref, error, retry, empty, isStale = false } = props;
  const body = useRef<HTMLTableSectionElement>(null);
  const failure = useShownError(error, rows !== undefined);
  const again = retry === undefined ? {} : { retry };
  if (rows === undefined && failure !== null)
    return (
      <ErrorState
        error={failure}
        what={`${label} could not be loaded`}
        isRetrying={failure !== error}
        {...again}
      />
    );
  if (rows === undefined) return <Skeleton lines={8} label={`Loading ${label}`} />;
  const notice = <StaleNotice error={failure} {...again} />;
  if (rows.length === 0)
    return (
      <>
        {notice}
        {empty ?? <EmptyState title="Nothing here" />}
      </>
    );
  return (
    <>
      {notice}
      <div className={isStale ? 'table-scroll stale' : 'table-scroll'} aria-busy={isStale}>
        <table className="data-table" role="table" aria-label={label}>
          <thead role="rowgroup">
            <tr role="row">
              {columns.map((column) => (
                <th key={column.id} role="columnheader" scope="col" className={classOf(column)}>
                  {column.head}
                </th>
              ))}
            </tr>
          </thead>
          {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- arrows move between the links within */}
          <tbody ref={body} role="rowgroup" onKeyDown={(event) => moveFocus(event, body.current)}>
            {rows.map((row) => (
              <tr key={rowId(row)} role="row" className={props.rowClass?.(row)}>
                {columns.map((column, index) => (
                  <td
                    key={column.id}
                    role="cell"
                    className={classOf(column)}
                    data-label={headText(column.head)}
                  >
                    {index === 0 && rowHref !== undefined ? (
                      <Link className="row-link" to={rowHref(row)}>
                        {column.cell(row)}
                      </Link>
                    ) : (
                      column.cell(row)
                    )}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

function classOf<Row>({ isNumber = false, priority = 2 }: Column<Row>): string {
  return `p${priority}${isNumber ? ' number' : ''}`;
}

function headText(head: ReactNode): string | undefined {
  return typeof head === 'string' && head !== '' ? head : undefined;
}

const STEPS: Readonly<Record<string, number>> = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 };

function moveFocus(event: KeyboardEvent, body: HTMLElement | null): void {
  if (event.ctrlKey || event.metaKey || event.altKey || body === null) return;
  const links = [...body.querySelectorAll<HTMLElement>('.row-link')];
  const current = links.findIndex((link) => link === document.activeElement);
  if (current < 0) return;
  const step = STEPS[event.key];
  const target =
    event.key === 'Home'
      ? 0
      : event.key === 'End'
        ? links.length - 1
        : step === undefined
          ? null
          : current + step;
  if (target === null) return;
  event.preventDefault();
  links[Math.max(0, Math.min(links.length - 1, target))]?.focus();
}

/**
 * Between the pages of a list with cursors, which lead forward only: back is the browser's own way.
 * `cursor` is what the address holds, null on the first page.
 */
export function Pager({
  cursor,
  nextCursor,
  onCursor,
  shown,
}: {
  readonly cursor: string | null;
  readonly nextCursor: string | null | undefined;
  readonly onCursor: (cursor: string | null) => void;
  /** What is shown, in words: `50 requests`. */
  readonly shown?: string;
}) {
  const hasNext = nextCursor !== null && nextCursor !== undefined;
  if (cursor === null && !hasNext) return shown === undefined ? null : <p className="pager soft">{shown}</p>;
  return (
    <nav className="pager" aria-label="Pages">
      <span className="soft">{shown}</span>
      <Button small icon={ChevronLeft} isDisabled={cursor === null} onPress={() => onCursor(null)}>
        First page
      </Button>
      <Button small icon={ChevronRight} isDisabled={!hasNext} onPress={() => onCursor(nextCursor ?? null)}>
        Next page
      </Button>
    </nav>
  );
}
