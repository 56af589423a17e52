/** Headers of a caller's SDK that mean nothing to, or tell too much of the caller to, a provider of another format. */

const FOREIGN =
  /^(?:anthropic-|openai-|x-stainless-|x-goog-|x-claude-|x-codex-|x-app$|originator$|session-id$|thread-id$|x-client-request-id$|x-session-|version$|chatgpt-|conversation_id$|session_id$|accept$|user-agent$)/;

/** Whether a header (name in lower case) must not go with a translated request. */
export function isForeignHeader(name: string): boolean {
  return FOREIGN.test(name);
}
