/** `POST /api/v2/oauth/token`: client credentials for an access token (RFC 6749 sections 4.4 and 5). */
import type { ControlAdministration } from '../../tailnet/control/index.ts';
import { ACCESS_TOKEN_LIFE_SEC } from './access-tokens.ts';
import type { V2Answer, V2Parts } from './routes.ts';
import { isWithin, readScopes } from './scopes.ts';

export interface TokenRequest {
  /** Of a form, or JSON. */
  readonly body: Buffer;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export function answerToken(
  request: TokenRequest,
  { admin, tokens, deps }: Pick<V2Parts, 'admin' | 'tokens' | 'deps'>,
): V2Answer {
  const form = formOf(request);
  const grant = form.get('grant_type') ?? 'client_credentials';
  if (grant !== 'client_credentials')
    return refused(400, 'unsupported_grant_type', 'only client_credentials is supported');
  const basic = basicOf(request.headers['authorization']);
  const secret = basic?.secret ?? form.get('client_secret') ?? '';
  const id = basic?.id ?? form.get('client_id');
  const client = admin.clients.find(secret);
  /* Tailscale's own clients may leave the id out: the secret names the client. */
  if (client === null || (id !== null && id !== '' && id !== client.id))
    return refused(401, 'invalid_client', 'client id or secret are wrong, or were revoked');
  const asked = form.get('scope');
  const scopes = asked === null || asked === '' ? client.scopes : readScopes(asked);
  if (scopes === null || !isWithin(scopes, client.scopes))
    return refused(400, 'invalid_scope', 'the client does not have these scopes');
  const wanted = form.get('tailnet') ?? request.query.get('tailnet');
  const tailnet = tailnetFor(wanted, client, { admin, home: deps.tailnet });
  if (tailnet === null)
    return refused(400, 'invalid_request', 'tailnet: the client has no right to a tailnet of this name');
  const tags = (form.get('tags') ?? '').split(/[\s,]+/).filter((tag) => tag !== '');
  if (!tags.every((tag) => client.tags.includes(tag)) && !client.scopes.includes('all'))
    return refused(400, 'invalid_scope', 'tags: the client does not have these tags');
  const token = tokens.mint({
    clientId: client.id,
    clientTailnet: client.tailnet,
    tailnet,
    scopes,
    tags: tags.length === 0 ? client.tags : tags,
  });
  return {
    body: {
      access_token: token.reveal(),
      token_type: 'Bearer',
      expires_in: ACCESS_TOKEN_LIFE_SEC,
      scope: scopes.join(' '),
    },
    headers: { pragma: 'no-cache' },
  };
}

/** The client's own; another only for an `all` client of the gateway's own tailnet. */
function tailnetFor(
  wanted: string | null,
  client: { readonly tailnet: string; readonly scopes: readonly string[] },
  { admin, home }: { readonly admin: ControlAdministration; readonly home: string },
): string | null {
  if (wanted === null || wanted === '' || wanted === '-') return client.tailnet;
  const found = admin.tailnets().find(({ id, domain, record }) => [id, domain, record.name].includes(wanted));
  if (found === undefined || found.id === client.tailnet) return found?.id ?? null;
  const isOrganization = client.tailnet === home && client.scopes.includes('all');
  return isOrganization ? found.id : null;
}

function formOf({ body, headers }: TokenRequest): URLSearchParams {
  const text = body.toString('utf8');
  if (headers['content-type']?.includes('json') !== true) return new URLSearchParams(text);
  try {
    const value: unknown = JSON.parse(text);
    const members = Object.entries(Object(value)).filter(([, member]) => typeof member === 'string');
    return new URLSearchParams(members.map(([name, member]) => [name, String(member)]));
  } catch {
    return new URLSearchParams();
  }
}

function basicOf(
  header: string | string[] | undefined,
): { readonly id: string; readonly secret: string } | null {
  const [, value] = /^basic +(\S+)$/i.exec(typeof header === 'string' ? header : '') ?? [];
  if (value === undefined) return null;
  const text = Buffer.from(value, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 0) return null;
  /* RFC 6749 section 2.3.1: both are form-encoded first. */
  const decoded = new URLSearchParams(`id=${text.slice(0, colon)}&secret=${text.slice(colon + 1)}`);
  return { id: decoded.get('id') ?? '', secret: decoded.get('secret') ?? '' };
}

function refused(status: number, error: string, description: string): V2Answer {
  return { status, body: { error, error_description: description, message: description } };
}
