/** Conversations as people read them: requests and answers of every format in one form, for looking only. */
export type {
  BlockType,
  MessageRole,
  OfferedTool,
  ReadAnswer,
  ReadBlock,
  ReadMessage,
  ReadRequest,
} from './blocks.ts';
export { eventTexts } from './event-texts.ts';
export { readAnswer, type AnswerFacts } from './read-answer.ts';
export { createRequestReader, parseObject, readRequest, type RequestReader } from './read-request.ts';
export { wholeAnswer } from './whole-answer.ts';
