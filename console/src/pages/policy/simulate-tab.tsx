/** What the draft would have made of requests that were recorded. */
import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { api, dataOf, type Schema } from '../../api/client.ts';
import { messageOf } from '../../api/problem.ts';
import { counted } from '../../format/index.ts';
import { boundsOf } from '../../time-range.ts';
import { rangeParam, useUrlState } from '../../url-state.ts';
import { Button, Card, DateRange, EmptyState, Meter, Notice } from '../../ui/index.ts';
import type { Draft } from './draft.ts';
import { SimulationReport } from './simulation-report.tsx';

type Simulation = Schema<'Simulation'>;
/** One second: how often progress is shown. */
const WAIT_MS = 1_000;

export function SimulateTab({ draft }: { readonly draft: Draft }) {
  const [{ range }, setState] = useUrlState({ range: rangeParam('7d') });
  const run = useSimulation();
  const { simulation } = run;
  const isRunning = run.isBusy;
  return (
    <>
      <Card
        title="Simulate"
        hint="Every recorded request of that time is judged twice: by the document in force, and by your draft. Nothing is sent or changed."
      >
        <div className="stack">
          {!draft.isDirty && (
            <Notice>
              You have no draft: this compares the document in force with itself. Change something on the tab
              Document or Form first.
            </Notice>
          )}
          <div className="toolbar">
            <DateRange value={range} onChange={(next) => setState({ range: next })} />
            {isRunning ? (
              <Button onPress={run.stop}>Stop</Button>
            ) : (
              <Button
                kind="primary"
                onPress={() => {
                  const { from, to } = boundsOf(range);
                  run.start(draft.text, from, to);
                }}
              >
                Simulate
              </Button>
            )}
          </div>
          {isRunning && (
            <div role="status" className="stack">
              <Meter share={simulation?.progress ?? 0} label="Progress of the simulation" />
              <p className="soft">{counted(simulation?.rows ?? 0, 'request')} read</p>
            </div>
          )}
          {run.failure !== null && <Notice tone="bad">{run.failure}</Notice>}
          {run.text !== null && run.text !== draft.text && simulation?.report != null && (
            <Notice tone="warn">The draft changed since; simulate again.</Notice>
          )}
        </div>
      </Card>
      {simulation?.report == null ? (
        !isRunning &&
        run.failure === null && (
          <EmptyState title="See what a change does before it does it">
            The report tells what would have been refused, what would have gone elsewhere, which budgets would
            have been used up, and what it would have cost.
          </EmptyState>
        )
      ) : (
        <SimulationReport report={simulation.report} />
      )}
    </>
  );
}

interface Run {
  readonly simulation: Simulation | null;
  /** The text that it is about. */
  readonly text: string | null;
  readonly isBusy: boolean;
  readonly failure: string | null;
  readonly start: (draft: string, from: string, to: string | undefined) => void;
  readonly stop: () => void;
}

/** One simulation at a time; it ends when it is stopped or the tab is left. */
function useSimulation(): Run {
  const queries = useQueryClient();
  const [simulation, setSimulation] = useState<Simulation | null>(null);
  const [text, setText] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const [failure, setFailure] = useState<string | null>(null);
  const turn = useRef<AbortController | null>(null);
  const running = useRef<string | null>(null);
  const stop = (): void => {
    turn.current?.abort();
    turn.current = null;
    setBusy(false);
    if (running.current !== null) void cancel(running.current);
    running.current = null;
  };
  const latest = useRef(stop);
  useEffect(() => {
    latest.current = stop;
  });
  useEffect(() => () => latest.current(), []);
  const start = (draft: string, from: string, to: string | undefined): void => {
    const controller = new AbortController();
    turn.current = controller;
    setBusy(true);
    setFailure(null);
    setSimulation(null);
    setText(draft);
    const show = (state: Simulation): void => {
      running.current = state.state === 'running' ? state.id : null;
      setSimulation(state);
    };
    follow({ draft, from, to, signal: controller.signal, show })
      .then((last) => {
        if (last.error !== null) setFailure(last.error);
      })
      .catch((error: unknown) => {
        if (!controller.signal.aborted) setFailure(messageOf(error));
      })
      .finally(() => {
        if (turn.current === controller) setBusy(false);
        void queries.invalidateQueries({ queryKey: ['audit'] });
      });
  };
  return { simulation, text, isBusy, failure, start, stop };
}

async function follow(ask: {
  readonly draft: string;
  readonly from: string;
  readonly to: string | undefined;
  readonly signal: AbortSignal;
  readonly show: (simulation: Simulation) => void;
}): Promise<Simulation> {
  const { draft, from, to, signal, show } = ask;
  const body = {
    draft,
    since: from,
    ...(to === undefined ? {} : { until: to }),
    requests: 100,
    wait_ms: WAIT_MS,
  };
  let state = await dataOf(api.POST('/api/v1/simulate', { body, signal }));
  show(state);
  while (state.state === 'running' && !signal.aborted) {
    const params = { path: { id: state.id }, query: { wait_ms: WAIT_MS } };
    // oxlint-disable-next-line no-await-in-loop -- each answer waits for the next second of progress
    state = await dataOf(api.GET('/api/v1/simulate/{id}', { params, signal }));
    show(state);
  }
  return state;
}

async function cancel(id: string): Promise<void> {
  try {
    await dataOf(api.DELETE('/api/v1/simulate/{id}', { params: { path: { id } } }));
  } catch {
    // It ended by itself, or ends within a minute because nobody asks for it.
  }
}
