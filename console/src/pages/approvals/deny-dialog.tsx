/** A refusal needs no reading of the whole call; its reason is told to who asked. */
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useAction } from '../../presence/index.ts';
import { Button, Dialog, TextField } from '../../ui/index.ts';
import { decideApproval } from './approval-queries.ts';
import { type Approval, stateText, titleOf } from './approval-texts.ts';

const REASON_MAX = 1_000;

export function DenyDialog({
  approval,
  onClose,
}: {
  readonly approval: Approval;
  readonly onClose: () => void;
}) {
  const [reason, setReason] = useState('');
  const queries = useQueryClient();
  const deny = useAction({
    run: () =>
      decideApproval(approval.id, {
        verdict: 'deny',
        ...(reason.trim() === '' ? {} : { reason: reason.trim() }),
      }),
    done: (decided) => `${titleOf(decided)}: ${stateText(decided)}.`,
    changes: ['approvals', 'audit'],
    onDone: () => {
      void queries.invalidateQueries({ queryKey: ['approval', approval.id] });
      onClose();
    },
  });
  return (
    <Dialog
      title="Deny"
      isOpen
      onClose={onClose}
      footer={
        <>
          <Button onPress={onClose}>Cancel</Button>
          <Button kind="danger" busy={deny.isBusy} onPress={() => deny.start()}>
            Deny it
          </Button>
        </>
      }
    >
      <p className="stranger">{titleOf(approval)}. It ends at once, whoever else would approve.</p>
      <TextField
        label="Reason (told to who asked)"
        value={reason}
        onChange={setReason}
        onEnter={() => deny.start()}
        maxLength={REASON_MAX}
        autoFocus
      />
    </Dialog>
  );
}
