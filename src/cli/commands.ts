/** Every command, in the order of the help. A command's file is loaded only when it is needed. */
import { Command, Help } from 'commander';
import type { CommandSetup, Session } from './session.ts';

export interface CommandEntry {
  readonly name: string;
  /** One line of `postern --help`. */
  readonly summary: string;
  load(): Promise<CommandSetup>;
}

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'serve',
    summary: 'start the gateway',
    load: async () => (await import('./serve.ts')).setupServe,
  },
  {
    name: 'demo',
    summary: 'look around in a throw-away gateway with a made-up week behind it',
    load: async () => (await import('./demo.ts')).setupDemo,
  },
  {
    name: 'run',
    summary:
      'start an agent (claude, codex, gemini, opencode) through Postern, with a configuration of its own',
    load: async () => (await import('./run.ts')).setupRun,
  },
  {
    name: 'connect',
    summary: 'print the settings that a client needs',
    load: async () => (await import('./connect.ts')).setupConnect,
  },
  {
    name: 'login',
    summary: 'show that a person is here: 10 minutes of admin rights for this command line',
    load: async () => (await import('./login.ts')).setupLogin,
  },
  {
    name: 'logs',
    summary: 'who used what, newest first, or live',
    load: async () => (await import('./logs.ts')).setupLogs,
  },
  {
    name: 'usage',
    summary: 'requests, tokens and cost by user, model, day and more',
    load: async () => (await import('./usage.ts')).setupUsage,
  },
  {
    name: 'explain',
    summary: 'why a caller may, or may not, use a model',
    load: async () => (await import('./explain.ts')).setupExplain,
  },
  {
    name: 'approvals',
    summary: 'what waits for a person: list, watch, show, approve, deny, withdraw',
    load: async () => (await import('./approvals.ts')).setupApprovals,
  },
  {
    name: 'budgets',
    summary: 'what is left of budgets: list, ask for more, refill',
    load: async () => (await import('./budgets.ts')).setupBudgets,
  },
  {
    name: 'keys',
    summary: 'provider keys: list, show, add, promote, retire, revoke',
    load: async () => (await import('./keys.ts')).setupKeys,
  },
  {
    name: 'find-keys',
    summary: 'find provider keys that lie about, and put them into the vault',
    load: async () => (await import('./find-keys/index.ts')).setupFindKeys,
  },
  {
    name: 'tokens',
    summary: "Postern's own tokens: list, create, revoke",
    load: async () => (await import('./tokens.ts')).setupTokens,
  },
  {
    name: 'up',
    summary: "join a network of Tailscale's or Headscale's as a device, or show how it stands there",
    load: async () => (await import('./up.ts')).setupUp,
  },
  {
    name: 'down',
    summary: 'leave that network, until the next up or for good',
    load: async () => (await import('./up.ts')).setupDown,
  },
  {
    name: 'device',
    summary: "devices of Postern's own network: list, add with a configuration and QR code, remove",
    load: async () => (await import('./device.ts')).setupDevice,
  },
  {
    name: 'tailnet',
    summary: "networks of Postern's own that official clients join: list, create, delete, use, set, devices",
    load: async () => (await import('./tailnet.ts')).setupTailnet,
  },
  {
    name: 'dns',
    summary: 'what devices of such a network resolve, and where: show, set',
    load: async () => (await import('./dns.ts')).setupDns,
  },
  {
    name: 'user',
    summary: 'people of such a network: list, add, remove, suspend, role, and who may sign in',
    load: async () => (await import('./user.ts')).setupUser,
  },
  {
    name: 'key',
    summary: 'auth keys, by which devices join such a network: list, create, revoke',
    load: async () => (await import('./key.ts')).setupKey,
  },
  {
    name: 'config',
    summary: 'the gateway document: show, check, apply, diff, rollback, import',
    load: async () => (await import('./config.ts')).setupConfig,
  },
  {
    name: 'policy',
    summary: "a policy's own tests, what a draft would have made of recorded requests, and who reaches whom",
    load: async () => (await import('./policy.ts')).setupPolicy,
  },
  {
    name: 'admin',
    summary: 'who administers: list, or start again with a new claim',
    load: async () => (await import('./admin.ts')).setupAdmin,
  },
  {
    name: 'audit',
    summary: 'the audit log, and the proof that nobody altered it',
    load: async () => (await import('./audit.ts')).setupAudit,
  },
  {
    name: 'doctor',
    summary: 'check this machine, the state folder and the server',
    load: async () => (await import('./doctor.ts')).setupDoctor,
  },
  {
    name: 'version',
    summary: 'print the version',
    load: async () => (await import('./version.ts')).setupVersion,
  },
];

/**
 * The program with the named command's file loaded, and the others by name only, which is enough
 * for the list of commands and for suggestions. Null loads every file.
 */
export async function buildProgram(session: Session, wanted: string | null): Promise<Command> {
  const program = new Command('postern');
  program
    .description(
      'Postern: a private gateway to AI. Callers are known by the network; nobody carries a provider key.',
    )
    .usage('<command> [options]')
    .enablePositionalOptions()
    .exitOverride()
    .helpOption('-h, --help', 'show help')
    .option('--version', 'print the version')
    .helpCommand('help [command]', 'show the help of a command')
    .showSuggestionAfterError(true)
    .configureHelp({
      helpWidth: 100,
      formatHelp: (command, helper) => Help.prototype.formatHelp.call(helper, command, helper),
    })
    .configureOutput({
      writeOut: (text) => session.context.stdout.write(text),
      // What goes wrong is thrown and told once, by `runCli`.
      writeErr: () => undefined,
      outputError: () => undefined,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
  program.addHelpText(
    'after',
    `
Start here:
  postern serve              start the gateway on http://localhost:8080
  postern run claude         Claude Code through it, without touching your own settings
  postern connect codex      what to write into Codex's own configuration
  postern <command> --help   options and examples of a command

Exit codes: 0 done, 1 failed or found something, 2 usage, 3 no server reachable, 4 refused, 5 presence needed`,
  );
  for (const entry of COMMANDS) {
    const command = program.command(entry.name).description(entry.summary);
    if (wanted === null || wanted === entry.name) (await entry.load())(command, session);
  }
  return program;
}
