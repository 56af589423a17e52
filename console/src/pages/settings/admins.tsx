/** Grants that are not in the document: the first admin, the starter, and what approvals gave. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';
import { useAccess } from '../../access.ts';
import { api, dataOf, type Schema } from '../../api/client.ts';
import { Relative, Time } from '../../format/index.ts';
import { useAction } from '../../presence/index.ts';
import { Badge, Button, Card, ConfirmDialog, DataTable, EmptyState } from '../../ui/index.ts';
import { adminsQuery } from './queries.ts';

type Grant = Schema<'StoredGrant'>;

export function AdminsPart() {
  const { isAdmin } = useAccess();
  const grants = useQuery(adminsQuery());
  const [target, setTarget] = useState<Grant | null>(null);
  const remove = useAction({
    run: ({ principal, role, approval }: Grant) =>
      dataOf(
        api.DELETE('/api/v1/admins/{principal}', {
          params: { path: { principal }, query: { role, ...(approval === null ? {} : { approval }) } },
        }),
      ),
    done: 'The grant is removed.',
    changes: ['admins', 'whoami', 'audit', 'approvals'],
    onDone: () => setTarget(null),
  });
  return (
    <Card
      title="Grants outside of the document"
      hint={
        <>
          Admins by claim, and access that approvals gave. Whom the document grants is under{' '}
          <Link to="/policy?tab=form">Policy</Link>.
        </>
      }
      flush
    >
      <DataTable
        label="Grants outside of the document"
        rows={grants.data?.items}
        rowId={(grant) => `${grant.principal} ${grant.role} ${grant.approval ?? ''}`}
        error={grants.error}
        retry={() => void grants.refetch()}
        empty={
          <EmptyState title="None">
            Everything is granted by the document, or the server was not claimed yet.
          </EmptyState>
        }
        columns={[
          { id: 'who', head: 'Who', priority: 1, cell: ({ principal }) => principal },
          {
            id: 'role',
            head: 'Role',
            cell: ({ role }) => <Badge tone={role === 'admin' ? 'info' : 'neutral'}>{role}</Badge>,
          },
          { id: 'models', head: 'Models', cell: ({ models }) => models.join(', ') },
          {
            id: 'by',
            head: 'By',
            cell: ({ created_by: by, approval }) =>
              approval === null ? (
                by
              ) : (
                <Link to={`/approvals/${encodeURIComponent(approval)}`}>an approval</Link>
              ),
          },
          { id: 'since', head: 'Since', cell: ({ created_at: at }) => <Time at={at} /> },
          {
            id: 'ends',
            head: 'Ends',
            cell: ({ expires_at: at }) =>
              at === null ? <span className="soft">never</span> : <Relative at={at} />,
          },
          {
            id: 'actions',
            head: <span className="visually-hidden">Actions</span>,
            priority: 1,
            cell: (grant) =>
              isAdmin && (
                <Button
                  small
                  kind="danger"
                  onPress={() => setTarget(grant)}
                  aria-label={`Remove the grant of ${grant.principal}`}
                >
                  Remove
                </Button>
              ),
          },
        ]}
      />
      {target !== null && (
        <ConfirmDialog
          title="Remove the grant?"
          isOpen
          onClose={() => setTarget(null)}
          onConfirm={() => remove.start(target)}
          confirm="Remove the grant"
          busy={remove.isBusy}
        >
          <p>
            <strong className="stranger">{target.principal}</strong> loses the role {target.role} that this
            grant gives, and their presence ends. What the document grants stays.
          </p>
        </ConfirmDialog>
      )}
    </Card>
  );
}
