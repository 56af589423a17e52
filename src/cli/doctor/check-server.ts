/** The running server: reachable, ready, claimed, its document loaded, its keys healthy. */
import { networkFindings } from '../../api/network-findings.ts';
import type { ApiClient } from '../client.ts';
import { CliFailure, EXIT } from '../failure.ts';
import { isObject, listAt, numberAt, objectAt, textAt, textsAt } from '../fields.ts';
import { quotaWarnings } from '../config/quota-faults.ts';
import { type Finding, found, ok } from './finding.ts';

export async function checkServer(api: ApiClient): Promise<readonly Finding[]> {
  const ready = await checkReady(api);
  if (ready.some((finding) => finding.check === 'server' && finding.level === 'problem')) return ready;
  return [
    ...ready,
    ...(await checkIdentity(api)),
    ...(await checkStatus(api)),
    ...(await checkDocument(api)),
    ...(await checkKeys(api)),
    ...(await checkNetwork(api)),
  ];
}

/** What `/readyz` says, also when it says no. */
async function checkReady(api: ApiClient): Promise<readonly Finding[]> {
  try {
    await api.call('GET', '/healthz');
    const { status, text } = await api.call('GET', '/readyz', { alsoStatus: 503 });
    if (status !== 503) return [ok('server', `ready at ${api.connection.where}`)];
    return failedChecks(text);
  } catch (error) {
    if (!(error instanceof CliFailure)) throw error;
    if (error.exit === EXIT.noServer) return [found('server', 'problem', error.message, error.fix)];
    return [found('server', 'warning', `not ready: ${error.message}`, error.fix)];
  }
}

const NOT_READY: Readonly<Record<string, readonly [message: string, fix: string]>> = {
  store: ['the store cannot be written', "See the server's log; is the disk full?"],
  recorder: ['records are late or were lost', "See the server's log and /metrics"],
  policy: ['the newest document is not in force', 'postern config check'],
};

function failedChecks(text: string): readonly Finding[] {
  const checks = objectAt(parseJson(text), 'checks') ?? {};
  const failed = Object.entries(NOT_READY).filter(([name]) => checks[name] === false);
  if (failed.length === 0)
    return [found('ready', 'problem', 'the server is not ready', "See the server's log")];
  return failed.map(([, [message, fix]]) => found('ready', 'problem', message, fix));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

async function checkIdentity(api: ApiClient): Promise<readonly Finding[]> {
  const me = await ask(api, '/api/v1/whoami');
  if (me instanceof CliFailure)
    return [found('you', 'problem', `the server does not know you: ${me.message}`, me.fix)];
  const roles = textsAt(me, 'roles');
  const name = `${textAt(me, 'label') ?? '?'} by the door ${textAt(me, 'door') ?? '?'}`;
  if (roles.length === 0)
    return [found('you', 'warning', `${name}, without a role`, 'Ask an administrator for a grant')];
  return [ok('you', `${name}: ${roles.join(', ')}`)];
}

async function checkStatus(api: ApiClient): Promise<readonly Finding[]> {
  const status = await ask(api, '/api/v1/status');
  if (status instanceof CliFailure)
    return [found('status', 'note', `not shown to you: ${status.message}`, null)];
  const findings: Finding[] = [];
  if (isObject(status) && status['claimed'] === false) {
    findings.push(
      found(
        'claim',
        'note',
        'nobody administers this server yet',
        'Open the claim link that the server printed',
      ),
    );
  }
  const real = listAt(status, 'providers').filter(
    (provider) => !(isObject(provider) && provider['test'] === true),
  );
  const names = real.map((provider) => textAt(provider, 'id') ?? '?');
  findings.push(
    names.length > 0
      ? ok('providers', names.join(', '))
      : found(
          'providers',
          'note',
          'none that you may use besides the test model',
          'Set ANTHROPIC_API_KEY or the like for the server, or add one to the document',
        ),
  );
  const documentError = textAt(objectAt(status, 'document'), 'error');
  if (documentError !== null) {
    findings.push(
      found(
        'document',
        'problem',
        `the newest document could not be loaded, an older one holds: ${documentError}`,
        'postern config check',
      ),
    );
  }
  const skew = Math.abs(Date.parse(textAt(status, 'time') ?? '') - Date.now());
  if (skew > 60_000)
    findings.push(
      found(
        'clock',
        'warning',
        `this machine's clock and the server's differ by ${Math.round(skew / 1000)} s`,
        'Set the clocks',
      ),
    );
  return findings;
}

/** Providers whose keys and prompts would cross the internet unencrypted. Shown to auditors and admins. */
async function checkDocument(api: ApiClient): Promise<readonly Finding[]> {
  const answer = await ask(api, '/api/v1/config');
  const text = answer instanceof CliFailure ? '' : (textAt(answer, 'text') ?? '');
  if (text === '') return [];
  const { parseGatewayDocument } = await import('../../policy/index.ts');
  const { document, problems } = parseGatewayDocument(text, { source: 'file', adminsElsewhere: true });
  return [
    ...problems
      .filter(({ code }) => code === 'plain_http')
      .map(({ severity, message, fix }) =>
        found('document', severity === 'note' ? 'note' : 'warning', message, fix),
      ),
    ...(await quotaWarnings(document)).map(({ kind, message, fix }) =>
      found('quotas', kind === 'broken' ? 'problem' : 'warning', message, fix),
    ),
  ];
}

async function checkKeys(api: ApiClient): Promise<readonly Finding[]> {
  const answer = await ask(api, '/api/v1/keys');
  if (answer instanceof CliFailure)
    return [found('keys', 'note', 'not looked at: only auditors and admins see them', null)];
  const failing = listAt(answer, 'items').filter(
    (key) => textAt(key, 'state') === 'active' && textAt(key, 'last_error') !== null,
  );
  if (failing.length === 0) return [ok('keys', `${listAt(answer, 'items').length} known, none failing`)];
  return failing.map((key) =>
    found(
      'keys',
      'warning',
      `${textAt(key, 'provider') ?? '?'} ${textAt(key, 'id') ?? '?'} failed ${numberAt(key, 'failures') ?? '?'} times, last: ${textAt(key, 'last_error') ?? '?'}`,
      `postern keys add ${textAt(key, 'provider') ?? '<provider>'} --stage, then postern keys promote`,
    ),
  );
}

/** The network of `postern up`. Shown to auditors and admins. */
async function checkNetwork(api: ApiClient): Promise<readonly Finding[]> {
  const network = await ask(api, '/api/v1/network');
  const state = network instanceof CliFailure ? null : textAt(network, 'state');
  const problem = textAt(network, 'problem');
  if (state === null || (state === 'off' && problem === null)) return [];
  const expiry = Date.parse(textAt(network, 'key_expires_at') ?? '');
  return networkFindings({
    state,
    loginServer: textAt(network, 'login_server') ?? '',
    name: textAt(network, 'dns_name') ?? '',
    control: textAt(network, 'control'),
    problem,
    keyExpiresAt: Number.isNaN(expiry) ? null : expiry,
    health: textsAt(network, 'health'),
    now: Date.now(),
  });
}

/** The answer, or the refusal: a check goes on without what it may not see. */
async function ask(api: ApiClient, path: string): Promise<unknown> {
  try {
    return await api.get(path);
  } catch (error) {
    if (error instanceof CliFailure) return error;
    throw error;
  }
}
