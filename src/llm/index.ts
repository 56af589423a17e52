/** The public face of the LLM side, without the providers (`providers/index.ts`). */
export {
  createEcho,
  ECHO_LABEL,
  type Echo,
  type EchoAnswer,
  type EchoRequest,
  type GeminiFraming,
} from './echo/index.ts';
export { renderRefusal, renderStreamError, type Refusal, type RenderedRefusal } from './errors.ts';
export { createMeter, createUsageStripper, type MeterOptions, type UsageStripper } from './formats/index.ts';
export type { BatchModelUsage, BatchResults, Meter, MeterResult, NamedObject } from './meter.ts';
export { boundaryOf, readMultipartFields, type MultipartFields } from './multipart-fields.ts';
export {
  renderModel,
  renderModels,
  type ModelEntry,
  type ModelsListOptions,
  type ModelsPage,
} from './models-list.ts';
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
} from './prices/index.ts';
export {
  editRequestBody,
  isBodyProblem,
  readRequestBody,
  withMembers,
  type BodyEdits,
  type BodyFacts,
  type BodyProblem,
  type BodyProblemCode,
  type PlainBodyFacts,
} from './request-body.ts';
export type { Dialect, Format, ObjectKind, SurfaceMatch } from './surface.ts';
export { isSurfaceMiss, matchSurface, type SurfaceMiss, type SurfaceMissReason } from './surfaces.ts';
export { applyPatches, type BodyPatch } from './body-patch.ts';
export { limitPatches, readOutputLimit, type OutputLimit } from './output-limit.ts';
export type { Usage } from './usage.ts';
