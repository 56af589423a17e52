/** What adopted clients present to Postern: nothing where the network knows them, else a token that lasts. */
import { NO_CREDENTIAL } from '../../../api/connect-snippets.ts';
import { Secret } from '../../../base/secret.ts';
import type { Connection } from '../../connection.ts';
import type { CliContext } from '../../context.ts';
import { CliFailure, EXIT, usageFailure } from '../../failure.ts';

/** What every token of Postern begins with. */
const TOKEN_PREFIX = 'pst_';
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

export interface ClientTokenNeeds {
  readonly connection: Connection;
  /** The origin that the clients will use. */
  readonly origin: string;
  /** Variable that holds the token, if one was named. */
  readonly variable: string | undefined;
}

/**
 * The text for the clients' key settings. The token that this command itself uses is never handed
 * on: it may administer, and settings outlive it. Fails with `cli_usage` for a variable without a
 * token, and with `cli_find_keys_token` where one is needed and none was named.
 */
export function clientToken(context: CliContext, needs: ClientTokenNeeds): Secret {
  const { connection, origin, variable } = needs;
  if (variable !== undefined) {
    const text = context.env[variable] ?? '';
    if (text.startsWith(TOKEN_PREFIX) && /^[\w-]{20,200}$/.test(text)) return new Secret(text);
    throw usageFailure(
      `the environment variable named by --client-token holds no Postern token`,
      `A token begins with ${TOKEN_PREFIX}`,
    );
  }
  const isLocal = LOOPBACK.test(new URL(origin).hostname);
  // Linux tells who owns a loopback connection; elsewhere the network knows a caller that needs no token now.
  const isKnown = isLocal ? context.platform === 'linux' : connection.token === null;
  if (isKnown) return new Secret(NO_CREDENTIAL);
  throw new CliFailure('the clients need a Postern token here, for nothing else would tell who calls', {
    exit: EXIT.failed,
    code: 'cli_find_keys_token',
    fix: 'Make one with `postern tokens create clients --scope use`, put it into a variable, and name that with --client-token',
  });
}
