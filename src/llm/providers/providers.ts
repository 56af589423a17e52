/**
 * The table of provider kinds. Each kind is a function from `UpstreamInput` to `UpstreamRequest`;
 * those that may have to mint a token first answer with a promise only then.
 */
import { prepareAnthropic } from './anthropic.ts';
import { createAwsChain } from './aws-chain.ts';
import { prepareAzure } from './azure.ts';
import { createBedrock } from './bedrock.ts';
import { prepareCompatible } from './compatible.ts';
import type { UpstreamInput, UpstreamKind, UpstreamRequest } from './contract.ts';
import { prepareGemini } from './gemini.ts';
import { createGoogleTokens } from './google-tokens.ts';
import { prepareOpenai } from './openai.ts';
import { prepareOpenrouter } from './openrouter.ts';
import type { ProvidersPorts } from './ports.ts';
import { createVertex } from './vertex.ts';

export interface Providers {
  /**
   * The request to send. Synchronous unless a token has to be minted first or a body of more than
   * 1 MiB has to be hashed. Throws or rejects with an `UpstreamErrorCode`.
   */
  prepareUpstream(input: UpstreamInput): UpstreamRequest | Promise<UpstreamRequest>;
  /**
   * To be told when a provider answered 401 or 403: what was minted from the credential is
   * forgotten, so that the next request mints anew.
   */
  noteRejected(input: Pick<UpstreamInput, 'provider' | 'credential'>): void;
}

type Prepare = (input: UpstreamInput) => UpstreamRequest | Promise<UpstreamRequest>;

export function createProviders(ports: ProvidersPorts): Providers {
  const google = createGoogleTokens(ports);
  const aws = createAwsChain(ports);
  const prepare: Readonly<Record<UpstreamKind, Prepare>> = {
    openai: prepareOpenai,
    anthropic: prepareAnthropic,
    gemini: prepareGemini,
    vertex: createVertex(google, ports),
    bedrock: createBedrock(aws, ports),
    azure: prepareAzure,
    openrouter: prepareOpenrouter,
    compatible: prepareCompatible,
  };
  return {
    prepareUpstream: (input) => prepare[input.provider.kind](input),
    noteRejected: ({ provider, credential }) => {
      if (provider.kind === 'vertex') google.forget(credential?.secret ?? null);
      if (provider.kind === 'bedrock' && credential === null) aws.forget();
    },
  };
}
