/** What rules, hooks and people decided about a request, in a line. */
import { Link } from 'react-router';
import type { Schema } from '../api/client.ts';
import { Badge, type Tone } from '../ui/index.ts';

type Decision = Schema<'Request'>['decisions'][number];

const TONES: Readonly<Record<string, Tone>> = {
  allowed: 'good',
  approved: 'good',
  hit: 'good',
  denied: 'bad',
  blocked: 'bad',
  removed: 'bad',
  pending: 'warn',
  flagged: 'warn',
  redacted: 'warn',
  rewritten: 'warn',
};

const ABOUT: Readonly<Record<string, string>> = { tool_call: 'call', tool: 'tool', attempt: 'tried' };

/** Badges; those of an approval lead to it. Names come from strangers. */
export function Decisions({
  decisions,
  max = 20,
}: {
  readonly decisions: readonly Decision[];
  readonly max?: number;
}) {
  if (decisions.length === 0) return null;
  return (
    <span className="record-decisions">
      {decisions.slice(0, max).map((decision, index) => (
        <DecisionBadge key={index} decision={decision} />
      ))}
      {decisions.length > max && <Badge>{decisions.length - max} more</Badge>}
    </span>
  );
}

function DecisionBadge({ decision }: { readonly decision: Decision }) {
  const { about, name, action, rule, approval_id: approval } = decision;
  const badge = (
    <Badge tone={Object.hasOwn(TONES, action) ? (TONES[action] ?? 'neutral') : 'neutral'}>
      <span className="stranger" title={rule ?? undefined}>
        {ABOUT[about] ?? about} {name.length > 40 ? `${name.slice(0, 40)}…` : name}:{' '}
        {action.replaceAll('_', ' ')}
      </span>
    </Badge>
  );
  return approval === null ? badge : <Link to={`/approvals/${encodeURIComponent(approval)}`}>{badge}</Link>;
}
