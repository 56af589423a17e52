/** Where the draft stands, and what can be done with it: above every tab while there is one. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { counted } from '../../format/index.ts';
import { Badge, Button, CopyButton, Dialog, ErrorState, Notice, Skeleton } from '../../ui/index.ts';
import { DiffText } from './diff-text.tsx';
import type { Draft } from './draft.ts';
import { diffQuery, type PolicyDocument } from './queries.ts';
import { SaveDialog } from './save-dialog.tsx';

export function DraftBar({ draft, current }: { readonly draft: Draft; readonly current: PolicyDocument }) {
  const [isSaving, setSaving] = useState(false);
  const [isComparing, setComparing] = useState(false);
  return (
    <>
      {draft.isOvertaken && (
        <Notice tone="warn">
          <div className="row">
            <p className="policy-grow">
              <strong>The document changed while you were editing.</strong> You began at version{' '}
              {draft.base.version}; version {current.version} is in force now. Look at what changed, then go
              on upon it: saving then replaces version {current.version} with your text.
            </p>
            {draft.base.source === 'store' && current.source === 'store' && (
              <Button small onPress={() => setComparing(true)}>
                What changed
              </Button>
            )}
            <Button small onPress={draft.rebase}>
              Go on with my text
            </Button>
            <Button small onPress={draft.discard}>
              Take theirs
            </Button>
          </div>
        </Notice>
      )}
      <div className="draft-bar">
        <p role="status" className="policy-grow row">
          <DraftState draft={draft} current={current} />
        </p>
        {draft.isDirty && (
          <div className="actions">
            <Button small kind="quiet" onPress={draft.discard}>
              Discard
            </Button>
            {draft.maySave ? (
              <Button small kind="primary" isDisabled={draft.isOvertaken} onPress={() => setSaving(true)}>
                Review and save
              </Button>
            ) : (
              <>
                <Button small onPress={() => setSaving(true)}>
                  Review
                </Button>
                <CopyButton text={draft.text} label="Copy the draft" />
              </>
            )}
          </div>
        )}
      </div>
      {isSaving && <SaveDialog draft={draft} onClose={() => setSaving(false)} />}
      {isComparing && (
        <Dialog
          title={`Version ${draft.base.version} and version ${current.version}`}
          isOpen
          wide
          onClose={() => setComparing(false)}
        >
          <VersionDiff from={draft.base.version} to={current.version} />
        </Dialog>
      )}
    </>
  );
}

function DraftState({ draft, current }: { readonly draft: Draft; readonly current: PolicyDocument }) {
  const { check, isDirty, isChecking } = draft;
  const errors = check?.problems.filter(({ severity }) => severity !== 'note').length ?? 0;
  const failures = check?.failures.length ?? 0;
  const where = current.source === 'file' ? 'The file in force' : `Version ${current.version}`;
  return (
    <>
      <Badge tone={isDirty ? 'info' : 'neutral'}>{isDirty ? 'Draft' : where}</Badge>
      {isDirty && <span className="soft">upon {where.toLowerCase()}</span>}
      {isChecking && <span className="soft">Checking …</span>}
      {check !== null && check.valid && <span className="good">No problems; a save would be accepted.</span>}
      {errors > 0 && <span className="bad">{counted(errors, 'problem')}</span>}
      {failures > 0 && <span className="bad">{counted(failures, 'failing test')}</span>}
    </>
  );
}

/** The server's diff of two versions. */
export function VersionDiff({ from, to }: { readonly from: number; readonly to: number }) {
  const diff = useQuery(diffQuery(from, to));
  if (diff.data !== undefined)
    return diff.data.diff === '' ? (
      <p className="soft">Nothing: both say the same.</p>
    ) : (
      <DiffText label={`From version ${from} to ${to}`} text={diff.data.diff} />
    );
  if (diff.error !== null)
    return (
      <ErrorState error={diff.error} what="The diff could not be loaded" retry={() => void diff.refetch()} />
    );
  return <Skeleton lines={6} />;
}
