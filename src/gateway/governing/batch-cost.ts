/** What a batch may cost at most, by what its lines say: the sum of what each could ask for by itself. */
import type { Estimate, TokenPrice } from '../../quotas/index.ts';
import type { BatchLines } from '../ownership/batch-lines.ts';

export interface ModelQuestions {
  /** Most tokens of one answer; null where nobody knows. */
  readonly maxOutput: (model: string) => number | null;
  /** Null where the model has no price. */
  readonly price: (model: string, inputTokensMax: number) => TokenPrice | null;
}

/**
 * An upper bound. Of several models the dearest price holds for all: a budget takes one price for one request.
 * That providers sell batches cheaper is not counted on.
 */
export function batchCost(lines: BatchLines, { maxOutput, price }: ModelQuestions): Estimate {
  let inputTokensMax = 0;
  let outputTokensMax: number | null = 0;
  let dearest: TokenPrice | null = { inputNanoPerToken: 0, outputNanoPerToken: 0, requestNano: 0 };
  for (const [model, sums] of lines.models) {
    inputTokensMax += sums.inputTokensMax;
    const most = sums.unlimitedAnswers === 0 ? 0 : maxOutput(model);
    outputTokensMax =
      outputTokensMax === null || most === null
        ? null
        : outputTokensMax + sums.outputTokens + sums.unlimitedAnswers * most;
    const found = price(model, sums.lineInputTokensMax);
    dearest = dearest === null || found === null ? null : dearer(dearest, found, sums.requests);
  }
  return {
    inputTokensMax,
    outputTokensMax,
    requests: lines.requests,
    unknownInput: lines.isInputUnknown,
    price: dearest,
    clampable: false,
    metered: false,
  };
}

/** What is paid by the request adds up, since the batch is reserved as one. */
function dearer(one: TokenPrice, other: TokenPrice, requests: number): TokenPrice {
  return {
    inputNanoPerToken: Math.max(one.inputNanoPerToken, other.inputNanoPerToken),
    outputNanoPerToken: Math.max(one.outputNanoPerToken, other.outputNanoPerToken),
    requestNano: one.requestNano + other.requestNano * requests,
  };
}
