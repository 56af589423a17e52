/** The admin API, presence and claim, the first page, metrics and live events. */
export { createApi, type Api, type ClaimLink } from './api.ts';
export { openApiDocument } from './openapi.ts';
export { API_ERRORS, ApiError, type ApiErrorCode, type Problem } from './errors.ts';
export { clientSettings, type ClientSettings } from './connect-snippets.ts';
export type {
  AccessView,
  ApiDependencies,
  ApiStore,
  DocumentProblem,
  DocumentsPort,
  DocumentText,
  DocumentVersionView,
  KeyView,
  ModelView,
  NewKey,
  NewToken,
  PolicyPort,
  PolicyView,
  PriceEntry,
  ProviderView,
  RecorderStats,
  RequestContext,
  SaveRequest,
  SaveResult,
  TokensPort,
  VaultPort,
} from './ports.ts';
