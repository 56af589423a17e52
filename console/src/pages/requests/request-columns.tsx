/** Columns of the list of requests. */
import type { Schema } from '../../api/client.ts';
import { durationOfUs, Money, Time, Tokens } from '../../format/index.ts';
import { Decisions } from '../../records/decisions.tsx';
import { type Column, StateBadge } from '../../ui/index.ts';

type Row = Schema<'Request'>;

export const REQUEST_COLUMNS: readonly Column<Row>[] = [
  { id: 'time', head: 'Time', priority: 1, cell: ({ started_at: at }) => <Time at={at} /> },
  {
    id: 'outcome',
    head: 'Outcome',
    priority: 1,
    cell: ({ outcome, reason }) => (
      <>
        <StateBadge state={outcome} />
        {reason !== null && <div className="soft small-text">{reason.replaceAll('_', ' ')}</div>}
      </>
    ),
  },
  {
    id: 'model',
    head: 'Model',
    cell: ({ model, requested_model: asked, provider }) => (
      <>
        <span className="stranger">{model ?? asked ?? '–'}</span>
        {provider !== null && <div className="soft small-text">{provider}</div>}
      </>
    ),
  },
  {
    id: 'agent',
    head: 'Agent',
    cell: ({ agent }) => <span className="stranger">{agent === null ? '–' : agent.slice(0, 60)}</span>,
  },
  {
    id: 'decisions',
    head: 'Decisions',
    cell: ({ decisions }) =>
      decisions.length === 0 ? <span className="soft">–</span> : <Decisions decisions={decisions} max={3} />,
  },
  {
    id: 'in',
    head: 'In',
    isNumber: true,
    priority: 3,
    cell: ({ usage }) => <Tokens count={usage.input_tokens} />,
  },
  {
    id: 'out',
    head: 'Out',
    isNumber: true,
    priority: 3,
    cell: ({ usage }) => <Tokens count={usage.output_tokens} />,
  },
  {
    id: 'duration',
    head: 'Took',
    isNumber: true,
    cell: ({ timing }) => <span className="number">{durationOfUs(timing.total_us)}</span>,
  },
  {
    id: 'cost',
    head: 'Cost',
    isNumber: true,
    cell: ({ cost_nano_usd: nano, estimated }) => <Money nano={nano} estimated={estimated} />,
  },
];

/** Where more than the viewer's own are listed. */
export const REQUEST_USER: Column<Row> = {
  id: 'user',
  head: 'User',
  cell: ({ user_label: user, device }) => (
    <>
      <span className="stranger">{user}</span>
      {device !== null && <div className="soft small-text stranger">{device.name ?? device.id}</div>}
    </>
  ),
};
