/** Simulations of drafts over what was recorded, as the API starts them. */
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import type { Doors } from './doors.ts';
import type { Documents } from '../gateway/documents/index.ts';
import { translatedFormatOf } from '../gateway/index.ts';
import {
  type CompiledDraft,
  compileDraft,
  createSimulations,
  type Simulations,
} from '../gateway/simulate/index.ts';
import { canGovern } from '../llm/answer/index.ts';
import type { Format, PriceBook } from '../llm/index.ts';
import type { FoundProviderView, Provider } from '../policy/index.ts';
import type { Store } from '../store/index.ts';

export interface OpenSimulationsOptions {
  readonly tailnet: string;
  /** The operator's own file grants alone; stored grants count only without one. */
  readonly ownsFile: boolean;
  readonly store: Store;
  readonly documents: Documents;
  readonly found: readonly FoundProviderView[];
  readonly knownModels: (provider: Provider) => readonly string[];
  readonly prices: PriceBook;
  readonly doors: Pick<Doors, 'tokens'>;
  readonly clock: Clock;
  readonly random: Random;
}

/** Simulations, and what they are made of for questions about one request. */
export interface DraftsInUse extends Simulations {
  compile(text: string): Promise<CompiledDraft>;
}

export function openSimulations(options: OpenSimulationsOptions): DraftsInUse {
  const { tailnet, ownsFile, store, documents, found, knownModels, prices, clock, random } = options;
  const compile = async (text: string): Promise<CompiledDraft> =>
    compileDraft(text, {
      tailnet,
      source: ownsFile ? 'file' : 'api',
      found,
      storedGrants: ownsFile ? [] : await store.listGrants(),
      knownModels,
    });
  const simulations = createSimulations({
    tailnet,
    store,
    policy: documents,
    compile,
    prices,
    abilities: {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- rows hold the formats of this version; an unknown one cannot be governed.
      canGovern: (format, _provider, model) => canGovern(format as Format, model),
      canTranslate: (format, { formats }, model) => translatedFormatOf(format, formats, model) !== null,
    },
    tokenOf: (id) => options.doors.tokens.get(id),
    clock,
    random,
  });
  return Object.assign(simulations, { compile });
}
