/** What a request says to its provider, in every format, and how to change single texts of it. */
export { withTexts } from './edit-texts.ts';
export {
  canReadTexts,
  requestTexts,
  type RequestTextFacts,
  type RequestTextsProblem,
} from './request-texts.ts';
export { requestTools, toolNames, withoutTools, type RequestTool, type ToolKind } from './request-tools.ts';
export type { RequestTexts, TextDirection, TextEdit, TextEncoding, TextPart, TextRole } from './text-part.ts';
