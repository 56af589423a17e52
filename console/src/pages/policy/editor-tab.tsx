/** The document as text: completion, hints, problems where they are. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Card, CopyButton, Key } from '../../ui/index.ts';
import type { Target } from './document-editor.tsx';
import type { Draft } from './draft.ts';
import { DocumentEditor } from './lazy-editor.tsx';
import { Problems } from './problems.tsx';
import { schemaQuery } from './queries.ts';

export function EditorTab({ draft }: { readonly draft: Draft }) {
  const schema = useQuery(schemaQuery());
  const [target, setTarget] = useState<Target | null>(null);
  return (
    <Card
      title="Gateway document"
      hint={
        draft.mayEdit ? (
          <>
            HuJSON: JSON with comments and trailing commas. <Key>Ctrl</Key> <Key>Space</Key> completes,{' '}
            <Key>F8</Key> goes to the next problem.
          </>
        ) : (
          'Read-only for you: admins change it.'
        )
      }
      actions={<CopyButton text={draft.text} label="Copy the document" />}
    >
      <div className="stack">
        <Problems draft={draft} onGo={setTarget} />
        <DocumentEditor
          label="Gateway document"
          text={draft.text}
          onChange={draft.setText}
          isReadOnly={!draft.mayEdit}
          problems={draft.check?.problems ?? null}
          schema={schema.data ?? null}
          target={target}
        />
      </div>
    </Card>
  );
}
