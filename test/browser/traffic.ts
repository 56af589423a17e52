/** A few calls of real programs on the test model, so that a page has something to show. */
import OpenAI from 'openai';

const QUESTIONS = ['hello', 'What is a postern?', 'Say that again, and longer. '.repeat(30), 'Thank you.'];
const AGENTS = ['claude-code', 'codex', 'opencode', 'gemini-cli'];

/** Four answers and one refusal, recorded. */
export async function makeTraffic(url: string): Promise<void> {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: '-', maxRetries: 0 });
  for (const [index, content] of QUESTIONS.entries()) {
    const headers = { 'x-postern-agent': AGENTS[index] ?? '' };
    const messages = [{ role: 'user' as const, content }];
    await client.chat.completions.create({ model: 'postern/echo', messages }, { headers });
  }
  const refused = { model: 'some-model-that-nobody-granted', messages: [] };
  await client.chat.completions.create(refused).catch(() => null);
}
