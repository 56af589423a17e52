/** One provider: its state, its figures, what is wrong, and its keys. */
import { KeyRound, Zap } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'react-router';
import { useAccess } from '../../access.ts';
import { api, dataOf, type Schema } from '../../api/client.ts';
import { durationOfMs, Money, percent, Relative, Tokens } from '../../format/index.ts';
import { useAction } from '../../presence/index.ts';
import { Badge, Button, Card, Mono, Notice, Stat, Stats } from '../../ui/index.ts';
import { AddKeyDialog } from './add-key-dialog.tsx';
import { KeysTable } from './keys-table.tsx';
import { FAULTS, type Provider, STAGES, STATES } from './provider-texts.ts';

/** Models named before "and more". */
const MODELS_MAX = 8;

export function ProviderCard({ provider }: { readonly provider: Provider }) {
  const { isAdmin } = useAccess();
  const [isAdding, setAdding] = useState(false);
  const test = useAction({
    run: (keyId: string | null) =>
      dataOf(
        api.POST('/api/v1/providers/{name}/test', {
          params: { path: { name: provider.id } },
          body: keyId === null ? {} : { key_id: keyId },
        }),
      ),
    done: null,
    changes: ['audit'],
    onDone: (result) => setTested(result),
  });
  const [tested, setTested] = useState<Schema<'ProviderTest'> | null>(null);
  const state = STATES[provider.state];
  return (
    <Card
      title={
        <span className="row">
          <span className="stranger">{provider.name}</span>
          <Badge tone={state.tone}>{state.label}</Badge>
          {provider.test && <Badge>test model</Badge>}
        </span>
      }
      hint={<Where provider={provider} />}
      {...(isAdmin && !provider.test
        ? {
            actions: (
              <>
                <Button
                  small
                  icon={Zap}
                  busy={test.isBusy}
                  onPress={() => test.start(null)}
                  aria-label={`Test ${provider.name}`}
                >
                  Test
                </Button>
                <Button
                  small
                  icon={KeyRound}
                  onPress={() => setAdding(true)}
                  aria-label={`Add a key to ${provider.name}`}
                >
                  Add a key
                </Button>
              </>
            ),
          }
        : {})}
    >
      <div className="provider">
        <Figures provider={provider} />
        <Faults provider={provider} />
        {tested !== null && <TestResult result={tested} keys={provider.keys} />}
        <p className="small-text provider-models">
          <span className="soft">Models</span> {provider.models.slice(0, MODELS_MAX).join(', ')}
          {provider.models.length > MODELS_MAX && ` and ${provider.models.length - MODELS_MAX} more`}
          {provider.models.length === 0 && 'none'}
        </p>
        {!provider.test && <KeysTable provider={provider} onTest={test.start} />}
      </div>
      {isAdding && <AddKeyDialog providers={[provider.id]} onClose={() => setAdding(false)} />}
    </Card>
  );
}

function Where({ provider }: { readonly provider: Provider }) {
  return (
    <>
      {provider.description !== '' && <span className="stranger">{provider.description} </span>}
      {!provider.test && <Mono>{provider.origin}</Mono>} {provider.formats.join(', ').replaceAll('_', ' ')}
    </>
  );
}

function Figures({ provider }: { readonly provider: Provider }) {
  const { latency } = provider;
  const ms = (value: number | null | undefined): string => durationOfMs(value);
  return (
    <Stats>
      <Stat
        label="Requests"
        value={<Tokens count={provider.requests} />}
        note={<Money nano={provider.cost_nano_usd} />}
      />
      <Stat
        label="Failed"
        value={provider.requests === 0 ? '–' : percent(provider.error_rate)}
        note={provider.failed === 0 ? 'none' : `${provider.failed} of ${provider.requests}`}
      />
      <Stat
        label="First byte, median"
        value={ms(latency?.first_byte_p50_ms)}
        note={withinText(latency?.first_byte_p95_ms)}
      />
      <Stat label="Answer, median" value={ms(latency?.p50_ms)} note={withinText(latency?.p95_ms)} />
      <Stat
        label="Last used"
        value={
          provider.last_used_at === null ? (
            <span className="provider-when">not in this time</span>
          ) : (
            <span className="provider-when">
              <Relative at={provider.last_used_at} />
            </span>
          )
        }
        note={<Link to={`/requests?provider=${encodeURIComponent(provider.id)}`}>Its requests</Link>}
      />
    </Stats>
  );
}

function withinText(ms: number | null | undefined): string {
  return ms === null || ms === undefined ? 'none measured' : `95 of 100 within ${durationOfMs(ms)}`;
}

/** What is wrong now, and what failed last. */
function Faults({ provider }: { readonly provider: Provider }) {
  const open = provider.circuits.filter(({ phase }) => phase !== 'closed');
  const failure = provider.last_failure;
  return (
    <>
      {open.map((circuit) => (
        <Notice key={`${circuit.key_id ?? ''} ${circuit.model ?? ''}`} tone="warn">
          {circuit.model === null ? 'It' : <span className="stranger">{circuit.model}</span>}{' '}
          {FAULTS[circuit.fault]}: others are tried first
          {circuit.until !== null && (
            <>
              ; tried again <Relative at={circuit.until} />
            </>
          )}
          .
        </Notice>
      ))}
      {failure !== null && (
        <p className="small-text">
          <span className="soft">Last failure</span>{' '}
          <Link to={`/requests/${encodeURIComponent(failure.request_id)}`}>
            <Relative at={failure.at} />
          </Link>
          : {failure.outcome.replaceAll('_', ' ')}
          {failure.reason !== null && `, ${failure.reason.replaceAll('_', ' ')}`}, status {failure.status}
          {failure.model !== null && (
            <>
              , <span className="stranger">{failure.model}</span>
            </>
          )}
        </p>
      )}
    </>
  );
}

function TestResult({
  result,
  keys,
}: {
  readonly result: Schema<'ProviderTest'>;
  readonly keys: Provider['keys'];
}) {
  const key = keys.find(({ id }) => id === result.key_id);
  return (
    <div role="status">
      <Notice tone={result.ok ? 'good' : 'bad'}>
        <strong>{result.ok ? 'The test passed' : 'The test failed'}</strong>
        {key !== undefined && (
          <>
            {' '}
            with key <span className="stranger">{key.name}</span>
          </>
        )}
        : {STAGES[result.stage]}
        {result.status !== null && ` (status ${result.status})`} in {durationOfMs(result.duration_ms)}.{' '}
        <span className="stranger">
          {result.ok ? `${result.models.length} models listed.` : result.message}
        </span>
      </Notice>
    </div>
  );
}
