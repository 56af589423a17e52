/** What is wrong with the joined network, for `postern doctor` on the command line and in the console. */
import type { DoctorFinding } from './ports.ts';

/** The network as `GET /api/v1/network` tells it. */
export interface NetworkFacts {
  readonly state: string;
  readonly loginServer: string;
  /** In the network; empty while it is not known. */
  readonly name: string;
  /** How the connection to the control server stands. */
  readonly control: string | null;
  readonly problem: string | null;
  /** Unix milliseconds. */
  readonly keyExpiresAt: number | null;
  readonly health: readonly string[];
  readonly now: number;
}

/** 14 days: time to renew a key before everybody is shut out. */
const EXPIRY_WARNING_MS = 14 * 86_400_000;

/** At least one. */
export function networkFindings(facts: NetworkFacts): readonly DoctorFinding[] {
  const { state, loginServer, name, problem, keyExpiresAt, now } = facts;
  const why = problem === null ? '' : `: ${problem}`;
  if (state === 'needs_login')
    return [finding('warning', `${loginServer} waits for a login`, 'postern up prints the page to visit')];
  if (state !== 'running') {
    const level = state === 'starting' ? 'warning' : 'problem';
    return [finding(level, `the network of ${loginServer} is not joined${why}`, 'postern up --status')];
  }
  const findings = [finding('ok', `${name} in the network of ${loginServer}`, null)];
  if (facts.control === 'offline')
    findings.push(
      finding('warning', `the control server does not answer${why}`, 'Traffic goes on by its last word'),
    );
  if (keyExpiresAt !== null && keyExpiresAt - now < EXPIRY_WARNING_MS)
    findings.push(
      finding(
        'warning',
        `the key of this gateway expires at ${new Date(keyExpiresAt).toISOString()}`,
        'Turn key expiry off for it at the control server; else it has to log in again then, with postern up',
      ),
    );
  return [...findings, ...facts.health.map((text) => finding('warning', `the network says: ${text}`, null))];
}

function finding(level: DoctorFinding['level'], message: string, fix: string | null): DoctorFinding {
  return { check: 'network', level, message, fix };
}
