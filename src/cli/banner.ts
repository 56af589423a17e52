/** What `postern serve` says once it listens. */
import { settingsFor } from '../api/connect-snippets.ts';
import type { Secret } from '../base/secret.ts';
import type { OperatorSettings, SettingOrigin } from '../config/index.ts';
import type { CliContext } from './context.ts';
import { paint, printable } from './output.ts';

/** What the banner tells of the running server. */
export interface BannerServer {
  readonly url: string;
  readonly addresses: readonly string[];
  readonly socketPath: string | null;
  /** Of the public listener, if Postern made it. */
  readonly certificate: {
    readonly fingerprint: string;
    readonly file: string;
    readonly isNew: boolean;
  } | null;
  /** Null once somebody administers. */
  readonly claimUrl: string | null;
  /** The line by which a first device joins, with a key for one device; null once one has. */
  readonly firstDevice: Secret | null;
  readonly providers: readonly { readonly id: string; readonly source: string }[];
  /** What `postern up` joined before; null for nothing. */
  readonly network: { readonly loginServer: string; readonly state: string } | null;
  readonly capture: string;
  readonly warnings: readonly string[];
}

/** Prints to standard output: the log goes to standard error. */
export function printBanner(context: CliContext, server: BannerServer, settings: OperatorSettings): void {
  const bold = (text: string): string => paint(context, context.stdout, 'bold', text);
  const lines: string[] = ['', `${bold('Postern')} listens on ${bold(server.url)}`];
  const row = (name: string, text: string): void => {
    lines.push(`  ${name.padEnd(10)} ${text}`);
  };
  row('addresses', server.addresses.join(', '));
  if (server.socketPath !== null) row('socket', server.socketPath);
  if (server.network !== null)
    row('network', `${printable(server.network.loginServer)} (${server.network.state}; postern up --status)`);
  if (server.certificate !== null) {
    const { fingerprint, file, isNew } = server.certificate;
    row('TLS', `${isNew ? 'a new' : 'its own'} self-signed certificate: clients trust ${file}`);
    row('', `SHA-256 ${fingerprint}`);
  }
  row('state', settings.stateDir);
  if (settings.settingsFileFound) row('settings', settings.settingsFile);
  row('document', settings.config === null ? 'in the store' : `${settings.config} (watched)`);
  for (const line of foundSettings(settings)) row('set', line);
  const providers = server.providers.map(
    (provider) => `${printable(provider.id)} (${printable(provider.source)})`,
  );
  row(
    'providers',
    providers.length === 0
      ? 'none: set ANTHROPIC_API_KEY, OPENAI_API_KEY … or `postern keys add`'
      : providers.join(', '),
  );
  row('records', captureText(server.capture));
  for (const warning of [
    ...settings.dangerous.map((name) => `${name} is on: it weakens security`),
    ...server.warnings,
  ]) {
    lines.push(`  ${paint(context, context.stdout, 'yellow', 'warning'.padEnd(10))} ${printable(warning)}`);
  }
  lines.push('');
  if (server.claimUrl !== null) {
    lines.push(
      'Nobody administers this server yet. Open this link once to become its admin:',
      `  ${bold(server.claimUrl)}`,
      '',
    );
  }
  if (server.firstDevice !== null) {
    lines.push(
      "Another device joins the private network of this Postern with Tailscale's client and this line (for one device, within the hour):",
      `  ${bold(server.firstDevice.reveal())}`,
      '',
    );
  }
  lines.push('Try it, with the built-in test model:', `  ${tryLine(context, server)}`, '');
  lines.push('Then: postern run claude, postern connect, postern logs -f.  Stop with Ctrl-C.', '');
  context.stdout.write(`${lines.join('\n')}\n`);
}

/** One line to copy. Where nobody can tell the owner of a loopback connection it goes over the socket. */
function tryLine(context: CliContext, server: BannerServer): string {
  const useSocket = context.platform !== 'linux' && server.socketPath !== null;
  const settings = settingsFor('curl', {
    baseUrl: useSocket ? 'http://localhost' : server.url,
    model: 'postern/echo',
    ...(useSocket && server.socketPath !== null ? { socketPath: server.socketPath } : {}),
  });
  return settings.snippet.text;
}

function captureText(capture: string): string {
  if (capture === 'full')
    return 'prompts and answers are kept, encrypted, in the state folder (capture: full)';
  if (capture === 'metadata')
    return 'who, when, model, tokens and cost are kept, prompts are not (capture: metadata)';
  return `capture: ${capture}`;
}

/** Settings that are not the default, and where each came from. */
function foundSettings(settings: OperatorSettings): readonly string[] {
  const shown = new Set(['stateDir', 'settings', 'config']);
  return [...settings.origins].flatMap(([name, origin]) =>
    shown.has(name) || origin.kind === 'default' ? [] : [`${name} by ${originText(origin)}`],
  );
}

function originText(origin: Exclude<SettingOrigin, { readonly kind: 'default' }>): string {
  return origin.kind === 'file' ? origin.path : origin.name;
}
