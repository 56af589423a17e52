/** Gemini generateContent, as Gemini CLI and the Google SDK speak it. */
import {
  dataEvent,
  piecesOf,
  schemaOf,
  STREAM_PIECES,
  type AnswerFacts,
  type Reply,
  type ReplyUsage,
  type TalkFormat,
  type TalkItem,
} from '../talk.ts';

export const geminiGenerateContent: TalkFormat = {
  path: ({ model, stream }) =>
    `/v1beta/models/${model}:${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`,
  headers: {},

  body: (talk) => ({
    systemInstruction: { role: 'user', parts: [{ text: talk.system }] },
    contents: talk.items.map(contentOf),
    ...(talk.tools.length === 0
      ? {}
      : {
          tools: [
            {
              functionDeclarations: talk.tools.map((tool) => ({
                name: tool.name,
                description: tool.description,
                parametersJsonSchema: schemaOf(tool),
              })),
            },
          ],
        }),
    generationConfig: { maxOutputTokens: talk.maxTokens, thinkingConfig: { includeThoughts: true } },
  }),

  whole: (reply, at) => response(at, partsOf(reply, true), { finish: 'STOP', usage: reply.usage }),

  stream(reply, at) {
    const { text } = reply;
    const thought = reply.thinking === null ? [] : [[{ text: reply.thinking, thought: true }]];
    const words = text === '' ? [] : piecesOf(text, STREAM_PIECES).map((piece) => [{ text: piece }]);
    const calls = reply.calls.length === 0 ? [] : [callParts(reply)];
    const all = [...thought, ...words, ...calls];
    return all.map((parts, index) =>
      dataEvent(
        response(at, parts, index === all.length - 1 ? { finish: 'STOP', usage: reply.usage } : null),
      ),
    );
  },
};

function contentOf(item: TalkItem): object {
  if (item.kind === 'user') return { role: 'user', parts: [{ text: item.text }] };
  if (item.kind === 'reply') return { role: 'model', parts: partsOf(item.reply, false) };
  return {
    role: 'user',
    parts: item.results.map(({ call, output }) => ({
      functionResponse: { name: call.name, response: { output } },
    })),
  };
}

function partsOf(reply: Reply, withThoughts: boolean): readonly object[] {
  return [
    ...(reply.thinking === null || !withThoughts ? [] : [{ text: reply.thinking, thought: true }]),
    ...(reply.text === '' ? [] : [{ text: reply.text }]),
    ...callParts(reply),
  ];
}

function callParts(reply: Reply): readonly object[] {
  return reply.calls.map((call) => ({ functionCall: { name: call.name, args: call.arguments } }));
}

function response(
  at: AnswerFacts,
  parts: readonly object[],
  end: { readonly finish: string; readonly usage: ReplyUsage } | null,
): object {
  return {
    candidates: [
      {
        content: { role: 'model', parts },
        index: 0,
        ...(end === null ? {} : { finishReason: end.finish }),
      },
    ],
    ...(end === null ? {} : { usageMetadata: usageOf(end.usage) }),
    modelVersion: at.model,
    responseId: at.id,
  };
}

/** Gemini counts cached input inside the prompt, and thinking beside the candidates. */
function usageOf(usage: ReplyUsage): object {
  const prompt = usage.input + usage.cacheRead + usage.cacheWrite;
  return {
    promptTokenCount: prompt,
    cachedContentTokenCount: usage.cacheRead,
    candidatesTokenCount: usage.output - usage.reasoning,
    thoughtsTokenCount: usage.reasoning,
    totalTokenCount: prompt + usage.output,
  };
}
