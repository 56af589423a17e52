/** Writes requests of Gemini's `generateContent` (API reference, "Generating content"). The model is in the path. */
import type { JsonRecord } from '../../formats/findings.ts';
import { parseObject } from '../answers/answer.ts';
import {
  joinMessages,
  type Block,
  type CallBlock,
  type Conversation,
  type Message,
  type Reasoning,
  type ResultBlock,
} from '../conversation.ts';
import { budgetOf, effortOf } from '../models.ts';
import { clampOutput, type WriteContext } from './context.ts';
import { reportMarks } from './openai-sampling.ts';
import { present } from './values.ts';

/**
 * What Google's documentation on thought signatures gives for calls that another model made: from
 * version 3 on, models refuse a call of the present turn without a signature.
 */
const FOREIGN_CALL_SIGNATURE = 'skip_thought_signature_validator';

export function writeGeminiRequest(conversation: Conversation, context: WriteContext): JsonRecord {
  const { losses } = context;
  const { sampling, stop, format } = conversation;
  reportMarks(conversation, context);
  if (conversation.parallelCalls === false) losses.add('parallel_tool_calls');
  if (conversation.verbosity !== null) losses.add('verbosity');
  if (conversation.endUser !== null) losses.add('metadata.user_id');
  const system = conversation.system.filter(({ text }) => text !== '');
  const generation = present({
    maxOutputTokens: clampOutput(conversation.maxOutputTokens, context),
    temperature: sampling.temperature,
    topP: sampling.topP,
    topK: sampling.topK,
    seed: sampling.seed,
    presencePenalty: sampling.presencePenalty,
    frequencyPenalty: sampling.frequencyPenalty,
    stopSequences: stop.length === 0 ? null : stop,
    responseMimeType: format === null ? null : 'application/json',
    responseJsonSchema:
      format?.schema === undefined || format.schema === null ? null : withoutDialect(format.schema),
    thinkingConfig: conversation.reasoning === null ? null : writeReasoning(conversation.reasoning, context),
  });
  return present({
    systemInstruction: system.length === 0 ? null : { parts: system.map(({ text }) => ({ text })) },
    contents: new ContentWriter(context).write(conversation.messages),
    ...writeTools(conversation, context),
    generationConfig: Object.keys(generation).length === 0 ? null : generation,
  });
}

/** `$schema` names a dialect, which Gemini refuses to hear of. */
function withoutDialect(schema: JsonRecord): JsonRecord {
  const { $schema: _dialect, ...rest } = schema;
  return rest;
}

class ContentWriter {
  readonly #context: WriteContext;
  readonly #names = new Map<string, string>();
  /** A signature that waits for its call. */
  #signature: string | null = null;

  constructor(context: WriteContext) {
    this.#context = context;
  }

  write(messages: readonly Message[]): JsonRecord[] {
    const turns = joinMessages(
      messages.map((message) => (message.role === 'system' ? asReminder(message) : message)),
    );
    return turns.flatMap(({ role, blocks }) => {
      const results = blocks.filter((block) => block.type === 'result');
      const rest = blocks.filter((block) => block.type !== 'result');
      const parts = [...results, ...rest].flatMap((block) => this.#part(block));
      return parts.length === 0 ? [] : [{ role: role === 'assistant' ? 'model' : 'user', parts }];
    });
  }

  #part(block: Block): JsonRecord[] {
    switch (block.type) {
      case 'text':
        return block.text === '' ? [] : [{ text: block.text }];
      case 'image':
      case 'document':
        return block.source.kind === 'url'
          ? [{ fileData: present({ fileUri: block.source.url, mimeType: guessType(block.source.url) }) }]
          : [{ inlineData: { mimeType: block.source.mediaType, data: block.source.data } }];
      case 'thinking':
        if (block.opaque?.origin === this.#context.origin) this.#signature = block.opaque.data;
        else if (block.text !== '' || block.opaque !== null) this.#context.losses.add('messages.thinking');
        return [];
      case 'call':
        return [this.#call(block)];
      case 'result':
        return this.#result(block);
      default:
        return block satisfies never;
    }
  }

  #call({ id, tool, argumentsText }: CallBlock): JsonRecord {
    const { names, target } = this.#context;
    const name = names.wire(tool);
    this.#names.set(id, name);
    const signature = this.#signature ?? (geminiVersion(target.model) < 3 ? null : FOREIGN_CALL_SIGNATURE);
    this.#signature = null;
    return present({
      functionCall: { name, args: parseObject(argumentsText) ?? {} },
      thoughtSignature: signature,
    });
  }

  #result({ callId, content, isError }: ResultBlock): JsonRecord[] {
    const text = content
      .map((block) => (block.type === 'text' ? block.text : ''))
      .filter((found) => found !== '')
      .join('\n\n');
    const media = content.filter((block) => block.type !== 'text').flatMap((block) => this.#part(block));
    const name = this.#names.get(callId) ?? 'unknown';
    return [{ functionResponse: { name, response: isError ? { error: text } : { output: text } } }, ...media];
  }
}

function asReminder({ blocks }: Message): Message {
  const texts = blocks.map((block) =>
    block.type === 'text'
      ? { ...block, text: `<system-reminder>\n${block.text}\n</system-reminder>` }
      : block,
  );
  return { role: 'user', blocks: texts };
}

const TYPES: ReadonlyMap<string, string> = new Map([
  ['png', 'image/png'],
  ['jpg', 'image/jpeg'],
  ['jpeg', 'image/jpeg'],
  ['gif', 'image/gif'],
  ['webp', 'image/webp'],
  ['pdf', 'application/pdf'],
]);

function guessType(url: string): string | null {
  const [path = ''] = url.split(/[?#]/, 1);
  return TYPES.get(path.slice(path.lastIndexOf('.') + 1).toLowerCase()) ?? null;
}

function writeTools({ tools, toolChoice }: Conversation, { names, losses }: WriteContext): JsonRecord {
  if (tools.length === 0) return {};
  const declarations = tools.map(({ name, description, schema, strict }) => {
    if (strict === true) losses.add('tools.strict');
    return present({ name: names.wire(name), description, parametersJsonSchema: withoutDialect(schema) });
  });
  return {
    tools: [{ functionDeclarations: declarations }],
    toolConfig: toolChoice === null ? null : { functionCallingConfig: callingConfig(toolChoice, names) },
  };
}

function callingConfig(
  choice: NonNullable<Conversation['toolChoice']>,
  names: WriteContext['names'],
): JsonRecord {
  switch (choice.mode) {
    case 'tool':
      return { mode: 'ANY', allowedFunctionNames: [names.wire(choice.tool)] };
    case 'required':
      return { mode: 'ANY' };
    case 'none':
      return { mode: 'NONE' };
    case 'auto':
      return { mode: 'AUTO' };
    default:
      return choice satisfies never;
  }
}

/** The main number of a Gemini model; 2.5 for names that do not tell. */
function geminiVersion(model: string): number {
  const found = /gemini-(\d{1,2}(?:\.\d{1,2})?)/.exec(model.slice(0, 256).toLowerCase());
  return found === null ? 2.5 : Number(found[1]);
}

/** Budgets in 2.5, levels from 3 on, nothing before. */
function writeReasoning(
  { effort, budgetTokens, visible }: Reasoning,
  { target, losses }: WriteContext,
): JsonRecord | null {
  const version = geminiVersion(target.model);
  if (version < 2.5) {
    losses.add('reasoning');
    return null;
  }
  const shown = visible ? { includeThoughts: true } : {};
  if (version < 3)
    return present({
      thinkingBudget: budgetTokens ?? (effort === null ? -1 : Math.min(24_576, budgetOf(effort))),
      ...shown,
    });
  const level = effort ?? (budgetTokens === null ? null : effortOf(budgetTokens));
  if (level === null) return Object.keys(shown).length === 0 ? null : shown;
  const words = {
    none: 'minimal',
    minimal: 'minimal',
    low: 'low',
    medium: 'medium',
    high: 'high',
    xhigh: 'high',
    max: 'high',
  } as const;
  return { thinkingLevel: words[level], ...shown };
}
