/** What `postern doctor` asks a server, answered by the server itself. */
import { describeError } from '../base/errors.ts';
import { networkFindings } from './network-findings.ts';
import type { ApiDependencies, DoctorFinding } from './ports.ts';

/** 5 s: the recorder writes four times a second. */
const LAG_MAX_MS = 5_000;

/** Findings in the order of the command: this machine, the store, the document, keys, hooks, the joined network. */
export async function diagnose(deps: ApiDependencies): Promise<readonly DoctorFinding[]> {
  return [
    ...((await deps.machineFindings?.()) ?? []),
    await checkStore(deps),
    checkRecorder(deps),
    checkDocument(deps),
    checkProviders(deps),
    ...checkKeys(deps),
    ...checkHooks(deps),
    ...checkNetwork(deps),
  ];
}

function ok(check: string, message: string): DoctorFinding {
  return { check, level: 'ok', message, fix: null };
}

async function checkStore({ store }: ApiDependencies): Promise<DoctorFinding> {
  try {
    const { bytes, requests } = await store.health();
    return ok('store', `${requests} requests in ${Math.ceil(bytes / 1_048_576)} MiB`);
  } catch (error) {
    return {
      check: 'store',
      level: 'problem',
      message: `the store cannot be written: ${describeError(error)}`,
      fix: "See the server's log; is the disk full?",
    };
  }
}

function checkRecorder({ recorder }: ApiDependencies): DoctorFinding {
  const { lagMs, lostRows, lastError } = recorder.stats();
  if (lostRows > 0 || lagMs > LAG_MAX_MS)
    return {
      check: 'recorder',
      level: 'problem',
      message: `records are ${Math.round(lagMs)} ms behind, ${lostRows} were lost${lastError === null ? '' : `: ${lastError}`}`,
      fix: "See the server's log and /metrics",
    };
  return ok('recorder', 'records are written as they come');
}

function checkDocument({ documents }: ApiDependencies): DoctorFinding {
  const error = documents.lastError();
  const { source, version } = documents.text();
  if (error !== null)
    return {
      check: 'document',
      level: 'problem',
      message: `the newest document could not be loaded, an older one holds: ${error.message}`,
      fix: 'postern config check',
    };
  return ok('document', source === 'file' ? 'in force, from a file' : `version ${version} is in force`);
}

function checkProviders({ policy }: ApiDependencies): DoctorFinding {
  const real = [...policy.current().providers.values()].filter(
    ({ builtIn, disabled }) => !builtIn && !disabled,
  );
  if (real.length > 0) return ok('providers', real.map(({ id }) => id).join(', '));
  return {
    check: 'providers',
    level: 'note',
    message: 'none besides the test model',
    fix: 'Set ANTHROPIC_API_KEY or the like for the server, or add one to the document',
  };
}

function checkKeys({ vault }: ApiDependencies): readonly DoctorFinding[] {
  const keys = vault.list();
  const failing = keys.filter(({ state, lastError }) => state === 'active' && lastError !== null);
  if (failing.length === 0) return [ok('keys', `${keys.length} known, none failing`)];
  return failing.map(({ provider, id, failures, lastError }) => ({
    check: 'keys',
    level: 'warning',
    message: `${provider} ${id} failed ${failures} times, last: ${lastError ?? ''}`,
    fix: `postern keys add ${provider} --stage, then postern keys promote`,
  }));
}

function checkHooks({ hooks }: ApiDependencies): readonly DoctorFinding[] {
  const broken = hooks?.stats().hooks.filter(({ circuit }) => circuit !== 'closed') ?? [];
  return broken.map(({ hook }) => ({
    check: 'hooks',
    level: 'warning',
    message: `the hook ${hook} fails, and is left alone for a while`,
    fix: 'See its recent calls under Settings, Hooks',
  }));
}

function checkNetwork({ network, clock }: ApiDependencies): readonly DoctorFinding[] {
  const joined = network?.status() ?? null;
  if (joined === null || (joined.state === 'off' && joined.problem === null)) return [];
  return networkFindings({
    state: joined.state,
    loginServer: joined.loginServer ?? '',
    name: joined.dnsName,
    control: joined.control,
    problem: joined.problem,
    keyExpiresAt: joined.keyExpiresAt,
    health: joined.health,
    now: clock.now(),
  });
}
