/** All of it together, beside the period before. */
import { Card, Loaded, Stat, Stats } from '../../ui/index.ts';
import { counted, exactTime, Money, percent, Tokens } from '../../format/index.ts';
import type { Answer } from '../../api/client.ts';
import { changeText } from './usage-texts.ts';

interface Totals {
  readonly data: Answer<'/api/v1/usage/compare'> | undefined;
  readonly error: unknown;
  readonly refetch: () => unknown;
}

export function TotalsCard({ totals }: { readonly totals: Totals }) {
  return (
    <Card title={null} label="Totals">
      <Loaded query={totals} what="The totals could not be loaded">
        {({ items, previous }) => {
          const now = items[0]?.current ?? null;
          const before = items[0]?.previous ?? null;
          const note = (current: number | undefined, earlier: number | undefined): string =>
            `${changeText(current ?? 0, earlier ?? 0)} against the period before`;
          const fromCaches =
            now === null || now.input_tokens === 0 ? 0 : now.cache_read_tokens / now.input_tokens;
          return (
            <>
              <Stats>
                <Stat
                  label="Cost"
                  value={<Money nano={now?.cost_nano_usd ?? 0} />}
                  note={note(now?.cost_nano_usd, before?.cost_nano_usd)}
                />
                <Stat
                  label="Requests"
                  value={<Tokens count={now?.requests ?? 0} />}
                  note={note(now?.requests, before?.requests)}
                />
                <Stat
                  label="Tokens in"
                  value={<Tokens count={now?.input_tokens ?? 0} />}
                  note={`${percent(fromCaches)} from caches`}
                />
                <Stat
                  label="Tokens out"
                  value={<Tokens count={now?.output_tokens ?? 0} />}
                  note={note(now?.output_tokens, before?.output_tokens)}
                />
                <Stat
                  label="Refused or failed"
                  value={<Tokens count={(now?.refused ?? 0) + (now?.failed ?? 0)} />}
                  note={`${counted(now?.refused ?? 0, 'refusal')}, ${counted(now?.failed ?? 0, 'failure')}`}
                />
              </Stats>
              <p className="soft small-text usage-note">
                The period before began {exactTime(previous.from)}.
                {(now?.unpriced ?? 0) > 0 &&
                  ` ${counted(now?.unpriced ?? 0, 'request')} without a known price are not in the cost.`}
                {(now?.estimated ?? 0) > 0 &&
                  ` The usage of ${counted(now?.estimated ?? 0, 'request')} is an estimate.`}
              </p>
            </>
          );
        }}
      </Loaded>
    </Card>
  );
}
