/** The network edge: the guarded dialer, pooled requests to other servers, listeners, the request guard. */
export { createDialer } from './dialer.ts';
export type { Dialer, DialerOptions, DialTarget, Lookup } from './dialer.ts';
export { UpstreamFailure } from './errors.ts';
export type { DialErrorCode, ListenErrorCode, NetErrorCode, UpstreamErrorCode } from './errors.ts';
export { createFetchSmall } from './fetch-small.ts';
export type { FetchSmall, FetchSmallOptions, SmallAnswer } from './fetch-small.ts';
export { createListener } from './listener.ts';
export type { Listener, ListenerLimits, ListenerOptions, TlsMaterial } from './listener.ts';
export { createRequestGuard, loopbackHosts } from './request-guard.ts';
export type {
  GuardAnswer,
  GuardCode,
  RequestFacts,
  RequestGuard,
  RequestGuardOptions,
} from './request-guard.ts';
export { socketPathFor } from './unix-socket.ts';
export type { SocketPathEnvironment } from './unix-socket.ts';
export { createUpstreams } from './upstreams.ts';
export type {
  UpstreamControl,
  UpstreamHandler,
  UpstreamRequest,
  Upstreams,
  UpstreamsOptions,
  UpstreamTimeouts,
} from './upstreams.ts';
