/** A prompt and its answer, as it comes; then what it cost and how it was decided. */
import { LoaderCircle } from 'lucide-react';
import { useState } from 'react';
import { durationOfMs } from '../../format/index.ts';
import { Badge, Button, CodeBlock, CopyButton, StateBadge } from '../../ui/index.ts';
import { Outcome } from './outcome.tsx';
import { RefusalNotice } from './refusal-notice.tsx';
import type { Part, Run } from './run.ts';
import type { Exchange } from './use-runs.ts';

const RAW_MAX_PX = 360;

export function ExchangeView({ exchange }: { readonly exchange: Exchange }) {
  const { prompt, model, sent, run } = exchange;
  const [showsRaw, setShowsRaw] = useState(false);
  const text = run.parts.flatMap((part) => (part.kind === 'text' ? [part.text] : [])).join('');
  const isOver = run.endedMs !== null;
  return (
    <li className="exchange">
      <div className="said">{prompt}</div>
      <article className="answer" aria-label={`Answer of ${model}`} aria-busy={!isOver}>
        <header className="answer-head">
          <strong className="stranger">{model}</strong>
          <span className="soft">{sent.format.label}</span>
          <RunState run={run} />
        </header>
        {run.parts.map((part, index) => (
          <PartView key={index} part={part} />
        ))}
        {isOver && run.parts.length === 0 && run.message === null && (
          <p className="soft">
            {run.state === 'stopped' ? 'Stopped before anything came.' : 'An empty answer.'}
          </p>
        )}
        {run.message !== null && <RefusalNotice run={run} model={model} />}
        {run.warnings.length > 0 && (
          <p className="answer-warnings">
            {run.warnings.map((warning) => (
              <Badge key={warning} tone="warn">
                {warning.replaceAll('_', ' ')}
              </Badge>
            ))}
          </p>
        )}
        {isOver && run.requestId !== null && <Outcome requestId={run.requestId} />}
        {isOver && (
          <p className="answer-buttons">
            {text !== '' && <CopyButton text={text} label="Copy the answer" />}
            <Button small kind="quiet" aria-expanded={showsRaw} onPress={() => setShowsRaw(!showsRaw)}>
              {showsRaw ? 'Hide the wire' : 'Show the wire'}
            </Button>
          </p>
        )}
        {showsRaw && (
          <>
            <CodeBlock title={`POST ${sent.path}`} text={laidOut(sent.body)} maxHeight={RAW_MAX_PX} />
            <CodeBlock title="What came back" text={laidOut(run.raw)} maxHeight={RAW_MAX_PX} />
          </>
        )}
      </article>
    </li>
  );
}

function RunState({ run }: { readonly run: Run }) {
  if (run.endedMs === null)
    return (
      <span className="answer-state" role="status">
        <LoaderCircle aria-hidden size={14} className="spin" />
        {run.state === 'sending'
          ? 'Sent, waiting'
          : run.parts.length === 0
            ? 'Waiting for words'
            : 'Answering'}
      </span>
    );
  const first = run.firstMs === null ? null : durationOfMs(run.firstMs - run.startedMs);
  return (
    <span className="answer-state" role="status">
      {run.state === 'done' ? (
        run.stopReason !== null && <Badge tone="neutral">{run.stopReason.replaceAll('_', ' ')}</Badge>
      ) : (
        <StateBadge state={run.state} />
      )}
      {run.cache === 'hit' && <Badge tone="good">from the cache</Badge>}
      <span className="soft">
        {first === null ? '' : `first words after ${first}, `}
        {durationOfMs(run.endedMs - run.startedMs)} in all
      </span>
    </span>
  );
}

function PartView({ part }: { readonly part: Part }) {
  if (part.kind === 'tool')
    return <CodeBlock title={`Calls ${part.name}`} text={laidOut(part.text)} maxHeight={RAW_MAX_PX} />;
  if (part.kind === 'text') return <div className="answer-text">{part.text}</div>;
  return (
    <details className="answer-thinking">
      <summary>Thinking</summary>
      <div className="answer-text">{part.text}</div>
    </details>
  );
}

/** JSON over several lines; other text as it is. */
function laidOut(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
