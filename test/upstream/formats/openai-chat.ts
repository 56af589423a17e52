/**
 * OpenAI chat completions and legacy completions. `stream_options.include_usage` as OpenAI does it:
 * without it no chunk has a `usage` member; with it every chunk has `usage: null` and one more comes
 * before `[DONE]`, with empty `choices` and the figures.
 */
import { CREATED_SEC, dataEvent, serialId } from '../answer.ts';
import type { Answer, FakeUsage, FormatWriter } from '../answer.ts';

const DONE = 'data: [DONE]\n\n';
const STREAM_ERROR = dataEvent({
  error: {
    message: 'The server had an error while processing your request.',
    type: 'server_error',
    param: null,
    code: null,
  },
});

function usageOf(usage: FakeUsage): object {
  return {
    prompt_tokens: usage.input,
    completion_tokens: usage.output,
    total_tokens: usage.input + usage.output,
    prompt_tokens_details: {
      cached_tokens: usage.cacheRead,
      audio_tokens: usage.inputAudio,
      image_tokens: usage.inputImage,
    },
    completion_tokens_details: {
      reasoning_tokens: usage.reasoning,
      audio_tokens: usage.outputAudio,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}

function toolCalls(answer: Answer): object[] {
  return answer.toolCalls.map((call, index) => ({
    id: serialId('call_', answer.serial, index),
    type: 'function',
    function: { ...call },
  }));
}

export const openaiChat: FormatWriter = {
  streamError: STREAM_ERROR,

  whole(answer) {
    const calls = toolCalls(answer);
    return {
      id: serialId('chatcmpl-', answer.serial),
      object: 'chat.completion',
      created: CREATED_SEC,
      model: answer.model,
      choices: [
        {
          index: 0,
          message: {
            role: 'assistant',
            content: calls.length > 0 ? null : answer.pieces.join(''),
            refusal: null,
            ...(calls.length > 0 ? { tool_calls: calls } : {}),
          },
          logprobs: null,
          finish_reason: calls.length > 0 ? 'tool_calls' : 'stop',
        },
      ],
      ...(answer.usage === null ? {} : { usage: usageOf(answer.usage) }),
      service_tier: 'default',
      system_fingerprint: 'fp_fake',
      ...(answer.unknowns ? { x_unknown: { kept: true, text: 'é' } } : {}),
    };
  },

  stream(answer) {
    const chunk = (choices: object[], more: object = {}): string =>
      dataEvent({
        id: serialId('chatcmpl-', answer.serial),
        object: 'chat.completion.chunk',
        created: CREATED_SEC,
        model: answer.model,
        service_tier: 'default',
        system_fingerprint: 'fp_fake',
        choices,
        ...(answer.includeUsage ? { usage: null } : {}),
        ...more,
      });
    const choice = (delta: object, finish: string | null = null): object => ({
      index: 0,
      delta,
      logprobs: null,
      finish_reason: finish,
    });
    const events = [chunk([choice({ role: 'assistant', content: '', refusal: null })])];
    if (answer.unknowns) {
      events.push(': a comment\n\n', chunk([choice({ x_unknown_delta: 'é' })], { x_unknown: [1, 2] }));
    }
    for (const [index, call] of answer.toolCalls.entries()) {
      const id = serialId('call_', answer.serial, index);
      const open = { index, id, type: 'function', function: { name: call.name, arguments: '' } };
      const rest = { index, function: { arguments: call.arguments } };
      events.push(chunk([choice({ tool_calls: [open] })]), chunk([choice({ tool_calls: [rest] })]));
    }
    if (answer.toolCalls.length === 0)
      for (const piece of answer.pieces) events.push(chunk([choice({ content: piece })]));
    const figures = answer.usage === null ? null : usageOf(answer.usage);
    const finish = choice({}, answer.toolCalls.length === 0 ? 'stop' : 'tool_calls');
    if (answer.usageWithChoices && figures !== null) {
      events.push(chunk([finish], { usage: figures }));
    } else {
      events.push(chunk([finish]));
      if (answer.includeUsage && figures !== null) events.push(chunk([], { usage: figures }));
    }
    events.push(DONE);
    return events;
  },
};

export const openaiCompletions: FormatWriter = {
  streamError: STREAM_ERROR,

  whole(answer) {
    return {
      id: serialId('cmpl-', answer.serial),
      object: 'text_completion',
      created: CREATED_SEC,
      model: answer.model,
      choices: [{ text: answer.pieces.join(''), index: 0, logprobs: null, finish_reason: 'stop' }],
      ...(answer.usage === null ? {} : { usage: usageOf(answer.usage) }),
    };
  },

  stream(answer) {
    const chunk = (choices: object[], more: object = {}): string =>
      dataEvent({
        id: serialId('cmpl-', answer.serial),
        object: 'text_completion',
        created: CREATED_SEC,
        model: answer.model,
        choices,
        ...(answer.includeUsage ? { usage: null } : {}),
        ...more,
      });
    const events = answer.pieces.map((text) =>
      chunk([{ text, index: 0, logprobs: null, finish_reason: null }]),
    );
    events.push(chunk([{ text: '', index: 0, logprobs: null, finish_reason: 'stop' }]));
    if (answer.includeUsage && answer.usage !== null)
      events.push(chunk([], { usage: usageOf(answer.usage) }));
    events.push(DONE);
    return events;
  },
};
