/** Whether the chain of the log is whole: asked once when the list is there, and again when told to. */
import { useQuery } from '@tanstack/react-query';
import { RefreshCw, ShieldAlert, ShieldCheck } from 'lucide-react';
import { api, dataOf } from '../../api/client.ts';
import { counted, Relative } from '../../format/index.ts';
import { Button, ErrorState, Skeleton } from '../../ui/index.ts';

export function ChainCard({ isListThere }: { readonly isListThere: boolean }) {
  const chain = useQuery({
    queryKey: ['audit-chain'],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/audit/verify', { signal })),
    // Every entry is read for it: the list comes first.
    enabled: isListThere,
    staleTime: 60_000,
    refetchOnWindowFocus: false,
  });
  if (chain.data === undefined)
    return (
      <section className="card chain" aria-label="Chain of the log">
        {chain.error === null ? (
          <Skeleton lines={1} label="Checking the chain" />
        ) : (
          <ErrorState
            error={chain.error}
            what="The chain could not be checked"
            retry={() => void chain.refetch()}
          />
        )}
      </section>
    );
  const { rows, broken_at: brokenAt } = chain.data;
  const isWhole = brokenAt === null;
  const Icon = isWhole ? ShieldCheck : ShieldAlert;
  return (
    <section className={`card chain ${isWhole ? 'good' : 'bad'}`} aria-label="Chain of the log" role="status">
      <Icon aria-hidden size={22} />
      <p>
        {isWhole ? (
          <>
            <strong>The chain is whole.</strong> {counted(rows, 'entry', 'entries')}, each with the hash of
            the one before.
          </>
        ) : (
          <>
            <strong>The chain is broken at entry {brokenAt.toLocaleString('en-US')}.</strong> It or one before
            it was changed behind Postern’s back: compare it with an export that you kept.
          </>
        )}{' '}
        <span className="soft">
          Checked <Relative at={new Date(chain.dataUpdatedAt).toISOString()} />.
        </span>
      </p>
      <Button
        small
        kind="quiet"
        icon={RefreshCw}
        busy={chain.isFetching}
        onPress={() => void chain.refetch()}
      >
        Check again
      </Button>
    </section>
  );
}
