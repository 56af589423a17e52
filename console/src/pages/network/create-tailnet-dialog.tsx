/** Makes a tailnet: one more network, which shares nothing with the others. */
import { useState } from 'react';
import { api, dataOf } from '../../api/client.ts';
import { messageOf } from '../../api/problem.ts';
import { useAction } from '../../presence/index.ts';
import { Button, Dialog, Notice, Select, TextField } from '../../ui/index.ts';
import { LABEL_MAX, labelProblem } from './network-texts.ts';

const KINDS = [
  { id: 'people', label: 'Of people', hint: 'They sign in; servers join with tagged keys' },
  { id: 'machines', label: 'Of machines', hint: 'Tagged devices by key only: nobody signs in' },
] as const;

export function CreateTailnetDialog({
  onClose,
  onMade,
}: {
  readonly onClose: () => void;
  readonly onMade: (name: string) => void;
}) {
  const [name, setName] = useState('');
  const [kind, setKind] = useState<(typeof KINDS)[number]['id']>('people');
  const create = useAction({
    run: () => dataOf(api.POST('/api/v1/tailnets', { body: { name, kind, policy: null } })),
    done: (made) => `${made.name} is made.`,
    changes: ['tailnets', 'audit'],
    onDone: (made) => {
      onMade(made.name);
      onClose();
    },
    onFailure: () => true,
  });
  const wrong = labelProblem(name);
  const isComplete = name !== '' && wrong === null;
  const submit = (): void => {
    if (isComplete && !create.isBusy) create.start();
  };
  return (
    <Dialog
      title="Create a tailnet"
      isOpen
      onClose={onClose}
      footer={
        <>
          <Button onPress={onClose}>Cancel</Button>
          <Button kind="primary" busy={create.isBusy} isDisabled={!isComplete} onPress={submit}>
            Create the tailnet
          </Button>
        </>
      }
    >
      {create.error !== null && !create.isBusy && <Notice tone="bad">{messageOf(create.error)}</Notice>}
      <TextField
        label="Name"
        value={name}
        onChange={setName}
        onEnter={submit}
        maxLength={LABEL_MAX}
        placeholder="staging"
        error={wrong}
        hint="Part of its devices’ names; it cannot be changed."
        autoFocus
      />
      <Select label="Kind" options={KINDS} value={kind} onChange={setKind} />
      <p className="soft">
        Tailnets share nothing: devices of one neither see nor reach those of another. Every device of it may
        reach every other until you give it a policy.
      </p>
    </Dialog>
  );
}
