/** What the pages of Postern's own networks ask. Keys begin with `tailnets`, and within one with its name. */
import { queryOptions } from '@tanstack/react-query';
import { api, dataOf, type Schema } from '../../api/client.ts';

export type Tailnet = Schema<'Tailnet'>;
export type TailnetDevice = Schema<'TailnetDevice'>;
export type TailnetKey = Schema<'TailnetKey'>;
export type TailnetUser = Schema<'TailnetUser'>;
export type TailnetDns = Schema<'TailnetDns'>;
export type SignInRule = Schema<'SignInRule'>;
export type WaitingDevice = Schema<'WaitingDevice'>;
export type NetworkMap = Schema<'NetworkMap'>;

/** 5 s: devices come, go and wait without an event that says so. */
const EVERY_MS = 5_000;
/** 30 s: the map is work for the server. */
const MAP_EVERY_MS = 30_000;

/** All tailnets, at most 1,000, and where devices join them. */
export function tailnetsQuery() {
  return queryOptions({
    queryKey: ['tailnets', 'list'],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/tailnets', { signal })),
    refetchInterval: EVERY_MS,
  });
}

export function tailnetDevicesQuery(tailnet: string) {
  return queryOptions({
    queryKey: ['tailnets', tailnet, 'devices'],
    queryFn: ({ signal }) =>
      dataOf(api.GET('/api/v1/tailnets/{tailnet}/devices', { params: { path: { tailnet } }, signal })),
    refetchInterval: EVERY_MS,
  });
}

export function tailnetUsersQuery(tailnet: string) {
  return queryOptions({
    queryKey: ['tailnets', tailnet, 'users'],
    queryFn: ({ signal }) =>
      dataOf(api.GET('/api/v1/tailnets/{tailnet}/users', { params: { path: { tailnet } }, signal })),
  });
}

/** Whom a tailnet admits by sign-in, and the operator's providers. */
export function signInQuery(tailnet: string) {
  return queryOptions({
    queryKey: ['tailnets', tailnet, 'sign-in'],
    queryFn: ({ signal }) =>
      dataOf(api.GET('/api/v1/tailnets/{tailnet}/sign-in', { params: { path: { tailnet } }, signal })),
  });
}

export function tailnetDnsQuery(tailnet: string) {
  return queryOptions({
    queryKey: ['tailnets', tailnet, 'dns'],
    queryFn: ({ signal }) =>
      dataOf(api.GET('/api/v1/tailnets/{tailnet}/dns', { params: { path: { tailnet } }, signal })),
  });
}

export function tailnetKeysQuery(tailnet: string) {
  return queryOptions({
    queryKey: ['tailnets', tailnet, 'keys'],
    queryFn: ({ signal }) =>
      dataOf(api.GET('/api/v1/tailnets/{tailnet}/keys', { params: { path: { tailnet } }, signal })),
  });
}

/** Devices at which somebody has started to sign in. */
export function waitingDevicesQuery() {
  return queryOptions({
    queryKey: ['tailnets', 'waiting'],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/waiting-devices', { signal })),
    refetchInterval: EVERY_MS,
  });
}

export function networkMapQuery(tailnet: string) {
  return queryOptions({
    queryKey: ['tailnets', tailnet, 'reach'],
    queryFn: ({ signal }) =>
      dataOf(api.GET('/api/v1/tailnets/{tailnet}/reach', { params: { path: { tailnet } }, signal })),
    refetchInterval: MAP_EVERY_MS,
  });
}

/** The policy of a tailnet that was given none; it changes with the server only. */
export function defaultPolicyQuery() {
  return queryOptions({
    queryKey: ['tailnets-default-policy'],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/tailnets/policy/default', { signal })),
    staleTime: Infinity,
  });
}

/** What a save of this text would say. For admins. */
export function policyCheckQuery(tailnet: string, text: string) {
  return queryOptions({
    queryKey: ['tailnets', tailnet, 'check', text],
    queryFn: async ({ signal }) => ({
      text,
      ...(await dataOf(
        api.POST('/api/v1/tailnets/{tailnet}/policy/check', {
          params: { path: { tailnet } },
          body: { policy: text },
          signal,
        }),
      )),
    }),
    staleTime: 30_000,
    gcTime: 10_000,
  });
}
