/** The steps of the pipeline in their order, and what each of them found. */
import { Check, CircleDashed, Clock, type LucideIcon, TriangleAlert, X } from 'lucide-react';
import type { Schema } from '../../api/client.ts';
import { durationOfUs, money } from '../../format/index.ts';
import { Decisions } from '../../records/decisions.tsx';

type Step = Schema<'RequestTrail'>['steps'][number];

const NAMES: Readonly<Record<Step['step'], string>> = {
  identify: 'Identify',
  authorize: 'Authorize',
  route: 'Route',
  reserve: 'Reserve the budget',
  guard: 'Guard the request',
  forward: 'Forward',
  inspect: 'Inspect the answer',
  settle: 'Settle the cost',
  record: 'Record',
};

const ICONS: Readonly<Record<Step['state'], LucideIcon>> = {
  passed: Check,
  refused: X,
  failed: TriangleAlert,
  skipped: CircleDashed,
  waiting: Clock,
};

export function Trail({ steps }: { readonly steps: readonly Step[] }) {
  return (
    <ol className="trail">
      {steps.map((step) => (
        <TrailStep key={step.step} step={step} />
      ))}
    </ol>
  );
}

function TrailStep({ step }: { readonly step: Step }) {
  const Icon = ICONS[step.state];
  const facts = Object.entries(step.facts).filter(([, value]) => value !== null && value !== '');
  return (
    <li className={`trail-step ${step.state}`}>
      <span className="trail-icon" aria-hidden>
        <Icon size={14} />
      </span>
      <div>
        <p className="trail-head">
          <strong>{NAMES[step.step]}</strong>
          <span className="visually-hidden">{step.state}</span>
          {step.duration_us !== null && <span className="soft number">{durationOfUs(step.duration_us)}</span>}
        </p>
        <p className="stranger">{step.text}</p>
        {step.rule !== null && (
          <p className="small-text soft">
            Rule <code className="stranger">{step.rule}</code>
          </p>
        )}
        <Decisions decisions={step.decisions} />
        {facts.length > 0 && (
          <details>
            <summary className="small-text soft">What it saw</summary>
            <dl className="trail-facts">
              {facts.map(([name, value]) => (
                <div key={name}>
                  <dt>{name.replace(/_(?:nano_usd|us)$/, '').replaceAll('_', ' ')}</dt>
                  <dd className="stranger">{factText(name, value)}</dd>
                </div>
              ))}
            </dl>
          </details>
        )}
      </div>
    </li>
  );
}

/** Units are at the end of a fact's name. */
function factText(name: string, value: Step['facts'][string]): string {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value !== 'number') return value ?? '–';
  if (name.endsWith('_nano_usd')) return money(value);
  return name.endsWith('_us') ? durationOfUs(value) : value.toLocaleString('en-US');
}
