/** The editor as a script of its own: pages of the policy that need none are shown without it. */
import { lazy, Suspense } from 'react';
import { Skeleton } from '../../ui/index.ts';
import type { DocumentEditorProps } from './document-editor.tsx';

const Editor = lazy(async () => ({ default: (await import('./document-editor.tsx')).DocumentEditor }));
const Changes = lazy(async () => ({ default: (await import('./document-editor.tsx')).DocumentChanges }));

export function DocumentEditor(props: DocumentEditorProps) {
  return (
    <Suspense fallback={<Skeleton lines={14} label="Loading the editor" />}>
      <Editor {...props} />
    </Suspense>
  );
}

/** What a draft changes in a document. */
export function DocumentChanges(props: {
  readonly label: string;
  readonly before: string;
  readonly after: string;
}) {
  return (
    <Suspense fallback={<Skeleton lines={6} label="Loading the changes" />}>
      <Changes {...props} />
    </Suspense>
  );
}
