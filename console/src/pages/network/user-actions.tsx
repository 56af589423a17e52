/** What an admin does with a person of a tailnet: another role, suspended, let back, removed. */
import { type ReactNode, useState } from 'react';
import { api, dataOf, type Schema } from '../../api/client.ts';
import { counted } from '../../format/index.ts';
import { useAction } from '../../presence/index.ts';
import { ConfirmDialog, type MenuAction } from '../../ui/index.ts';
import type { Tailnet, TailnetUser } from './network-queries.ts';

const ROLES = ['member', 'admin', 'owner'] as const satisfies readonly Schema<'TailnetUser'>['role'][];
/** What invalidates: their devices and keys go along. */
const CHANGES = ['tailnets', 'audit'] as const;

interface Asked {
  readonly what: 'suspend' | 'remove';
  readonly user: TailnetUser;
}

export function useUserActions(tailnet: Tailnet): {
  readonly actionsOf: (user: TailnetUser) => readonly MenuAction[];
  /** Shown while something is asked back. */
  readonly dialog: ReactNode;
} {
  const [asked, setAsked] = useState<Asked | null>(null);
  const path = ({ id }: TailnetUser) => ({
    params: { path: { tailnet: tailnet.name, user: String(id) } },
  });
  const change = useAction({
    run: ({ user, ...body }: { user: TailnetUser; role?: TailnetUser['role']; suspended?: boolean }) =>
      dataOf(api.PATCH('/api/v1/tailnets/{tailnet}/users/{user}', { ...path(user), body })),
    done: ({ login, role, suspended }) =>
      suspended ? `${login} is suspended.` : `${login} is ${role === 'member' ? 'a member' : `an ${role}`}.`,
    changes: CHANGES,
    onDone: () => setAsked(null),
  });
  const remove = useAction({
    run: (user: TailnetUser) => dataOf(api.DELETE('/api/v1/tailnets/{tailnet}/users/{user}', path(user))),
    done: (_, { login }) => `${login} is removed.`,
    changes: CHANGES,
    onDone: () => setAsked(null),
  });
  return {
    actionsOf: (user) => [
      ...ROLES.filter((role) => role !== user.role).map((role) => ({
        id: role,
        label: `Make ${role === 'member' ? 'a member' : `an ${role}`}`,
        onAction: () => change.start({ user, role }),
      })),
      user.suspended
        ? { id: 'back', label: 'Let back', onAction: () => change.start({ user, suspended: false }) }
        : {
            id: 'suspend',
            label: 'Suspend …',
            danger: true,
            onAction: () => setAsked({ what: 'suspend', user }),
          },
      { id: 'remove', label: 'Remove …', danger: true, onAction: () => setAsked({ what: 'remove', user }) },
    ],
    dialog:
      asked === null ? null : asked.what === 'suspend' ? (
        <ConfirmDialog
          title={`Suspend ${asked.user.login}?`}
          isOpen
          onClose={() => setAsked(null)}
          confirm="Suspend"
          busy={change.isBusy}
          onConfirm={() => change.start({ user: asked.user, suspended: true })}
        >
          <p>
            {counted(asked.user.devices, 'device')} and all auth keys of this person end at once, and nothing
            of theirs joins until they are let back.
          </p>
        </ConfirmDialog>
      ) : (
        <ConfirmDialog
          title={`Remove ${asked.user.login}?`}
          isOpen
          onClose={() => setAsked(null)}
          confirm="Remove the user"
          busy={remove.isBusy}
          onConfirm={() => remove.start(asked.user)}
        >
          <p>
            {counted(asked.user.devices, 'device')} and all auth keys of this person are gone at once. Records
            and the audit log stay.
          </p>
        </ConfirmDialog>
      ),
  };
}
