/** One request of the feed: running with its clock, or ended with its cost. */
import { LoaderCircle } from 'lucide-react';
import { useEffect, useState } from 'react';
import { Link } from 'react-router';
import { durationOfMs, durationOfUs, Money, Time, Tokens } from '../../format/index.ts';
import { Decisions } from '../../records/decisions.tsx';
import { StateBadge } from '../../ui/index.ts';
import type { FeedRow } from './feed.ts';

export function FeedLine({ row }: { readonly row: FeedRow }) {
  const { request, started } = row;
  const shown = request ?? started;
  if (shown === null) return null;
  const model = shown.model ?? shown.requested_model ?? '–';
  return (
    <div className={request === null ? 'live-line running' : 'live-line'}>
      <span className="live-state">
        {request === null ? (
          <>
            <LoaderCircle aria-hidden size={14} className="spin" /> <StateBadge state="running" />
          </>
        ) : (
          <StateBadge state={request.outcome} />
        )}
      </span>
      <span className="live-what">
        {request === null ? (
          <strong className="stranger">{model}</strong>
        ) : (
          <Link className="stranger" to={`/requests/${encodeURIComponent(row.id)}`}>
            {model}
          </Link>
        )}
        <span className="soft stranger">
          {[shown.user_label, shown.agent?.slice(0, 60), shown.format].filter(Boolean).join(' · ')}
        </span>
      </span>
      <span className="live-decided">
        {request?.reason != null && (
          <span className="bad small-text">{request.reason.replaceAll('_', ' ')}</span>
        )}
        {request !== null && <Decisions decisions={request.decisions} max={3} />}
      </span>
      <span className="live-figures number">
        {request === null ? (
          <Elapsed since={shown.started_at} />
        ) : (
          <>
            <span>{durationOfUs(request.timing.total_us)}</span>
            <span>
              <Tokens count={request.usage.input_tokens} /> in, <Tokens count={request.usage.output_tokens} />{' '}
              out
            </span>
            <Money nano={request.cost_nano_usd} estimated={request.estimated} />
          </>
        )}
      </span>
      <span className="live-time soft">
        <Time at={shown.started_at} />
      </span>
    </div>
  );
}

/** How long it runs, by the second. */
function Elapsed({ since }: { readonly since: string }) {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  return <span>for {durationOfMs(Math.max(0, now - Date.parse(since)))}</span>;
}
