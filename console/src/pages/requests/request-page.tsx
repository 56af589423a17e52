/** One request: where its time went, how it was decided, what it cost, and its words. */
import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from 'react-router';
import { useAccess } from '../../access.ts';
import type { Schema } from '../../api/client.ts';
import { budgetsQuery } from '../../api/queries.ts';
import { inUnit, Money, Time, Tokens, bytes } from '../../format/index.ts';
import { requestQuery, trailQuery } from '../../records/queries.ts';
import { ReadingGate } from '../../records/reading.tsx';
import {
  Card,
  CopyButton,
  Facts,
  LinkButton,
  Loaded,
  Meter,
  Notice,
  Page,
  StateBadge,
  Tabs,
} from '../../ui/index.ts';
import { choiceParam, useUrlState } from '../../url-state.ts';
import { RequestConversation } from './request-conversation.tsx';
import { RawBodies } from './raw-bodies.tsx';
import { TimingSplit } from './timing-split.tsx';
import { Trail } from './trail.tsx';
import './requests.css';

type Row = Schema<'Request'>;

export function RequestPage() {
  const { id = '' } = useParams();
  const request = useQuery(requestQuery(id));
  return (
    <Page
      title={request.data?.model ?? request.data?.requested_model ?? 'Request'}
      parent={{ to: '/requests', label: 'Requests' }}
      lead={<RequestLead id={id} row={request.data} />}
      actions={
        request.data?.session_id != null && (
          <LinkButton to={sessionHref(request.data)}>Its session</LinkButton>
        )
      }
    >
      <Loaded query={request} what="The request could not be loaded" lines={8}>
        {(row) => <Details row={row} />}
      </Loaded>
    </Page>
  );
}

function RequestLead({ id, row }: { readonly id: string; readonly row: Row | undefined }) {
  return (
    <span className="row">
      {row !== undefined && <StateBadge state={row.outcome} />}
      {row !== undefined && <Time at={row.started_at} />}
      <code className="stranger">{id}</code>
      <CopyButton iconOnly text={id} label="Copy the request id" />
    </span>
  );
}

/** Its session, of whoever it is. */
function sessionHref({ session_id: session, principal }: Row): string {
  return `/sessions/${encodeURIComponent(session ?? '')}?principal=${encodeURIComponent(principal)}`;
}

function Details({ row }: { readonly row: Row }) {
  const trail = useQuery(trailQuery(row.id));
  return (
    <>
      {row.outcome !== 'ok' && (
        <Notice tone={row.outcome === 'refused' ? 'bad' : 'warn'}>
          {row.outcome === 'refused'
            ? 'Postern refused it'
            : `It ended as ${row.outcome.replaceAll('_', ' ')}`}
          {row.reason === null ? '.' : `: ${row.reason.replaceAll('_', ' ')}.`}{' '}
          {row.rule !== null && (
            <>
              Rule <code className="stranger">{row.rule}</code>.
            </>
          )}
        </Notice>
      )}
      <Card title="Where the time went">
        <TimingSplit timing={row.timing} />
      </Card>
      <div className="request-columns">
        <Card title="How it was decided">
          <Loaded query={trail} what="The trail could not be loaded" lines={9}>
            {({ steps }) => <Trail steps={steps} />}
          </Loaded>
        </Card>
        <div className="stack">
          <CostCard row={row} />
          <BudgetsNow row={row} />
          <WhoCard row={row} />
        </div>
      </div>
      <Words row={row} />
    </>
  );
}

function CostCard({ row }: { readonly row: Row }) {
  const { usage } = row;
  const counts: readonly (readonly [string, number | null])[] = [
    ['Input', usage.input_tokens],
    ['of it read from a cache', usage.cache_read_tokens],
    ['of it written to a cache', usage.cache_write_tokens],
    ['Output', usage.output_tokens],
    ['of it reasoning', usage.reasoning_tokens],
    ['Audio in', usage.input_audio_tokens],
    ['Audio out', usage.output_audio_tokens],
    ['Images in', usage.input_image_tokens],
    ['Images out', usage.output_image_tokens],
    ['Web searches', usage.web_searches],
  ];
  const isMain = (name: string): boolean => name === 'Input' || name === 'Output';
  const shown = counts.filter(([name, value]) => isMain(name) || (value !== null && value > 0));
  return (
    <Card title="Cost and tokens">
      <Facts
        facts={[
          [
            'Cost',
            <span key="cost" className="row">
              <Money nano={row.cost_nano_usd} estimated={row.estimated} />
              <span className="soft">
                {row.cost_state === 'priced' ? (row.estimated ? 'estimated' : 'as reported') : row.cost_state}
              </span>
            </span>,
          ],
          ...(row.saved_nano_usd > 0
            ? [['Saved by the cache', <Money key="saved" nano={row.saved_nano_usd} />] as const]
            : []),
          ...shown.map(([name, value]) => [name, <Tokens key={name} count={value} />] as const),
        ]}
      />
    </Card>
  );
}

/** What limits the viewer now; a record does not say what it was then. Only of one's own requests. */
function BudgetsNow({ row }: { readonly row: Row }) {
  const { me } = useAccess();
  const isOwn = row.principal === me.principal;
  const budgets = useQuery({ ...budgetsQuery(), enabled: isOwn });
  if (!isOwn || budgets.data === undefined || budgets.data.items.length === 0) return null;
  return (
    <Card title="Your budgets now" hint="Each request counts against every budget that limits you.">
      <ul className="request-budgets">
        {budgets.data.items.map((budget) => (
          <li key={budget.bucket}>
            <div className="row">
              <span className="stranger">{budget.bucket}</span>
              <span className="soft">
                {inUnit(budget.remaining, budget.unit)} of {inUnit(budget.capacity, budget.unit)} left
              </span>
            </div>
            <Meter
              share={budget.capacity === 0 ? 1 : 1 - budget.remaining / budget.capacity}
              label={`Used of ${budget.bucket}`}
              tone={budget.remaining <= 0 ? 'bad' : 'info'}
            />
          </li>
        ))}
      </ul>
    </Card>
  );
}

function WhoCard({ row }: { readonly row: Row }) {
  const text = (value: string | null): React.ReactNode =>
    value === null ? '–' : <span className="stranger">{value}</span>;
  return (
    <Card title="Who and what">
      <Facts
        facts={[
          ['User', text(row.user_label)],
          ['Principal', <code key="p">{row.principal}</code>],
          ['Device', text(row.device?.name ?? row.device?.id ?? null)],
          [
            'Agent',
            row.agent === null ? (
              '–'
            ) : (
              <Link to={`/requests?agent=${encodeURIComponent(row.agent)}`}>{row.agent}</Link>
            ),
          ],
          ['Groups', text(row.groups.join(', ') || null)],
          ['Door', text(row.via === null ? row.door : `${row.door}, via ${row.via}`)],
          ['Asked for', text(row.requested_model)],
          ['Sent to', text(row.provider === null ? null : `${row.provider}/${row.model ?? ''}`)],
          ['Format', text(`${row.format}${row.streamed ? ', streamed' : ''}`)],
          ['Path', <code key="path">{`${row.method} ${row.path}`}</code>],
          ['Status', text(row.status === 0 ? 'no answer was sent' : String(row.status))],
          ['Sizes', `${bytes(row.request_bytes)} asked, ${bytes(row.response_bytes)} answered`],
          ...(row.key_id === null ? [] : [['Key', text(row.key_id)] as const]),
          ...(row.token_id === null ? [] : [['Token', text(row.token_id)] as const]),
          ['Kept', row.capture === 'full' ? 'with its words' : row.capture],
        ]}
      />
    </Card>
  );
}

const TABS = [
  { id: 'conversation', label: 'Conversation' },
  { id: 'raw', label: 'As on the wire' },
] as const;

function Words({ row }: { readonly row: Row }) {
  const { me, seesAll } = useAccess();
  const [{ words }, setState] = useUrlState({ words: choiceParam(['conversation', 'raw'], 'conversation') });
  return (
    <Card title="Words">
      {row.capture === 'full' ? (
        <ReadingGate
          key={row.id}
          isOwn={row.principal === me.principal}
          isAllowed={seesAll}
          whose={row.user_label}
        >
          {(reading) => (
            <Tabs label="Words" tabs={TABS} value={words} onChange={(id) => setState({ words: id })}>
              {words === 'raw' ? (
                <RawBodies id={row.id} reading={reading} />
              ) : (
                <RequestConversation row={row} reading={reading} />
              )}
            </Tabs>
          )}
        </ReadingGate>
      ) : (
        <p className="soft">
          Words were not kept: the policy captures {row.capture === 'none' ? 'nothing' : 'metadata only'} of
          such requests.
        </p>
      )}
    </Card>
  );
}
