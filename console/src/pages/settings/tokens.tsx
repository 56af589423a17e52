/** Tokens: made once, shown once, revoked at once. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useAccess } from '../../access.ts';
import { api, dataOf, type Schema } from '../../api/client.ts';
import { Relative, Time } from '../../format/index.ts';
import { useAction } from '../../presence/index.ts';
import { choiceParam, countParam, textParam, useUrlState } from '../../url-state.ts';
import {
  Badge,
  Button,
  Card,
  ConfirmDialog,
  DataTable,
  EmptyState,
  Pager,
  Select,
  TextField,
  Toolbar,
} from '../../ui/index.ts';
import { MintDialog } from './mint-dialog.tsx';
import { tokensQuery } from './queries.ts';

type Token = Schema<'Token'>;
const PAGE_SIZE = 50;
const STATES = [
  { id: 'usable', label: 'Usable' },
  { id: 'ended', label: 'Revoked or expired' },
  { id: 'all', label: 'All' },
] as const;

export function TokensPart() {
  const { me } = useAccess();
  const tokens = useQuery(tokensQuery());
  const [state, setState] = useUrlState({
    state: choiceParam(['usable', 'ended', 'all'], 'usable'),
    q: textParam(),
    skip: countParam(0),
  });
  const [isMinting, setMinting] = useState(false);
  const [target, setTarget] = useState<Token | null>(null);
  const revoke = useAction({
    run: (token: Token) => dataOf(api.DELETE('/api/v1/tokens/{id}', { params: { path: { id: token.id } } })),
    done: (_, token) => `The token “${token.name}” is revoked.`,
    changes: ['tokens', 'audit'],
    onDone: () => setTarget(null),
  });
  const rows = tokens.data?.items.filter((token) => fits(token, state.state, state.q));
  const isLast = rows === undefined || state.skip + PAGE_SIZE >= rows.length;
  return (
    <>
      <Card
        title="Tokens"
        label="Tokens"
        hint="For programs that do not come from a device of yours, such as CI. On your own devices no token is needed."
        actions={
          <Button kind="primary" small isDisabled={me.token !== null} onPress={() => setMinting(true)}>
            Make a token
          </Button>
        }
        flush
      >
        <div className="settings-filters">
          <Toolbar label="Filters">
            <Select
              small
              label="State"
              options={STATES}
              value={state.state}
              onChange={(next) => setState({ state: next, skip: 0 })}
            />
            <TextField
              label="Find"
              type="search"
              value={state.q ?? ''}
              onChange={(q) => setState({ q, skip: 0 }, { replace: true })}
              placeholder="Name or owner"
            />
          </Toolbar>
        </div>
        <DataTable
          label="Tokens"
          rows={rows?.slice(state.skip, state.skip + PAGE_SIZE)}
          rowId={({ id }) => id}
          error={tokens.error}
          retry={() => void tokens.refetch()}
          empty={
            tokens.data?.items.length === 0 ? (
              <EmptyState title="No tokens yet">
                Make one for a program that cannot join the network. It acts as you, and may do no more than
                you choose; it is shown once.
              </EmptyState>
            ) : (
              <EmptyState title="No token fits">Show all, or look for something else.</EmptyState>
            )
          }
          columns={[
            { id: 'name', head: 'Name', priority: 1, cell: (token) => token.name },
            { id: 'owner', head: 'Acts as', cell: (token) => token.owner_label },
            { id: 'scopes', head: 'May', cell: (token) => <Scopes token={token} /> },
            {
              id: 'used',
              head: 'Last used',
              cell: (token) =>
                token.last_used_at === null ? (
                  <span className="soft">never</span>
                ) : (
                  <Relative at={token.last_used_at} />
                ),
            },
            { id: 'ends', head: 'Ends', cell: (token) => <Ends token={token} /> },
            {
              id: 'actions',
              head: <span className="visually-hidden">Actions</span>,
              priority: 1,
              cell: (token) =>
                stateOf(token) === 'usable' && (
                  <Button
                    small
                    kind="danger"
                    onPress={() => setTarget(token)}
                    aria-label={`Revoke ${token.name}`}
                  >
                    Revoke
                  </Button>
                ),
            },
          ]}
        />
        <Pager
          cursor={state.skip === 0 ? null : String(state.skip)}
          nextCursor={isLast ? null : String(state.skip + PAGE_SIZE)}
          onCursor={(cursor) => setState({ skip: Number(cursor ?? 0) })}
        />
      </Card>
      {isMinting && <MintDialog onClose={() => setMinting(false)} />}
      {target !== null && (
        <ConfirmDialog
          title="Revoke the token?"
          isOpen
          onClose={() => setTarget(null)}
          onConfirm={() => revoke.start(target)}
          confirm="Revoke the token"
          busy={revoke.isBusy}
        >
          <p>
            <strong className="stranger">{target.name}</strong> stops working at once; its open streams are
            cut within a second.{' '}
            {target.last_used_at === null ? (
              'It was never used.'
            ) : (
              <>
                It was last used <Relative at={target.last_used_at} />.
              </>
            )}
          </p>
        </ConfirmDialog>
      )}
    </>
  );
}

function stateOf(token: Token): 'usable' | 'ended' {
  const isExpired = token.expires_at !== null && Date.parse(token.expires_at) <= Date.now();
  return token.revoked_at !== null || isExpired ? 'ended' : 'usable';
}

function fits(token: Token, state: 'usable' | 'ended' | 'all', q: string | null): boolean {
  if (state !== 'all' && stateOf(token) !== state) return false;
  const text = `${token.name}\n${token.owner}\n${token.owner_label}\n${token.id}`.toLowerCase();
  return q === null || text.includes(q.toLowerCase());
}

function Scopes({ token }: { readonly token: Token }) {
  return (
    <span className="row">
      {token.scopes.map((scope) => (
        <Badge key={scope} tone={scope === 'admin' ? 'warn' : 'neutral'}>
          {scope}
        </Badge>
      ))}
      {token.models !== null && <span className="soft">{token.models.join(', ')}</span>}
    </span>
  );
}

function Ends({ token }: { readonly token: Token }) {
  if (token.revoked_at !== null)
    return (
      <>
        revoked <Time at={token.revoked_at} />
      </>
    );
  return token.expires_at === null ? 'never' : <Relative at={token.expires_at} />;
}
