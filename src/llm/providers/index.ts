/** Provider kinds: how a caller's request becomes the one that its provider expects. */
export { createProviders } from './providers.ts';
export type { Providers } from './providers.ts';
export { upstreamError } from './contract.ts';
export type {
  UpstreamBaseUrl,
  UpstreamCredential,
  UpstreamErrorCode,
  UpstreamInput,
  UpstreamKind,
  UpstreamProvider,
  UpstreamRequest,
} from './contract.ts';
export type {
  FetchSmall,
  OperatorCredentials,
  ProvidersPorts,
  SmallRequest,
  SmallResponse,
} from './ports.ts';
