/** One turn: what was new in it, what the model answered, and what it took and cost. */
import { GitBranch, GitCompare } from 'lucide-react';
import { memo } from 'react';
import { Link } from 'react-router';
import { counted, durationOfUs, Money, percent, Time, Tokens } from '../../format/index.ts';
import { AnswerView, type LoadItem, MessageView } from '../../records/blocks.tsx';
import { Decisions } from '../../records/decisions.tsx';
import { Badge, IconButton, StateBadge } from '../../ui/index.ts';
import type { Place } from './turn-tree.ts';
import type { Turn } from './use-turns.ts';

export interface TurnViewProps {
  readonly turn: Turn;
  readonly place: Place | undefined;
  readonly load: LoadItem;
  readonly toolNames: ReadonlyMap<string, string>;
  /** Somebody went to it. */
  readonly isFound: boolean;
  /** It is one of the two to compare. */
  readonly isPicked: boolean;
  readonly onPick: (number: number) => void;
  readonly onGo: (number: number) => void;
}

export const TurnView = memo(function TurnView(props: TurnViewProps) {
  const { turn, place, isFound, load, toolNames } = props;
  return (
    <article
      className={`turn${isFound ? ' found' : ''}`}
      data-depth={place?.depth ?? 0}
      aria-label={`Turn ${turn.number}`}
    >
      <TurnHead {...props} />
      <div className="turn-body">
        <Given turn={turn} load={load} />
        {turn.messages.slice(turn.repeated).map((message, index) => (
          <MessageView key={index} message={message} load={load} toolNames={toolNames} />
        ))}
        {turn.answer !== null && <AnswerView answer={turn.answer} load={load} toolNames={toolNames} />}
        <NoWords turn={turn} />
      </div>
    </article>
  );
});

function TurnHead({ turn, place, isPicked, onPick, onGo }: TurnViewProps) {
  const { request, approvals } = turn;
  const { usage } = request;
  const read = usage.cache_read_tokens ?? 0;
  const parent = place?.parentNumber ?? null;
  return (
    <header className="turn-head">
      <div className="turn-title">
        <h2>
          <Link to={`/requests/${encodeURIComponent(request.id)}`}>Turn {turn.number}</Link>
        </h2>
        {request.outcome !== 'ok' && <StateBadge state={request.outcome} />}
        {request.reason !== null && (
          <span className="bad small-text">{request.reason.replaceAll('_', ' ')}</span>
        )}
        <span className="stranger soft">{request.model ?? request.requested_model ?? ''}</span>
        {place?.isBranch === true && (
          <span className="turn-branch">
            <GitBranch aria-hidden size={14} />
            {parent === null ? (
              'begins anew'
            ) : (
              <button type="button" className="link" onClick={() => onGo(parent)}>
                {place.isFork ? 'forks within' : 'goes on from'} turn {parent}
              </button>
            )}
          </span>
        )}
        <span className="turn-pick">
          <IconButton
            label={isPicked ? `Turn ${turn.number}: do not compare` : `Compare turn ${turn.number}`}
            icon={GitCompare}
            onPress={() => onPick(turn.number)}
          />
        </span>
      </div>
      <p className="turn-figures soft">
        <Time at={request.started_at} />
        <span className="number">{durationOfUs(request.timing.total_us)}</span>
        <span>
          <Tokens count={usage.input_tokens} /> in
          {read > 0 && `, ${percent(read / Math.max(1, usage.input_tokens ?? 0))} from cache`}
        </span>
        <span>
          <Tokens count={usage.output_tokens} /> out
        </span>
        <Money nano={request.cost_nano_usd} estimated={request.estimated} />
      </p>
      <Decisions decisions={request.decisions} />
      {approvals.length > 0 && (
        <ul className="turn-approvals">
          {approvals.map(({ id, state, kind, subject, decided_at: at }) => (
            <li key={id}>
              <StateBadge state={state} />{' '}
              <Link to={`/approvals/${encodeURIComponent(id)}`}>
                <span className="stranger">
                  Approval of {kind.replaceAll('_', ' ')} {subject.slice(0, 80)}
                </span>
              </Link>
              {at !== null && (
                <span className="soft">
                  {' '}
                  <Time at={at} />
                </span>
              )}
            </li>
          ))}
        </ul>
      )}
    </header>
  );
}

/** System prompt and tools, where they are not the parent's. */
function Given({ turn, load }: { readonly turn: Turn; readonly load: LoadItem }) {
  const { system, tools } = turn;
  const hasSystem = system !== null && system.length > 0;
  const hasTools = tools !== null && tools.length > 0;
  if (!hasSystem && !hasTools) return null;
  return (
    <details className="turn-given">
      <summary className="soft">
        {[hasSystem && 'System prompt', hasTools && counted(tools.length, 'tool')]
          .filter(Boolean)
          .join(' and ')}
      </summary>
      {hasSystem && <MessageView message={{ role: 'system', blocks: system }} load={load} />}
      {hasTools && (
        <ul className="turn-tools">
          {tools.slice(0, 200).map(({ name, description }, index) => (
            <li key={index}>
              <strong className="stranger mono">{name}</strong>{' '}
              <span className="soft stranger">{description.slice(0, 160)}</span>
            </li>
          ))}
        </ul>
      )}
    </details>
  );
}

const NO_WORDS = {
  not_kept: 'Its words were not kept: the policy captures less.',
  unreadable: 'This is no conversation that Postern can read: open the request to see it as on the wire.',
} as const;

function NoWords({ turn }: { readonly turn: Turn }) {
  if (turn.content === 'hidden')
    return turn.request.tool_calls.length === 0 ? null : (
      <p className="row">
        <span className="soft">Called</span>
        {turn.request.tool_calls.slice(0, 12).map((name, index) => (
          <Badge key={index}>
            <span className="stranger">{name.slice(0, 60)}</span>
          </Badge>
        ))}
      </p>
    );
  return turn.content === 'kept' ? null : <p className="soft">{NO_WORDS[turn.content]}</p>;
}
