/** The Node.js release and the environment of this command. */
import type { CliContext } from '../context.ts';
import { type Finding, found, ok } from './finding.ts';

/** The least release that Postern's code runs on. */
const NODE_LEAST = [24, 12] as const;

export function checkMachine(
  context: CliContext,
  nodeVersion: string = process.versions.node,
): readonly Finding[] {
  return [checkNode(nodeVersion), ...checkEnvironment(context), checkPlatform(context)];
}

function checkNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isNew = major > NODE_LEAST[0] || (major === NODE_LEAST[0] && minor >= NODE_LEAST[1]);
  if (isNew) return ok('node', `Node.js ${version}`);
  return found(
    'node',
    'problem',
    `Node.js ${version} is older than ${NODE_LEAST.join('.')}`,
    'Start with `npm start` or `postern`, which bring their own',
  );
}

function checkEnvironment(context: CliContext): readonly Finding[] {
  const findings: Finding[] = [];
  for (const name of ['POSTERN_ADMIN_TOKEN', 'POSTERN_MASTER_KEY']) {
    if ((context.env[name] ?? '') === '') continue;
    findings.push(
      found(
        'environment',
        'warning',
        `${name} is in this shell's environment, where every program started from it can read it`,
        `Give it to the server alone, or use ${name}_FILE`,
      ),
    );
  }
  if ((context.env['POSTERN_TOKEN'] ?? '') !== '') {
    findings.push(
      found('environment', 'note', 'POSTERN_TOKEN replaces the identity that the network gives you', null),
    );
  }
  return findings;
}

function checkPlatform(context: CliContext): Finding {
  if (context.platform === 'linux')
    return ok('identity', 'loopback connections can be matched to their owner');
  return found(
    'identity',
    'note',
    `on ${context.platform} nobody can tell who owns a loopback connection: the socket, or a token, says who calls`,
    null,
  );
}
