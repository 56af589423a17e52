/** Providers and keys: how each does, and the life of its keys from entered to revoked. */
import { useQuery } from '@tanstack/react-query';
import { KeyRound, Plug } from 'lucide-react';
import { useState } from 'react';
import { useAccess } from '../../access.ts';
import { useLive } from '../../api/live.ts';
import { choiceParam, textParam, useUrlState } from '../../url-state.ts';
import { Button, EmptyState, LinkButton, Loaded, Page, Select, TextField, Toolbar } from '../../ui/index.ts';
import { useSoon } from '../../use-soon.ts';
import { AddKeyDialog } from './add-key-dialog.tsx';
import { ProviderCard } from './provider-card.tsx';
import type { Provider } from './provider-texts.ts';
import { providersQuery } from './providers-queries.ts';
import './providers.css';

const SPANS = [
  { id: '1', label: 'Last hour' },
  { id: '24', label: 'Last 24 hours' },
  { id: '168', label: 'Last 7 days' },
  { id: '720', label: 'Last 30 days' },
] as const;
const SPAN_IDS = SPANS.map(({ id }) => id);
/** A document may have hundreds: so many cards are drawn at a time. */
const CARDS_STEP = 20;
/** More than these are searched rather than looked through. */
const SEARCHED_FROM = 5;

export function ProvidersPage() {
  const { isAdmin, seesAll } = useAccess();
  const [state, setState] = useUrlState({ hours: choiceParam(SPAN_IDS, '24'), q: textParam() });
  const [shown, setShown] = useState(CARDS_STEP);
  const [isAdding, setAdding] = useState(false);
  const providers = useQuery({ ...providersQuery(Number(state.hours)), enabled: seesAll });
  const refetchSoon = useSoon(() => void providers.refetch());
  useLive(['gap', 'request.finished', 'config.changed'], refetchSoon);
  const names = providers.data?.items.filter(({ test }) => !test).map(({ id }) => id) ?? [];
  if (!seesAll)
    return (
      <Page title="Providers and keys">
        <EmptyState title="For auditors and admins" icon={Plug}>
          How providers do and which keys they have is shown to those who look after this server. What you may
          use is in the playground.
        </EmptyState>
      </Page>
    );
  return (
    <Page
      title="Providers and keys"
      lead="Where requests go, how each provider does, and the keys it is asked with. A key is entered once and never shown again."
      actions={
        isAdmin && names.length > 0 ? (
          <Button kind="primary" icon={KeyRound} onPress={() => setAdding(true)}>
            Add a key
          </Button>
        ) : undefined
      }
    >
      <Toolbar label="What is shown">
        <Select
          small
          label="Figures of"
          options={SPANS}
          value={state.hours}
          onChange={(hours) => setState({ hours })}
        />
        {(names.length > SEARCHED_FROM || state.q !== null) && (
          <TextField
            label="Find"
            type="search"
            value={state.q ?? ''}
            onChange={(q) => setState({ q: q === '' ? null : q }, { replace: true })}
          />
        )}
      </Toolbar>
      <Loaded query={providers} what="The providers could not be loaded" lines={8}>
        {({ items }) => {
          const found = sorted(items).filter((provider) => isFound(provider, state.q));
          return (
            <>
              {names.length === 0 && <NoProvider isAdmin={isAdmin} />}
              {found.slice(0, shown).map((provider) => (
                <ProviderCard key={provider.id} provider={provider} />
              ))}
              {found.length === 0 && items.length > 0 && (
                <EmptyState title={`No provider is like "${state.q ?? ''}"`} />
              )}
              {found.length > shown && (
                <Button onPress={() => setShown(shown + CARDS_STEP)}>
                  {`Show more: ${found.length - shown} are left`}
                </Button>
              )}
            </>
          );
        }}
      </Loaded>
      {isAdding && <AddKeyDialog providers={names} onClose={() => setAdding(false)} />}
    </Page>
  );
}

function NoProvider({ isAdmin }: { readonly isAdmin: boolean }) {
  return (
    <EmptyState
      title="No provider yet"
      icon={Plug}
      action={
        isAdmin ? (
          <LinkButton to="/policy" kind="primary">
            Add a provider to the policy
          </LinkButton>
        ) : undefined
      }
    >
      A provider is named in the policy with its address, its formats and its models. Then its key is entered
      here, and requests for its models go there.
    </EmptyState>
  );
}

const RANK: Readonly<Record<Provider['state'], number>> = {
  down: 0,
  no_key: 1,
  degraded: 2,
  ok: 3,
  unused: 4,
  disabled: 5,
};

/** What needs somebody first; Postern's own test provider last. */
function sorted(items: readonly Provider[]): readonly Provider[] {
  const rank = ({ test, state }: Provider): number => (test ? 9 : RANK[state]);
  return items.toSorted((a, b) => rank(a) - rank(b) || a.id.localeCompare(b.id));
}

function isFound({ id, name, models }: Provider, text: string | null): boolean {
  if (text === null) return true;
  const wanted = text.toLowerCase();
  return [id, name, ...models].some((value) => value.toLowerCase().includes(wanted));
}
