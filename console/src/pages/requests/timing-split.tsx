/** Where the time of a request went: Postern's own parts, the wait for the provider, and its stream. */
import type { Schema } from '../../api/client.ts';
import { durationOfUs } from '../../format/index.ts';

interface Span {
  readonly id: string;
  readonly label: string;
  readonly us: number;
}

/** The parts add up to the total; what is not measured by itself is Postern's other work. */
export function spansOf(timing: Schema<'Request'>['timing']): readonly Span[] {
  const { identity_us: identity, decision_us: decision, total_us: total } = timing;
  const upstream = Math.min(timing.upstream_us ?? 0, total);
  const before = Math.max(0, (timing.first_byte_us ?? 0) - (total - upstream));
  const wait = timing.first_byte_us === null ? upstream : Math.min(upstream, before);
  const rest = Math.max(0, total - identity - decision - upstream);
  return [
    { id: 'identity', label: 'Who it is', us: identity },
    { id: 'decision', label: 'Deciding', us: decision },
    { id: 'own', label: 'Postern’s other work', us: rest },
    { id: 'wait', label: 'Provider, to its first byte', us: wait },
    { id: 'stream', label: 'Provider, the rest of its answer', us: Math.max(0, upstream - wait) },
  ].filter(({ us }) => us > 0);
}

export function TimingSplit({ timing }: { readonly timing: Schema<'Request'>['timing'] }) {
  const spans = spansOf(timing);
  const total = Math.max(1, timing.total_us);
  return (
    <div className="timing">
      <div className="timing-bar" aria-hidden>
        {spans.map(({ id, us }) => (
          <span key={id} className={id} style={{ flexGrow: us / total }} />
        ))}
      </div>
      <dl className="timing-legend">
        {spans.map(({ id, label, us }) => (
          <div key={id}>
            <dt>
              <span aria-hidden className={`timing-mark ${id}`} />
              {label}
            </dt>
            <dd className="number">{durationOfUs(us)}</dd>
          </div>
        ))}
        <div>
          <dt>Together</dt>
          <dd className="number">
            <strong>{durationOfUs(timing.total_us)}</strong>
          </dd>
        </div>
        <div>
          <dt>First byte after</dt>
          <dd className="number">{durationOfUs(timing.first_byte_us)}</dd>
        </div>
        <div>
          <dt>All of Postern’s work</dt>
          <dd className="number">{durationOfUs(timing.own_us)}</dd>
        </div>
      </dl>
    </div>
  );
}
