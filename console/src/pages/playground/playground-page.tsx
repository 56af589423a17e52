/**
 * A prompt to any model that the viewer may use, in any format: the same way that every program goes,
 * with the same policy, budget and record. The address keeps the choice, never the words.
 */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Eraser, Send, Square } from 'lucide-react';
import { useState } from 'react';
import { useAccess } from '../../access.ts';
import { modelsQuery } from '../../api/queries.ts';
import { Button, Card, EmptyState, ErrorState, Key, Page, TextField } from '../../ui/index.ts';
import { choiceParam, textParam, useUrlState } from '../../url-state.ts';
import { BudgetsLeft } from './budgets-left.tsx';
import { ExchangeView } from './exchange-view.tsx';
import { FORMAT_IDS, FORMATS, type Prompt, type Turn } from './formats.ts';
import { type Options, OptionsCard } from './options-card.tsx';
import { type Exchange, useRuns } from './use-runs.ts';
import './playground.css';

/** Characters of a prompt. */
const PROMPT_MAX = 400_000;
const NO_OPTIONS: Options = { system: '', maxTokens: '', temperature: '', stream: true };

export function PlaygroundPage() {
  const { isUser } = useAccess();
  if (isUser) return <Playground />;
  return (
    <Page title="Playground">
      <Card title={null} label="Playground">
        <EmptyState title="You may use no model yet">
          <p>An admin can grant you some: the first page says what to send them.</p>
        </EmptyState>
      </Card>
    </Page>
  );
}

function Playground() {
  const queries = useQueryClient();
  const models = useQuery(modelsQuery());
  const [state, setState] = useUrlState({
    model: textParam(),
    format: choiceParam(['fitting', ...FORMAT_IDS], 'fitting'),
  });
  const [options, setOptions] = useState(NO_OPTIONS);
  const [prompt, setPrompt] = useState('');
  const [ownBody, setOwnBody] = useState<string | null>(null);
  const runs = useRuns(() => {
    for (const key of ['budgets', 'requests', 'usage', 'sessions'])
      void queries.invalidateQueries({ queryKey: [key] });
  });
  const items = models.data?.items ?? [];
  const model = state.model ?? items.find(({ test }) => !test)?.id ?? items[0]?.id ?? '';
  const known = items.find(({ id }) => id === model);
  const fitting = FORMAT_IDS.find((id) => known?.formats.includes(id)) ?? 'openai_chat';
  const format = FORMATS[state.format === 'fitting' ? fitting : state.format];
  const asked: Prompt = {
    model,
    system: options.system.trim(),
    turns: [...turnsOf(runs.exchanges), { role: 'user', text: prompt }],
    maxTokens: numberOf(options.maxTokens),
    temperature: numberOf(options.temperature),
    stream: options.stream && format.canStream,
  };
  const canSend = !runs.isBusy && model !== '' && (ownBody === null ? prompt.trim() !== '' : isJson(ownBody));
  const send = (): void => {
    if (!canSend) return;
    const body = ownBody ?? JSON.stringify(format.body(asked));
    runs.send({
      prompt: ownBody ?? prompt,
      isOwnBody: ownBody !== null,
      model,
      sent: { format, path: format.path(asked), body },
    });
    if (ownBody === null) setPrompt('');
  };
  return (
    <Page
      title="Playground"
      lead="Send a prompt to any model that you may use. It takes the way of every request: policy, budget, record."
      actions={
        runs.exchanges.length > 0 && (
          <Button icon={Eraser} onPress={runs.clear}>
            New conversation
          </Button>
        )
      }
    >
      {models.error !== null && models.data === undefined && (
        <ErrorState
          error={models.error}
          what="Your models could not be loaded"
          retry={() => void models.refetch()}
        />
      )}
      <div className="playground">
        <div className="playground-main">
          <Exchanges exchanges={runs.exchanges} />
          <Card title={null} label="Your prompt">
            <div className="composer">
              {ownBody === null ? (
                // oxlint-disable-next-line jsx-a11y/no-static-element-interactions -- hears the keys of the field within
                <div
                  onKeyDown={(event) => {
                    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) send();
                  }}
                >
                  <TextField
                    label="Prompt"
                    value={prompt}
                    onChange={setPrompt}
                    rows={4}
                    placeholder="What should the model do?"
                    maxLength={PROMPT_MAX}
                  />
                </div>
              ) : (
                <TextField
                  label={`Body, sent to ${format.path(asked)}`}
                  value={ownBody}
                  onChange={setOwnBody}
                  rows={14}
                  error={isJson(ownBody) ? null : 'This is no JSON: look at its quotes, commas and brackets.'}
                  maxLength={PROMPT_MAX}
                  mono
                />
              )}
              <div className="composer-buttons">
                <Button
                  small
                  kind="quiet"
                  onPress={() =>
                    setOwnBody(ownBody === null ? JSON.stringify(format.body(asked), null, 2) : null)
                  }
                >
                  {ownBody === null ? 'Write the body myself' : 'Back to a prompt'}
                </Button>
                <span className="soft composer-hint">
                  <Key>Ctrl</Key> <Key>Enter</Key> sends to <span className="stranger">{model}</span>
                </span>
                {runs.isBusy ? (
                  <Button kind="danger" icon={Square} onPress={runs.stop}>
                    Stop
                  </Button>
                ) : (
                  <Button kind="primary" icon={Send} isDisabled={!canSend} onPress={send}>
                    Send
                  </Button>
                )}
              </div>
            </div>
          </Card>
        </div>
        <aside className="playground-side" aria-label="Settings of the playground">
          <OptionsCard
            models={items}
            model={model}
            known={known}
            format={state.format}
            fitting={fitting}
            options={options}
            onModel={(id) => setState({ model: id }, { replace: true })}
            onFormat={(id) => {
              setState({ format: id }, { replace: true });
              setOwnBody(null);
            }}
            onOptions={setOptions}
          />
          <BudgetsLeft />
        </aside>
      </div>
    </Page>
  );
}

function Exchanges({ exchanges }: { readonly exchanges: readonly Exchange[] }) {
  if (exchanges.length > 0)
    return (
      <ol className="exchanges" aria-label="Conversation">
        {exchanges.map((exchange) => (
          <ExchangeView key={exchange.id} exchange={exchange} />
        ))}
      </ol>
    );
  return (
    <Card title={null} label="Conversation">
      <EmptyState title="Ask a model something">
        <p>
          Choose a model and write a prompt. The answer is shown as it comes, with its cost, how each step
          decided, and the link to its record. What you write is not kept in this browser.
        </p>
      </EmptyState>
    </Card>
  );
}

/** What was said so far: refused and failed exchanges are no part of the conversation. */
function turnsOf(exchanges: readonly Exchange[]): readonly Turn[] {
  return exchanges.flatMap(({ prompt, run, isOwnBody }): readonly Turn[] => {
    const text = run.parts.flatMap((part) => (part.kind === 'text' ? [part.text] : [])).join('');
    if (isOwnBody || text === '' || run.state === 'refused' || run.state === 'failed') return [];
    return [
      { role: 'user', text: prompt },
      { role: 'assistant', text },
    ];
  });
}

function numberOf(text: string): number | null {
  const value = Number(text);
  return text.trim() === '' || !Number.isFinite(value) ? null : value;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
