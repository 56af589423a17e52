/** Translation between generation formats, for targets that do not speak the caller's own. */
export {
  isTranslationProblem,
  type AnswerTranscoder,
  type AnswerTranslation,
  type CountTranslation,
  type TargetFormat,
  type TranslatedAnswer,
  type TranslatedCount,
  type TranslatedFormat,
  type TranslatedRequest,
  type TranslationProblem,
  type TranslationTarget,
  type Translator,
} from './contract.ts';
export { translateCount } from './count-tokens.ts';
export { isForeignHeader } from './foreign-headers.ts';
export { servesModel } from './targets.ts';
export { sourceFormat, translator } from './translator.ts';
