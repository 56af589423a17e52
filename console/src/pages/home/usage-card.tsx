/** My requests, tokens and cost: today and of seven days, with their course. */
import { queryOptions, useQuery } from '@tanstack/react-query';
import { useMe } from '../../access.ts';
import { api, dataOf, type Item } from '../../api/client.ts';
import { useLive } from '../../api/live.ts';
import { Sparkline } from '../../charts/sparkline.tsx';
import { counted, Money, money, Tokens } from '../../format/index.ts';
import { Card, LinkButton, Loaded, Stat, Stats } from '../../ui/index.ts';
import { viewerZone } from '../../time-range.ts';
import { useSoon } from '../../use-soon.ts';

const DAYS = 7;

/** By day, in the viewer's zone; asked anew when the day changes. */
function weekQuery(principal: string) {
  const days = lastDays();
  return queryOptions({
    queryKey: ['usage', 'week', principal, days[0]],
    queryFn: ({ signal }) =>
      dataOf(
        api.GET('/api/v1/usage', {
          params: {
            query: { group_by: 'day', principal, from: startOf(days[0] ?? ''), tz: viewerZone() },
          },
          signal,
        }),
      ),
  });
}

export function UsageCard() {
  const { principal } = useMe();
  const week = useQuery(weekQuery(principal));
  const refetchSoon = useSoon(() => void week.refetch());
  useLive(['gap', 'request.finished'], refetchSoon);
  return (
    <Card
      title="My usage"
      hint="Your own requests, whichever program made them."
      actions={
        <LinkButton to="/usage" small kind="quiet">
          Details
        </LinkButton>
      }
    >
      <Loaded query={week} what="Your usage could not be loaded">
        {({ items }) => <Figures items={items} />}
      </Loaded>
    </Card>
  );
}

function Figures({ items }: { readonly items: readonly Item<'/api/v1/usage'>[] }) {
  const days = lastDays().map((day) => items.find(({ key }) => key['day']?.startsWith(day) === true));
  const today = days.at(-1);
  const sum = (pick: (item: Item<'/api/v1/usage'>) => number): number =>
    items.reduce((total, item) => total + pick(item), 0);
  const cost = sum((item) => item.cost_nano_usd);
  const requests = sum((item) => item.requests);
  const unpriced = sum((item) => item.unpriced);
  const costs = days.map((day) => day?.cost_nano_usd ?? 0);
  return (
    <>
      <Stats>
        <Stat
          label="Cost today"
          value={<Money nano={today?.cost_nano_usd ?? 0} />}
          note={counted(today?.requests ?? 0, 'request')}
        />
        <Stat label={`Cost, ${DAYS} days`} value={<Money nano={cost} />} note={counted(requests, 'request')}>
          <Sparkline
            values={costs}
            label={`Cost of each of the last ${DAYS} days: ${costs.map(money).join(', ')}`}
          />
        </Stat>
        <Stat
          label={`Tokens in, ${DAYS} days`}
          value={<Tokens count={sum((item) => item.input_tokens)} />}
          note={cacheNote(
            sum((item) => item.cache_read_tokens),
            sum((item) => item.input_tokens),
          )}
        />
        <Stat
          label={`Tokens out, ${DAYS} days`}
          value={<Tokens count={sum((item) => item.output_tokens)} />}
        />
      </Stats>
      {unpriced > 0 && (
        <p className="soft small-text">
          {counted(unpriced, 'request')} without a known price are not in the cost.
        </p>
      )}
    </>
  );
}

function cacheNote(read: number, input: number): string | undefined {
  return read === 0 || input === 0 ? undefined : `${Math.round((read / input) * 100)} % from caches`;
}

/** The last days in the viewer's zone, today last: `2026-11-23`. */
function lastDays(now = new Date()): readonly string[] {
  return Array.from({ length: DAYS }, (_, index) => {
    const day = new Date(now.getFullYear(), now.getMonth(), now.getDate() - (DAYS - 1 - index));
    const two = (value: number): string => String(value).padStart(2, '0');
    return `${day.getFullYear()}-${two(day.getMonth() + 1)}-${two(day.getDate())}`;
  });
}

/** Its beginning in the viewer's zone. */
function startOf(day: string): string {
  const [year = 0, month = 1, date = 1] = day.split('-').map(Number);
  return new Date(year, month - 1, date).toISOString();
}
