/** What a simulation needs from the rest; `server.ts` joins them. */
import type { PriceBook } from '../../llm/index.ts';
import type { Provider } from '../../policy/index.ts';
import type { TokenScope } from '../../identity/index.ts';
import type { Store } from '../../store/index.ts';

/** Recorded metadata, newest first, in pages. */
export type RecordedRows = Pick<Store, 'listRequests'>;

/** Prices of the time of a request. */
export type ReplayPrices = Pick<PriceBook, 'price'>;

/** What a token that a row names allows; null for one that is not known any more, and for JWTs. */
export type TokenLookup = (
  id: string,
) => { readonly scopes: readonly TokenScope[]; readonly models: readonly string[] | null } | null;

/** What this Postern can do with a wire format, beyond what a document says. */
export interface FormatAbilities {
  /** Rules on answers of the format can be enforced; where not, a governed caller is refused there. */
  canGovern(format: string, provider: Provider, model: string): boolean;
  /** A request of the format can be translated for the upstream model of a provider that does not speak it. */
  canTranslate(format: string, provider: Provider, model: string): boolean;
}
