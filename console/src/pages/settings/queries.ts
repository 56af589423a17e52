/** What the settings ask. */
import { queryOptions } from '@tanstack/react-query';
import { api, dataOf } from '../../api/client.ts';

export function tokensQuery() {
  return queryOptions({
    queryKey: ['tokens'],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/tokens', { signal })),
  });
}

export function passkeysQuery() {
  return queryOptions({
    queryKey: ['passkeys'],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/presence/passkeys', { signal })),
  });
}

export function adminsQuery() {
  return queryOptions({
    queryKey: ['admins'],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/admins', { signal })),
  });
}

/** 5 s: calls come and go while somebody looks. */
const HOOKS_EVERY_MS = 5_000;

export function hooksQuery() {
  return queryOptions({
    queryKey: ['hooks'],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/hooks', { signal })),
    refetchInterval: HOOKS_EVERY_MS,
  });
}

export function deadLettersQuery() {
  return queryOptions({
    queryKey: ['hooks', 'dead-letters'],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/hooks/dead-letters', { signal })),
    refetchInterval: HOOKS_EVERY_MS,
  });
}

/** Messages to people that arrived nowhere. */
export function lostNoticesQuery() {
  return queryOptions({
    queryKey: ['notices', 'dead-letters'],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/notices/dead-letters', { signal })),
    refetchInterval: HOOKS_EVERY_MS,
  });
}

export function retentionQuery() {
  return queryOptions({
    queryKey: ['retention'],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/retention', { signal })),
  });
}

export function settingsQuery() {
  return queryOptions({
    queryKey: ['settings'],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/settings', { signal })),
  });
}

export function doctorQuery() {
  return queryOptions({
    queryKey: ['doctor'],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/doctor', { signal })),
  });
}

/** The network that the gateway is in. */
export function joinedNetworkQuery() {
  return queryOptions({
    queryKey: ['network'],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/network', { signal })),
  });
}

export function aboutQuery() {
  return queryOptions({
    queryKey: ['about'],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/about', { signal })),
  });
}
