/** People of a tailnet. */
import { useQuery } from '@tanstack/react-query';
import { Ellipsis, Users } from 'lucide-react';
import { useState } from 'react';
import { useAccess } from '../../access.ts';
import { api, dataOf } from '../../api/client.ts';
import { messageOf } from '../../api/problem.ts';
import { amount, counted, Relative } from '../../format/index.ts';
import { useAction } from '../../presence/index.ts';
import {
  Badge,
  Button,
  Card,
  type Column,
  DataTable,
  Dialog,
  EmptyState,
  IconButton,
  Menu,
  type MenuAction,
  Notice,
  Pager,
  Select,
  TextField,
} from '../../ui/index.ts';
import { countParam, useUrlState } from '../../url-state.ts';
import { type Tailnet, type TailnetUser, tailnetUsersQuery } from './network-queries.ts';
import { namesText } from './network-texts.ts';
import { SignInCard } from './sign-in-card.tsx';
import { useUserActions } from './user-actions.tsx';

const PAGE_SIZE = 50;
const ROLES = [
  { id: 'member', label: 'Member', hint: 'Has devices' },
  { id: 'admin', label: 'Admin', hint: 'Named by autogroup:admin of the policy' },
  { id: 'owner', label: 'Owner', hint: 'Named by autogroup:owner' },
] as const;

const COLUMNS: readonly Column<TailnetUser>[] = [
  { id: 'login', head: 'Login', priority: 1, cell: ({ login }) => <span className="stranger">{login}</span> },
  { id: 'name', head: 'Name', cell: ({ display_name: name }) => <span className="stranger">{name}</span> },
  { id: 'role', head: 'Role', cell: ({ role }) => <Badge>{role}</Badge> },
  {
    id: 'state',
    head: 'State',
    cell: ({ suspended }) =>
      suspended ? <Badge tone="bad">suspended</Badge> : <Badge tone="good">active</Badge>,
  },
  { id: 'devices', head: 'Devices', isNumber: true, cell: ({ devices }) => amount(devices) },
  {
    id: 'provider',
    head: 'Signed in by',
    cell: ({ provider }) => provider ?? <span className="soft">nobody yet</span>,
  },
  {
    id: 'groups',
    head: 'Groups',
    priority: 3,
    cell: ({ groups }) => <span className="stranger">{namesText(groups)}</span>,
  },
  { id: 'since', head: 'Since', cell: ({ created_at: at }) => <Relative at={at} /> },
];

export function UsersTab({ tailnet }: { readonly tailnet: Tailnet }) {
  const { isAdmin } = useAccess();
  const users = useQuery(tailnetUsersQuery(tailnet.name));
  const [{ skip }, setState] = useUrlState({ skip: countParam(0) });
  const [isAdding, setAdding] = useState(false);
  const actions = useUserActions(tailnet);
  const items = users.data?.items;
  const isMachines = tailnet.kind === 'machines';
  return (
    <>
      <Card
        title="Users"
        flush
        hint="Their devices act as them: in the policy, in records and in budgets."
        actions={isAdmin && !isMachines && <Button onPress={() => setAdding(true)}>Add a user</Button>}
      >
        <DataTable
          label="Users"
          columns={isAdmin ? [...COLUMNS, actionsColumn(actions.actionsOf)] : COLUMNS}
          rows={items?.slice(skip, skip + PAGE_SIZE)}
          rowId={({ id }) => String(id)}
          error={users.error}
          retry={() => void users.refetch()}
          empty={
            <EmptyState title={isMachines ? 'Machines only' : 'No user yet'} icon={Users}>
              {isMachines
                ? 'Nobody signs in here: devices join by keys with tags.'
                : 'Add somebody, and let their devices in under their name.'}
            </EmptyState>
          }
        />
        <Pager
          cursor={skip === 0 ? null : String(skip)}
          nextCursor={
            items === undefined || skip + PAGE_SIZE >= items.length ? null : String(skip + PAGE_SIZE)
          }
          onCursor={(cursor) => setState({ skip: Number(cursor ?? 0) })}
          {...(items === undefined || items.length === 0 ? {} : { shown: counted(items.length, 'user') })}
        />
        {isAdding && <AddUserDialog tailnet={tailnet} onClose={() => setAdding(false)} />}
        {actions.dialog}
      </Card>
      {!isMachines && <SignInCard tailnet={tailnet} />}
    </>
  );
}

function actionsColumn(actionsOf: (user: TailnetUser) => readonly MenuAction[]): Column<TailnetUser> {
  return {
    id: 'actions',
    head: <span className="visually-hidden">Actions</span>,
    priority: 1,
    cell: (user) => (
      <Menu
        label={`Actions of ${user.login}`}
        trigger={<IconButton label={`Actions of ${user.login}`} icon={Ellipsis} />}
        actions={actionsOf(user)}
      />
    ),
  };
}

function AddUserDialog({ tailnet, onClose }: { readonly tailnet: Tailnet; readonly onClose: () => void }) {
  const [login, setLogin] = useState('');
  const [role, setRole] = useState<(typeof ROLES)[number]['id']>('member');
  const add = useAction({
    run: () =>
      dataOf(
        api.POST('/api/v1/tailnets/{tailnet}/users', {
          params: { path: { tailnet: tailnet.name } },
          body: { login: login.trim(), role },
        }),
      ),
    done: (user) => `${user.login} is added.`,
    changes: ['tailnets', 'audit'],
    onDone: onClose,
    onFailure: () => true,
  });
  const isLogin = /^[^\s@]+@[^\s@]+$/.test(login.trim());
  const submit = (): void => {
    if (isLogin && !add.isBusy) add.start();
  };
  return (
    <Dialog
      title={`Add a user to ${tailnet.name}`}
      isOpen
      onClose={onClose}
      footer={
        <>
          <Button onPress={onClose}>Cancel</Button>
          <Button kind="primary" busy={add.isBusy} isDisabled={!isLogin} onPress={submit}>
            Add the user
          </Button>
        </>
      }
    >
      {add.error !== null && !add.isBusy && <Notice tone="bad">{messageOf(add.error)}</Notice>}
      <TextField
        label="Login"
        value={login}
        onChange={setLogin}
        onEnter={submit}
        maxLength={255}
        placeholder="alice@example.com"
        hint="As the policy and the gateway’s grants name them."
        autoFocus
      />
      <Select label="Role" options={ROLES} value={role} onChange={setRole} />
    </Dialog>
  );
}
