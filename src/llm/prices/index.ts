export {
  createPriceBook,
  type ModelCostMapping,
  type ModelFacts,
  type PriceAnswer,
  type PriceBook,
  type PriceBookOptions,
  type PriceErrorCode,
  type PriceFields,
  type PriceOverride,
  type PriceQuestion,
  type PricingEntry,
} from './price-book.ts';
