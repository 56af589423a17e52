/** What a client presents to Postern: mostly nothing, for the network knows who calls. */
import { NO_CREDENTIAL } from '../api/connect-snippets.ts';
import type { ApiClient } from './client.ts';
import type { CliContext } from './context.ts';
import { EXIT, CliFailure } from './failure.ts';
import { objectAt, textAt, textsAt } from './fields.ts';

/** Where nobody can tell who owns a loopback connection, a token stands in for 12 hours. */
const RUN_TOKEN_TTL_SEC = 12 * 3600;

export interface CredentialNeeds {
  /** The origin that the client will use. */
  readonly origin: string;
  /** What the token is for, as `postern tokens` shows it. */
  readonly purpose: string;
}

/**
 * The text for a client's key setting. A token of POSTERN_TOKEN is handed on, unless it can
 * administer: an agent must not. Where the system cannot tell the owner of a loopback connection, a
 * short token is made.
 */
export async function clientCredential(
  api: ApiClient,
  context: CliContext,
  needs: CredentialNeeds,
): Promise<string> {
  const token = api.connection.token;
  if (token !== null) {
    const me = await api.get('/api/v1/whoami');
    if (textsAt(objectAt(me, 'token'), 'scopes').includes('admin') || textAt(me, 'door') === 'operator') {
      throw new CliFailure('the token in POSTERN_TOKEN can administer, which an agent must not', {
        exit: EXIT.refused,
        code: 'cli_failed',
        fix: 'Make one that can only use models: postern tokens create agent --scope use',
      });
    }
    return token.reveal();
  }
  if (context.platform === 'linux' || !isLoopback(needs.origin)) return NO_CREDENTIAL;
  const made = await api.post('/api/v1/tokens', {
    name: needs.purpose,
    scopes: ['use'],
    expires_in_sec: RUN_TOKEN_TTL_SEC,
  });
  const text = textAt(made, 'token');
  if (text !== null) return text;
  throw new CliFailure('the server made a token but did not show it', {
    exit: EXIT.failed,
    code: 'cli_bad_answer',
  });
}

function isLoopback(origin: string): boolean {
  return /^(localhost|127(\.\d+){3}|\[::1\])$/.test(new URL(origin).hostname);
}
