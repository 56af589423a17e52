/** Gemini generateContent: each event of the stream is a whole response with cumulative usage. */
import { dataEvent, serialId, signatureOf } from '../answer.ts';
import type { Answer, FakeUsage, FormatWriter } from '../answer.ts';

/** Gemini counts thinking beside the candidates' tokens, not inside them. */
function usageOf(usage: FakeUsage, share: number): object {
  const visible = usage.output - usage.reasoning;
  const candidates = Math.round(visible * share);
  return {
    promptTokenCount: usage.input,
    candidatesTokenCount: candidates,
    totalTokenCount: usage.input + candidates + usage.reasoning,
    ...(usage.cacheRead > 0 ? { cachedContentTokenCount: usage.cacheRead } : {}),
    ...(usage.reasoning > 0 ? { thoughtsTokenCount: usage.reasoning } : {}),
    promptTokensDetails: [
      { modality: 'TEXT', tokenCount: usage.input - usage.inputAudio - usage.inputImage },
      ...(usage.inputAudio > 0 ? [{ modality: 'AUDIO', tokenCount: usage.inputAudio }] : []),
      ...(usage.inputImage > 0 ? [{ modality: 'IMAGE', tokenCount: usage.inputImage }] : []),
    ],
  };
}

function response(answer: Answer, parts: object[], finish: string | null, share: number): object {
  return {
    candidates: [
      { content: { parts, role: 'model' }, ...(finish === null ? {} : { finishReason: finish }), index: 0 },
    ],
    ...(answer.usage === null ? {} : { usageMetadata: usageOf(answer.usage, share) }),
    modelVersion: answer.model,
    responseId: serialId('gemini', answer.serial),
    ...(answer.unknowns ? { xUnknown: { kept: 'é' } } : {}),
  };
}

function parts(answer: Answer, texts: readonly string[]): object[] {
  if (answer.toolCalls.length === 0) return texts.map((text) => ({ text }));
  // Gemini 3 signs the first call of each step.
  return answer.toolCalls.map((call, index) => ({
    functionCall: { name: call.name, args: JSON.parse(call.arguments) },
    ...(index === 0 ? { thoughtSignature: signatureOf(answer) } : {}),
  }));
}

export const geminiGenerateContent: FormatWriter = {
  streamError: dataEvent({
    error: { code: 503, message: 'The model is overloaded.', status: 'UNAVAILABLE' },
  }),

  whole: (answer) => response(answer, parts(answer, [answer.pieces.join('')]), 'STOP', 1),

  stream(answer) {
    if (answer.toolCalls.length > 0) return [dataEvent(response(answer, parts(answer, []), 'STOP', 1))];
    const last = answer.pieces.length - 1;
    return answer.pieces.map((piece, index) => {
      const finish = index === last ? 'STOP' : null;
      return dataEvent(response(answer, [{ text: piece }], finish, (index + 1) / answer.pieces.length));
    });
  },
};
