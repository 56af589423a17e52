/** Translation between generation formats, for targets that do not speak the caller's own. */
export {
  isTranslationProblem,
  type AnswerTranscoder,
  type AnswerTranslation,
  type CountTranslation,
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
export { sourceFormat, translator } from './translator.ts';
