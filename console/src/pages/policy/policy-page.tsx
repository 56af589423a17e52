/** Policy: the gateway document, read, changed, tried out, saved and put back. */
import { useQuery } from '@tanstack/react-query';
import { useEffect } from 'react';
import { useBlocker } from 'react-router';
import { useLive } from '../../api/live.ts';
import { choiceParam, useUrlState } from '../../url-state.ts';
import { ConfirmDialog, Loaded, Notice, Page, Tabs } from '../../ui/index.ts';
import { DraftBar } from './draft-bar.tsx';
import { type Draft, useDraft } from './draft.ts';
import { EditorTab } from './editor-tab.tsx';
import { ExplainTab } from './explain-tab.tsx';
import { FormTab } from './form-tab.tsx';
import { documentQuery, type PolicyDocument } from './queries.ts';
import { SimulateTab } from './simulate-tab.tsx';
import { TestsTab } from './tests-tab.tsx';
import { VersionsTab } from './versions-tab.tsx';
import './policy.css';

const TABS = [
  { id: 'document', label: 'Document' },
  { id: 'form', label: 'Form' },
  { id: 'tests', label: 'Tests' },
  { id: 'explain', label: 'Explain' },
  { id: 'simulate', label: 'Simulate' },
  { id: 'versions', label: 'Versions' },
] as const;

export function PolicyPage() {
  const document = useQuery(documentQuery());
  useLive(['gap', 'config.changed', 'config.failed'], () => void document.refetch());
  return (
    <Page
      title="Policy"
      lead="One document says who may use what, what must not happen, who is asked, and what it may cost."
    >
      <Loaded query={document} what="The document could not be loaded" lines={12}>
        {(current) => <Policy current={current} />}
      </Loaded>
    </Page>
  );
}

function Policy({ current }: { readonly current: PolicyDocument }) {
  const [{ tab }, setState] = useUrlState({
    tab: choiceParam(
      TABS.map(({ id }) => id),
      'document',
    ),
  });
  const draft = useDraft(current);
  return (
    <>
      <DocumentState document={current} />
      <DraftBar draft={draft} current={current} />
      <Tabs label="Parts of the policy" tabs={TABS} value={tab} onChange={(id) => setState({ tab: id })}>
        {tab === 'document' && <EditorTab draft={draft} />}
        {tab === 'form' && <FormTab draft={draft} />}
        {tab === 'tests' && <TestsTab draft={draft} />}
        {tab === 'explain' && <ExplainTab draft={draft} />}
        {tab === 'simulate' && <SimulateTab draft={draft} />}
        {tab === 'versions' && <VersionsTab draft={draft} current={current} />}
      </Tabs>
      <LeaveGuard draft={draft} />
    </>
  );
}

/** What the viewer must know about the document before reading it. */
function DocumentState({ document }: { readonly document: PolicyDocument }) {
  return (
    <>
      {document.error !== null && (
        <Notice tone="bad">
          <strong>The newest document is not in force; the last good one holds.</strong>{' '}
          <span className="stranger">{document.error}</span>
        </Notice>
      )}
      {document.source === 'file' && (
        <Notice>
          <strong>A file on the server owns this document.</strong> The server was started with{' '}
          <code>--config</code>, watches that file and loads it at once. Here you can read it, try a change
          out and copy it; saving is up to whoever edits the file.
        </Notice>
      )}
    </>
  );
}

/** A draft lives in this page: leaving it asks first. */
function LeaveGuard({ draft }: { readonly draft: Draft }) {
  const { isDirty } = draft;
  const blocker = useBlocker(
    ({ currentLocation, nextLocation }) => isDirty && currentLocation.pathname !== nextLocation.pathname,
  );
  useEffect(() => {
    if (!isDirty) return undefined;
    const ask = (event: BeforeUnloadEvent): void => event.preventDefault();
    addEventListener('beforeunload', ask);
    return () => removeEventListener('beforeunload', ask);
  }, [isDirty]);
  return (
    <ConfirmDialog
      title="Leave your draft?"
      isOpen={blocker.state === 'blocked'}
      onClose={() => blocker.reset?.()}
      onConfirm={() => blocker.proceed?.()}
      confirm="Leave and lose it"
    >
      <p>Your changes to the document are not saved. They are kept only while this page is open.</p>
    </ConfirmDialog>
  );
}
