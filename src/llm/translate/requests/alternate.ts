/** Turns in the order that Claude and Bedrock insist on. */
import { joinMessages, type Message } from '../conversation.ts';

/** Instructions between messages, which only some models take as such, in the words that Claude is used to. */
function asReminder(message: Message): Message {
  if (message.role !== 'system') return message;
  const blocks = message.blocks.map((block) =>
    block.type === 'text'
      ? { ...block, text: `<system-reminder>\n${block.text}\n</system-reminder>` }
      : block,
  );
  return { role: 'user', blocks };
}

/** User and assistant in turn, the user first, results before everything else, no empty texts. */
export function alternate(found: readonly Message[]): Message[] {
  const messages = joinMessages(
    found.map((message) => {
      const { role, blocks } = asReminder(message);
      return { role, blocks: blocks.filter((block) => block.type !== 'text' || block.text.trim() !== '') };
    }),
  ).map(({ role, blocks }) => {
    const results = blocks.filter((block) => block.type === 'result');
    return results.length === 0
      ? { role, blocks }
      : { role, blocks: [...results, ...blocks.filter((block) => block.type !== 'result')] };
  });
  if (messages[0]?.role === 'assistant')
    messages.unshift({
      role: 'user',
      blocks: [{ type: 'text', text: '(The conversation so far.)', cache: null }],
    });
  return messages;
}
