/** Every version that was saved: who, when and why, what it changed, and the way back to it. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, dataOf, type Item } from '../../api/client.ts';
import { Time } from '../../format/index.ts';
import { useAction } from '../../presence/index.ts';
import { countParam, useUrlState } from '../../url-state.ts';
import { Badge, Button, Card, DataTable, Dialog, EmptyState, Notice, Pager } from '../../ui/index.ts';
import { VersionDiff } from './draft-bar.tsx';
import type { Draft } from './draft.ts';
import { type PolicyDocument, versionsQuery } from './queries.ts';

type Version = Item<'/api/v1/config/versions'>;

export function VersionsTab({ draft, current }: { readonly draft: Draft; readonly current: PolicyDocument }) {
  // Versions before this one; 0 for the newest.
  const [{ before }, setState] = useUrlState({ before: countParam(0) });
  const versions = useQuery(versionsQuery(before === 0 ? null : before));
  const [shown, setShown] = useState<Version | null>(null);
  const [target, setTarget] = useState<Version | null>(null);
  return (
    <Card title={null} label="Versions" flush>
      <DataTable
        label="Versions"
        rows={versions.data?.items}
        isStale={versions.isPlaceholderData}
        rowId={({ version }) => String(version)}
        error={versions.error}
        retry={() => void versions.refetch()}
        empty={
          <EmptyState title="No versions yet">
            {current.source === 'file'
              ? 'A file owns the document; its history is where that file is kept, such as in git.'
              : 'Every save makes one. Write a document on the tab Document, and save it.'}
          </EmptyState>
        }
        columns={[
          {
            id: 'version',
            head: 'Version',
            priority: 1,
            cell: ({ version }) => (
              <>
                {version} {version === current.version && <Badge tone="good">in force</Badge>}
              </>
            ),
          },
          { id: 'at', head: 'Saved', cell: (row) => <Time at={row.created_at} /> },
          { id: 'by', head: 'By', cell: (row) => row.created_by },
          { id: 'why', head: 'Why', cell: ({ comment }) => comment },
          {
            id: 'actions',
            head: <span className="visually-hidden">Actions</span>,
            priority: 1,
            cell: (row) => (
              <div className="row">
                {row.version > 1 && (
                  <Button
                    small
                    onPress={() => setShown(row)}
                    aria-label={`Changes of version ${row.version}`}
                  >
                    Changes
                  </Button>
                )}
                {draft.maySave && row.version !== current.version && (
                  <Button
                    small
                    onPress={() => setTarget(row)}
                    aria-label={`Go back to it: version ${row.version}`}
                  >
                    Go back to it
                  </Button>
                )}
              </div>
            ),
          },
        ]}
      />
      <Pager
        cursor={before === 0 ? null : String(before)}
        nextCursor={versions.data?.next_cursor}
        onCursor={(cursor) => setState({ before: Number(cursor ?? 0) })}
      />
      {shown !== null && (
        <Dialog title={`What version ${shown.version} changed`} isOpen wide onClose={() => setShown(null)}>
          <VersionDiff from={shown.version - 1} to={shown.version} />
        </Dialog>
      )}
      {target !== null && (
        <RollbackDialog draft={draft} current={current} version={target} onClose={() => setTarget(null)} />
      )}
    </Card>
  );
}

function RollbackDialog({
  draft,
  current,
  version,
  onClose,
}: {
  readonly draft: Draft;
  readonly current: PolicyDocument;
  readonly version: Version;
  readonly onClose: () => void;
}) {
  const rollback = useAction({
    run: () =>
      dataOf(
        api.POST('/api/v1/config/rollback', {
          body: { version: version.version, comment: '' },
          headers: { 'if-match': current.etag },
        }),
      ),
    done: (saved) => `What version ${version.version} said is in force, as version ${saved.version}.`,
    changes: ['config', 'status', 'providers', 'models', 'budgets', 'audit'],
    onDone: onClose,
  });
  return (
    <Dialog
      title={`Go back to version ${version.version}`}
      isOpen
      wide
      onClose={onClose}
      footer={
        <>
          <Button onPress={onClose}>Cancel</Button>
          <Button kind="primary" busy={rollback.isBusy} onPress={() => rollback.start()}>
            Put it in force
          </Button>
        </>
      }
    >
      <p>
        It is saved again as a new version, after the same checks as every save. Nothing is lost: version{' '}
        {current.version} stays in the list.
      </p>
      {draft.isDirty && (
        <Notice tone="warn">You have a draft. It stays here, and will say that the document changed.</Notice>
      )}
      <VersionDiff from={current.version} to={version.version} />
    </Dialog>
  );
}
