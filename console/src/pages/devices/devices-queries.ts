/** What the page of devices asks. */
import { queryOptions } from '@tanstack/react-query';
import { api, dataOf, type Schema } from '../../api/client.ts';

export type Device = Schema<'Device'>;

/** 5 s: devices come and go without an event that says so. */
const DEVICES_EVERY_MS = 5_000;
const DAY_MS = 86_400_000;

/** All devices of Postern's own network, at most 4,093; and whether it is on. */
export function devicesQuery() {
  return queryOptions({
    queryKey: ['devices'],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/devices', { signal })),
    refetchInterval: DEVICES_EVERY_MS,
  });
}

/** What a device asked for within the last 30 days, summed up; null where that is nothing. */
export function usedByQuery(principal: string) {
  return queryOptions({
    queryKey: ['usage', 'device', principal],
    queryFn: async ({ signal }) => {
      const from = new Date(Date.now() - 30 * DAY_MS).toISOString();
      const query = { principal, from, group_by: 'total' };
      const { items } = await dataOf(api.GET('/api/v1/usage', { params: { query }, signal }));
      return items[0] ?? null;
    },
    // Whoever is about to remove it sees what is so now.
    staleTime: 0,
  });
}
