/** Asking for a model that is not granted, or for more budget: a person decides it here, in the inbox of another. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, dataOf, type Schema } from '../../api/client.ts';
import { budgetsQuery } from '../../api/queries.ts';
import { inUnit } from '../../format/index.ts';
import { useAction } from '../../presence/index.ts';
import { Button, Dialog, Select, TextField } from '../../ui/index.ts';

type Question = Schema<'ApprovalRequest'>;

export function AskDialog(props: {
  readonly kind: 'model' | 'budget';
  /** Filled in, where a link said so. */
  readonly model: string | null;
  readonly bucket: string | null;
  readonly canAskBudget: boolean;
  readonly onKind: (kind: 'model' | 'budget') => void;
  readonly onClose: () => void;
  readonly onAsked: () => void;
}) {
  const { kind, canAskBudget, onKind, onClose, onAsked } = props;
  const [model, setModel] = useState(props.model ?? '');
  const [bucket, setBucket] = useState(props.bucket);
  const [amount, setAmount] = useState('');
  const [reason, setReason] = useState('');
  const budgets = useQuery({ ...budgetsQuery(), enabled: kind === 'budget' });
  const refillable = (budgets.data?.items ?? []).filter(({ unit }) => unit !== 'concurrency');
  const chosen = refillable.find((one) => one.bucket === bucket) ?? refillable[0];
  const question = questionOf({ kind, model, bucket: chosen?.bucket ?? null, amount, reason });
  const ask = useAction({
    run: (body: Question) => dataOf(api.POST('/api/v1/approvals', { body })),
    done: 'Asked. You find here what becomes of it.',
    changes: ['approvals'],
    onDone: onAsked,
  });
  return (
    <Dialog
      title="Ask for more"
      isOpen
      onClose={onClose}
      footer={
        <>
          <Button onPress={onClose}>Cancel</Button>
          <Button
            kind="primary"
            busy={ask.isBusy}
            isDisabled={question === null}
            onPress={() => {
              if (question !== null) ask.start(question);
            }}
          >
            Ask
          </Button>
        </>
      }
    >
      <Select
        label="What"
        options={[
          { id: 'model', label: 'A model' },
          ...(canAskBudget ? [{ id: 'budget' as const, label: 'More budget' }] : []),
        ]}
        value={kind}
        onChange={onKind}
      />
      {kind === 'model' ? (
        <TextField
          label="Model"
          value={model}
          onChange={setModel}
          placeholder="anthropic/claude-sonnet-4-5"
          hint="One model, as provider/model."
          error={model === '' || isModel(model) ? null : 'Write it as provider/model, without patterns.'}
          mono
          maxLength={200}
        />
      ) : (
        <>
          <Select
            label="Budget"
            options={refillable.map((one) => ({
              id: one.bucket,
              label: one.bucket,
              hint: `${inUnit(one.remaining, one.unit)} of ${inUnit(one.capacity, one.unit)} left`,
            }))}
            value={chosen?.bucket ?? null}
            onChange={setBucket}
            placeholder={budgets.isPending ? 'Loading …' : 'No budget limits you'}
          />
          <TextField
            label="How much"
            value={amount}
            onChange={setAmount}
            placeholder={chosen?.unit === 'usd' ? '$5.00' : '1000'}
            hint={
              chosen === undefined
                ? undefined
                : `At most ${inUnit(chosen.capacity, chosen.unit)}, which it can hold.`
            }
            maxLength={40}
          />
        </>
      )}
      <TextField
        label="Why"
        value={reason}
        onChange={setReason}
        rows={3}
        maxLength={1_000}
        hint="The approver reads it."
      />
    </Dialog>
  );
}

function questionOf(asked: {
  readonly kind: 'model' | 'budget';
  readonly model: string;
  readonly bucket: string | null;
  readonly amount: string;
  readonly reason: string;
}): Question | null {
  const { kind, model, bucket, amount } = asked;
  const reason = asked.reason.trim();
  if (reason === '') return null;
  if (kind === 'model') return isModel(model) ? { kind, model: model.trim(), reason } : null;
  return bucket === null || amount.trim() === '' ? null : { kind, bucket, amount: amount.trim(), reason };
}

function isModel(text: string): boolean {
  return /^[^/\s*]+\/[^\s*]+$/.test(text.trim());
}
