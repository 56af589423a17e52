/** A call of an official SDK, for what a change in the console means to programs. */
import OpenAI from 'openai';

/** The status that the SDK got for one question; as the viewer, or with a token. */
export async function statusOfCall(url: string, model: string, apiKey = '-'): Promise<number> {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
  try {
    await client.chat.completions.create({ model, messages: [{ role: 'user', content: 'hello' }] });
    return 200;
  } catch (error) {
    if (error instanceof OpenAI.APIError && error.status !== undefined) return error.status;
    throw error;
  }
}
