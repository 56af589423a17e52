/** Registering a node (`POST /machine/register`): one question and its answer. */
import type { Secret } from '../../base/secret.ts';
import type { ControlConnection } from './control-connection.ts';
import { CAPABILITY_VERSION } from './control-connection.ts';
import type { ControlUrl } from './control-url.ts';
import { controlError, printable } from './errors.ts';
import { type HostFacts, hostinfoJson, NO_NET_FACTS } from './host-facts.ts';
import { formatKeyText, type KeyHex } from './key-text.ts';
import { asBoolean, asObject, asText, type WireObject } from './wire-fields.ts';

export interface RegisterOptions {
  readonly url: ControlUrl;
  readonly host: HostFacts;
  readonly nodeKey: KeyHex;
  /** The key that `nodeKey` takes the place of. */
  readonly oldNodeKey: KeyHex | null;
  readonly authKey: Secret | null;
  readonly isEphemeral: boolean;
  /** The login URL that is being waited for: the server answers when someone has been there. */
  readonly followup: string | null;
  /** When the key is to expire; in the past means now, which is how one logs out. */
  readonly expiry: Date | null;
  readonly signal: AbortSignal;
}

export type RegisterAnswer =
  /** `isAuthorized`: false while an administrator has not approved the device. */
  | { readonly type: 'registered'; readonly isAuthorized: boolean }
  /** Someone has to go there. */
  | { readonly type: 'login'; readonly url: string }
  /** A new node key is needed. */
  | { readonly type: 'key_expired' }
  /** For people; one line. */
  | { readonly type: 'refused'; readonly why: string };

const URL_MAX_CHARS = 4096;

/** @throws AppError<ControlErrorCode>, RefusedByControl, RateLimited */
export async function register(
  connection: ControlConnection,
  { url, host, nodeKey, oldNodeKey, authKey, followup, expiry, isEphemeral, signal }: RegisterOptions,
): Promise<RegisterAnswer> {
  const body = {
    Version: CAPABILITY_VERSION,
    NodeKey: formatKeyText('nodekey', nodeKey),
    ...(oldNodeKey === null ? {} : { OldNodeKey: formatKeyText('nodekey', oldNodeKey) }),
    ...(authKey === null ? {} : { Auth: { AuthKey: authKey.reveal() } }),
    ...(followup === null ? {} : { Followup: followup }),
    ...(expiry === null ? {} : { Expiry: expiry.toISOString() }),
    ...(isEphemeral ? { Ephemeral: true } : {}),
    Hostinfo: hostinfoJson(host, NO_NET_FACTS),
  };
  const answer = await connection.request({
    path: `${url.basePath}/machine/register`,
    body: JSON.stringify(body),
    nodeKeys: [nodeKey, ...(oldNodeKey === null ? [] : [oldNodeKey])].map((key) =>
      formatKeyText('nodekey', key),
    ),
    signal,
  });
  return readAnswer(answer);
}

function readAnswer(bytes: Buffer): RegisterAnswer {
  const fields = parse(bytes);
  if (fields === null)
    throw controlError('control_protocol', 'the answer to a registration is no JSON object');
  const error = asText(fields['Error'], 1 << 20) ?? '';
  if (error !== '') return { type: 'refused', why: printable(error, 500) };
  if (asBoolean(fields['NodeKeyExpired']) === true) return { type: 'key_expired' };
  const loginUrl = fields['AuthURL'] ?? '';
  if (loginUrl !== '') return { type: 'login', url: checkLoginUrl(loginUrl) };
  return { type: 'registered', isAuthorized: asBoolean(fields['MachineAuthorized']) ?? false };
}

function parse(bytes: Buffer): WireObject | null {
  try {
    return asObject(JSON.parse(bytes.toString('utf8')));
  } catch {
    return null;
  }
}

/** Shown to people who will follow it: only a web address, and nothing that plays with a terminal. */
function checkLoginUrl(value: unknown): string {
  const url = URL.parse(asText(value, URL_MAX_CHARS) ?? '');
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw controlError('control_protocol', 'the login URL of the control server is no web address');
  }
  return url.href;
}
