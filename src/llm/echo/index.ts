export type { EchoAnswer } from './answer.ts';
export { createEcho, type Echo, type EchoRequest } from './echo.ts';
export type { GeminiFraming } from './gemini.ts';
export { ECHO_LABEL } from './turn.ts';
