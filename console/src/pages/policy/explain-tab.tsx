/** Why may somebody use a model, or why not; by the draft, or the document in force. */
import { useMutation, useQuery } from '@tanstack/react-query';
import { useEffect } from 'react';
import { api, dataOf } from '../../api/client.ts';
import { modelsQuery } from '../../api/queries.ts';
import { choiceParam, textParam, useUrlState } from '../../url-state.ts';
import {
  Badge,
  Button,
  Card,
  CodeBlock,
  ComboBox,
  EmptyState,
  ErrorState,
  Notice,
  Select,
  Skeleton,
  TextField,
} from '../../ui/index.ts';
import type { Draft } from './draft.ts';

const WHO = [
  { id: 'me', label: 'Me, as I am now' },
  { id: 'login', label: 'A person, by login' },
  { id: 'tag', label: 'A device, by tag' },
  { id: 'principal', label: 'A principal' },
] as const;

const NAMES: Readonly<Record<string, string>> = {
  login: 'Login',
  tag: 'Tags',
  principal: 'Principal',
};
const EXAMPLES: Readonly<Record<string, string>> = {
  login: 'olga@example.com',
  tag: 'tag:ci',
  principal: 'service:agent',
};

interface Question {
  readonly model: string;
  readonly who: (typeof WHO)[number]['id'];
  readonly name: string;
  readonly groups: string;
  readonly tool: string;
  readonly input: string;
}

export function ExplainTab({ draft }: { readonly draft: Draft }) {
  const models = useQuery(modelsQuery());
  const [state, setState] = useUrlState({
    model: textParam(),
    who: choiceParam(['me', 'login', 'tag', 'principal'], 'me'),
    name: textParam(),
    groups: textParam(),
    tool: textParam(),
    input: textParam(),
  });
  // A draft is judged as it is when the question is asked.
  const draftText = draft.isDirty ? draft.text : null;
  const explained = useMutation({
    mutationFn: async (question: Question) => ({
      ...(await explain(question, draftText)),
      ofDraft: draftText !== null,
    }),
  });
  const { mutate } = explained;
  const question: Question = {
    model: state.model ?? '',
    who: state.who,
    name: state.name ?? '',
    groups: state.groups ?? '',
    tool: state.tool ?? '',
    input: state.input ?? '',
  };
  const isComplete = question.model !== '' && (question.who === 'me' || question.name !== '');
  const ask = (): void => {
    if (isComplete) mutate(question);
  };
  // oxlint-disable-next-line react-hooks/exhaustive-deps -- a link that holds a whole question is answered once, when it is opened
  useEffect(ask, []);
  return (
    <div className="policy-split">
      <Card title="Question">
        <div className="stack">
          {draft.isDirty && (
            <Notice>
              This answers for your draft, as if it were in force. Discard it to ask about what holds now.
            </Notice>
          )}
          <ComboBox
            label="Model"
            options={(models.data?.items ?? []).map(({ id }) => ({ id, label: id }))}
            value={state.model}
            onChange={(model) => setState({ model }, { replace: true })}
            allowsOther
            placeholder="openai/gpt-5"
          />
          <Select
            label="Who"
            options={WHO}
            value={state.who}
            onChange={(who) => setState({ who, name: null }, { replace: true })}
          />
          {state.who !== 'me' && (
            <>
              <TextField
                label={NAMES[state.who] ?? 'Name'}
                value={question.name}
                onChange={(name) => setState({ name }, { replace: true })}
                onEnter={ask}
                placeholder={EXAMPLES[state.who] ?? ''}
              />
              <TextField
                label="Groups of the network (optional)"
                value={question.groups}
                onChange={(groups) => setState({ groups }, { replace: true })}
                onEnter={ask}
                placeholder="group:eng, group:oncall"
              />
            </>
          )}
          <TextField
            label="A tool that is called (optional)"
            value={question.tool}
            onChange={(tool) => setState({ tool }, { replace: true })}
            onEnter={ask}
            placeholder="Bash"
          />
          {question.tool !== '' && (
            <TextField
              label="Its arguments (optional)"
              hint="JSON. Without them rules are read in the strictest way."
              value={question.input}
              onChange={(input) => setState({ input }, { replace: true })}
              rows={3}
              mono
              placeholder='{ "command": "git push" }'
            />
          )}
          <Button kind="primary" isDisabled={!isComplete} busy={explained.isPending} onPress={ask}>
            Explain
          </Button>
        </div>
      </Card>
      <Card title="Answer">
        {explained.isPending ? (
          <Skeleton lines={6} />
        ) : explained.error !== null ? (
          <ErrorState error={explained.error} what="It could not be explained" retry={ask} />
        ) : explained.data === undefined ? (
          <EmptyState title="Why, or why not?">
            Choose a model and somebody. The answer names the grant or the rule that decides, the budgets and
            guardrails that hold, and who could change it.
          </EmptyState>
        ) : (
          <div className="stack">
            <p>
              <Badge tone={explained.data.allowed ? 'good' : 'bad'}>
                {explained.data.allowed ? 'allowed' : 'refused'}
              </Badge>{' '}
              {explained.data.ofDraft ? 'by your draft' : 'by the document in force'}
            </p>
            <CodeBlock title="Explanation" text={explained.data.text} />
          </div>
        )}
      </Card>
    </div>
  );
}

function explain(question: Question, draftText: string | null) {
  const list = (text: string): string[] => text.split(/[\s,]+/).filter((part) => part !== '');
  const groups = list(question.groups);
  const subject =
    question.who === 'me'
      ? {}
      : {
          subject: {
            door: 'tailscaled' as const,
            groups,
            tags: question.who === 'tag' ? list(question.name) : [],
            ...(question.who === 'login' ? { login: question.name.trim() } : {}),
            ...(question.who === 'principal' ? { principal: question.name.trim() } : {}),
          },
        };
  const call =
    question.tool === ''
      ? {}
      : { call: { tool: question.tool, ...(question.input === '' ? {} : { arguments: question.input }) } };
  const draft = draftText === null ? {} : { draft: draftText };
  return dataOf(
    api.POST('/api/v1/explain', { body: { model: question.model, ...subject, ...call, ...draft } }),
  );
}
