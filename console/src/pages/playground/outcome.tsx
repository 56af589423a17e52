/** What a request cost and how each step decided, from its record, which is written a moment after its end. */
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { api, dataOf, type Schema } from '../../api/client.ts';
import { durationOfUs, Money, Tokens } from '../../format/index.ts';
import { Badge, type Tone } from '../../ui/index.ts';

/** 20 times 250 ms: records are written within a second. */
const TRIES = 20;
const TRY_MS = 250;
/** No record of this visit's requests is older than a day. */
const SPAN_MS = 86_400_000;

export function Outcome({ requestId }: { readonly requestId: string }) {
  const record = useQuery({
    queryKey: ['request', requestId],
    queryFn: ({ signal }) => recordOf(requestId, signal),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const trail = useQuery({
    queryKey: ['request-trail', requestId],
    queryFn: ({ signal }) =>
      dataOf(api.GET('/api/v1/requests/{id}/trail', { params: { path: { id: requestId } }, signal })),
    enabled: record.data !== undefined && record.data !== null,
    staleTime: Number.POSITIVE_INFINITY,
  });
  if (record.error !== null || record.data === null)
    return <p className="soft">Nothing is recorded of it, so its cost is not known here.</p>;
  if (record.data === undefined)
    return (
      <p className="soft" role="status">
        Waiting for the record …
      </p>
    );
  return (
    <div className="outcome">
      <Figures request={record.data} />
      {trail.data !== undefined && <Trail steps={trail.data.steps} />}
    </div>
  );
}

/** The record, once it is written; null if it never is. A list is asked, which may be empty without being a fault. */
async function recordOf(id: string, signal: AbortSignal): Promise<Schema<'Request'> | null> {
  const query = { q: id, from: new Date(Date.now() - SPAN_MS).toISOString(), limit: 1 };
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const { items } = await dataOf(api.GET('/api/v1/requests', { params: { query }, signal }));
    if (items[0]?.id === id) return items[0];
    await new Promise((resolve) => {
      setTimeout(resolve, TRY_MS);
    });
  }
  return null;
}

function Figures({ request }: { readonly request: Schema<'Request'> }) {
  const { usage, cost_nano_usd: cost, cost_state: costState, estimated } = request;
  return (
    <dl className="outcome-figures">
      <div>
        <dt>Cost</dt>
        <dd>{costState === 'unpriced' ? 'no known price' : <Money nano={cost} estimated={estimated} />}</dd>
      </div>
      <div>
        <dt>Input</dt>
        <dd>
          <Tokens count={usage.input_tokens} />
          {usage.input_tokens !== null && ' tokens'}
        </dd>
      </div>
      <div>
        <dt>Output</dt>
        <dd>
          <Tokens count={usage.output_tokens} />
          {usage.output_tokens !== null && ' tokens'}
        </dd>
      </div>
      <div>
        <dt>Served by</dt>
        <dd className="stranger">
          {request.provider === null ? 'nobody' : `${request.provider}/${request.model ?? ''}`}
        </dd>
      </div>
      <div>
        <dt>Record</dt>
        <dd>
          <Link to={`/requests/${encodeURIComponent(request.id)}`}>{request.id}</Link>
        </dd>
      </div>
    </dl>
  );
}

const NAMES: Readonly<Record<Schema<'RequestTrail'>['steps'][number]['step'], string>> = {
  identify: 'Identify',
  authorize: 'Authorize',
  route: 'Route',
  reserve: 'Reserve',
  guard: 'Guard',
  forward: 'Forward',
  inspect: 'Inspect',
  settle: 'Settle',
  record: 'Record',
};

const TONES: Readonly<Record<Schema<'RequestTrail'>['steps'][number]['state'], Tone>> = {
  passed: 'good',
  refused: 'bad',
  failed: 'bad',
  skipped: 'neutral',
  waiting: 'warn',
};

function Trail({ steps }: { readonly steps: Schema<'RequestTrail'>['steps'] }) {
  const stopped = steps.find(({ state }) => state === 'refused' || state === 'failed' || state === 'waiting');
  return (
    <details className="trail" open={stopped !== undefined}>
      <summary>
        How it was decided
        <span className="soft">
          {stopped === undefined
            ? `, ${steps.filter(({ state }) => state === 'passed').length} steps passed`
            : `, ${stopped.state} at “${NAMES[stopped.step]}”`}
        </span>
      </summary>
      <ol>
        {steps.map(({ step, state, text, rule, duration_us: durationUs, decisions }) => (
          <li key={step}>
            <Badge tone={TONES[state]}>{state}</Badge>
            <strong>{NAMES[step]}</strong>
            <span className="trail-text stranger">
              {text}
              {rule !== null && !text.includes(rule) && <code> {rule}</code>}
              {decisions.map((decision) => (
                <span key={`${decision.about}${decision.name}${decision.action}`} className="trail-decision">
                  {decision.about.replaceAll('_', ' ')} {decision.name}: {decision.action}
                  {decision.approval_id !== null && (
                    <>
                      {' '}
                      <Link to={`/approvals/${encodeURIComponent(decision.approval_id)}`}>approval</Link>
                    </>
                  )}
                </span>
              ))}
            </span>
            <span className="soft number">{durationUs === null ? '' : durationOfUs(durationUs)}</span>
          </li>
        ))}
      </ol>
    </details>
  );
}
