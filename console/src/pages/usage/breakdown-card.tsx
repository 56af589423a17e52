/** By name, beside the period before; a name narrows the whole page to it. */
import type { UseQueryResult } from '@tanstack/react-query';
import type { Answer } from '../../api/client.ts';
import { Button, Card, type Column, DataTable, EmptyState, Meter } from '../../ui/index.ts';
import { counted, Money, percent, Tokens } from '../../format/index.ts';
import { TruncatedNotice } from './truncated-notice.tsx';
import { type ComparedItem, type Dimension, DIMENSIONS } from './usage-queries.ts';
import { changeText, type Measure, measured, nameText } from './usage-texts.ts';

type Comparison = Answer<'/api/v1/usage/compare'>;

/** Rows at a time: a table of thousands is not read, and would be slow to draw. */
const ROWS_STEP = 50;

/** What it shows before somebody wants more. */
export const FIRST_ROWS = ROWS_STEP;

interface BreakdownProps {
  readonly compared: UseQueryResult<Comparison>;
  /** Of everything that the page tells of, in the chosen measure. */
  readonly total: number;
  /** Asks for more rows. */
  readonly onMore: (rows: number) => void;
  readonly by: Dimension;
  readonly measure: Measure;
  /** Null where a name leads nowhere. */
  readonly onName: ((name: string) => void) | null;
}

export function BreakdownCard({ compared, total, onMore, by, measure, onName }: BreakdownProps) {
  const rows = compared.data?.items;
  const count = compared.data?.rows ?? 0;
  const name = DIMENSIONS.find(({ id }) => id === by)?.label ?? by;
  return (
    <Card title={`By ${name.toLowerCase()}`} flush hint={hintOf(by)}>
      <TruncatedNotice isCut={compared.data?.truncated ?? false} />
      <DataTable
        label={`Usage by ${name.toLowerCase()}`}
        columns={columnsOf({ by, name, measure, total, onName })}
        rows={rows}
        rowId={(row) => JSON.stringify(row.key)}
        error={compared.error}
        retry={() => void compared.refetch()}
        isStale={compared.isPlaceholderData}
        empty={<EmptyState title="Nothing was used in this time or the one before" />}
      />
      {rows !== undefined && count > rows.length && (
        <div className="pager">
          <span className="soft">
            {rows.length} of {counted(count, 'row')}
          </span>
          <Button small busy={compared.isPlaceholderData} onPress={() => onMore(rows.length + ROWS_STEP)}>
            Show more
          </Button>
        </div>
      )}
    </Card>
  );
}

function hintOf(by: Dimension): string | undefined {
  return by === 'group' ? 'Somebody in two teams counts in both.' : undefined;
}

interface Table extends Pick<BreakdownProps, 'by' | 'measure' | 'onName'> {
  readonly name: string;
  readonly total: number;
}

function columnsOf({ by, name, measure, total, onName }: Table): readonly Column<ComparedItem>[] {
  return [
    {
      id: 'name',
      head: name,
      priority: 1,
      cell: ({ key }) => <Name name={key[by] ?? null} onName={onName} />,
    },
    {
      id: 'share',
      head: 'Share',
      cell: ({ key, current }) => {
        const share = total === 0 ? 0 : measured(measure, current) / total;
        return (
          <span className="usage-share">
            <Meter share={share} label={`${nameText(key[by])}: ${percent(share)} of all`} />
            <span className="number">{percent(share)}</span>
          </span>
        );
      },
    },
    {
      id: 'cost',
      head: 'Cost',
      isNumber: true,
      priority: 1,
      cell: ({ current }) => <Money nano={current?.cost_nano_usd ?? 0} />,
    },
    {
      id: 'before',
      head: 'Cost before',
      isNumber: true,
      priority: 3,
      cell: ({ previous }) => <Money nano={previous?.cost_nano_usd ?? 0} />,
    },
    {
      id: 'change',
      head: 'Change',
      isNumber: true,
      cell: ({ current, previous }) => changeText(measured(measure, current), measured(measure, previous)),
    },
    {
      id: 'requests',
      head: 'Requests',
      isNumber: true,
      cell: ({ current }) => <Tokens count={current?.requests ?? 0} />,
    },
    {
      id: 'in',
      head: 'Tokens in',
      isNumber: true,
      priority: 3,
      cell: ({ current }) => <Tokens count={current?.input_tokens ?? 0} />,
    },
    {
      id: 'out',
      head: 'Tokens out',
      isNumber: true,
      priority: 3,
      cell: ({ current }) => <Tokens count={current?.output_tokens ?? 0} />,
    },
  ];
}

function Name({ name, onName }: { readonly name: string | null; readonly onName: BreakdownProps['onName'] }) {
  if (name === null || name === '' || onName === null)
    return <span className={name === null ? 'soft' : 'stranger'}>{nameText(name)}</span>;
  return (
    <Button kind="quiet" small onPress={() => onName(name)}>
      <span className="stranger">{name}</span>
    </Button>
  );
}
