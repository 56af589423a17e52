/** What a draft changes, and the save itself: with presence, upon exactly the document that was read. */
import { useState } from 'react';
import { api, dataOf } from '../../api/client.ts';
import { isProblem } from '../../api/problem.ts';
import { useAction } from '../../presence/index.ts';
import { Button, CopyButton, Dialog, Notice, TextField } from '../../ui/index.ts';
import type { Draft } from './draft.ts';
import { DocumentChanges } from './lazy-editor.tsx';
import { Problems } from './problems.tsx';

export function SaveDialog({ draft, onClose }: { readonly draft: Draft; readonly onClose: () => void }) {
  const [comment, setComment] = useState('');
  const { base, text, check } = draft;
  const save = useAction({
    run: () =>
      dataOf(
        api.PUT('/api/v1/config', {
          body: { text, comment: comment.trim() },
          headers: { 'if-match': base.etag },
        }),
      ),
    done: ({ version }) => `Version ${version} is in force.`,
    changes: ['config', 'status', 'providers', 'models', 'budgets', 'audit'],
    onDone: () => {
      onClose();
      draft.follow();
    },
    onFailure: (error) => isProblem(error, 'precondition_failed') || isProblem(error, 'document_refused'),
  });
  const isConflict = isProblem(save.error, 'precondition_failed');
  return (
    <Dialog
      title={draft.maySave ? 'Save the document' : 'What the draft changes'}
      isOpen
      wide
      onClose={onClose}
      footer={
        draft.maySave ? (
          <>
            <Button onPress={onClose}>Go on editing</Button>
            <Button
              kind="primary"
              busy={save.isBusy}
              isDisabled={check?.valid !== true || isConflict}
              onPress={() => save.start()}
            >
              Save and put in force
            </Button>
          </>
        ) : (
          <CopyButton text={text} label="Copy the draft" small={false} />
        )
      }
    >
      {isConflict && (
        <Notice tone="warn">
          Somebody saved another version meanwhile. Nothing was overwritten: go on editing, look at what
          changed, and save again.
        </Notice>
      )}
      {isProblem(save.error, 'document_refused') && <Notice tone="bad">{save.error.message}</Notice>}
      <Problems draft={draft} />
      <DocumentChanges label="Changes of the document" before={base.text} after={text} />
      {draft.maySave && (
        <TextField
          label="Why (optional)"
          hint="Kept with the version, for whoever asks later."
          value={comment}
          onChange={setComment}
          maxLength={500}
        />
      )}
    </Dialog>
  );
}
