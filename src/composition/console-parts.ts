/** What the console asks of the server besides its store: settings, doctor, retention, hooks, prices and the playground. */
import type {
  ApiDependencies,
  DoctorFinding,
  HooksPort,
  PlaygroundRequest,
  RetentionView,
  SettingsView,
  SettingView,
} from '../api/ports.ts';
import type { Clock } from '../base/clock.ts';
import { Secret } from '../base/secret.ts';
import { silentTerminal } from '../cli/context.ts';
import { quotaWarnings } from '../cli/config/quota-faults.ts';
import { checkMachine } from '../cli/doctor/check-machine.ts';
import { checkLoadedSettings } from '../cli/doctor/check-settings.ts';
import { checkStateFolder } from '../cli/doctor/check-state-folder.ts';
import { SETTINGS, type OperatorSettings } from '../config/index.ts';
import type { ListenerKind } from '../doors/index.ts';
import type { Documents } from '../gateway/documents/index.ts';
import { runLlm, type GatewayParts } from '../gateway/index.ts';
import type { Hooks } from '../guardrails/hooks/index.ts';
import type { PriceBook } from '../llm/index.ts';
import type { FetchSmall } from '../net/index.ts';
import { createProviderTest } from './provider-test.ts';

export interface ConsolePartsOptions {
  readonly settings: OperatorSettings;
  readonly documents: Pick<Documents, 'current'>;
  readonly gateway: GatewayParts;
  readonly hooks: Pick<Hooks, 'stats' | 'retry'>;
  readonly fetchSmall: FetchSmall;
}

type ConsoleParts = Pick<
  ApiDependencies,
  | 'settings'
  | 'retention'
  | 'machineFindings'
  | 'hooks'
  | 'testProvider'
  | 'playground'
  | 'cacheSaving'
  | 'quotaWindow'
>;

/** The label under which the console's own requests are recorded. */
const PLAYGROUND_AGENT = 'playground';
/** Of the API's own answers; a model's answer brings its own. */
const API_HEADERS = [
  'x-postern-request-id',
  'cache-control',
  'content-security-policy',
  'x-content-type-options',
];

export function createConsoleParts(options: ConsolePartsOptions): ConsoleParts {
  const { settings, documents, gateway, hooks, fetchSmall } = options;
  const shown = settingsView(settings);
  return {
    settings: () => shown,
    retention: () => retentionView(documents),
    machineFindings: () => machineFindings(settings, documents),
    hooks: hooksPort(documents, hooks),
    testProvider: createProviderTest({
      documents,
      vault: gateway.vault,
      providers: gateway.providers,
      fetchSmall,
      clock: gateway.clock,
    }),
    playground: (request) => playOn(gateway, request),
    cacheSaving: (provider, model, tokens) => cacheSaving(documents, gateway, { provider, model, tokens }),
    quotaWindow: (quota) => {
      const entry = documents.current().document.quotas.get(quota);
      const unit = (['hour', 'day', 'week', 'month'] as const).find((one) => one === entry?.window);
      return unit === undefined ? null : { unit, timeZone: entry?.timezone ?? null };
    },
  };
}

function settingsView(settings: OperatorSettings): SettingsView {
  return {
    items: Object.entries(SETTINGS).map(([name, spec]): SettingView => {
      const origin = settings.origins.get(name) ?? { kind: 'default' };
      return {
        name,
        value: plainValue(valueOf(settings, name)),
        origin: origin.kind,
        originName: origin.kind === 'default' ? null : origin.kind === 'file' ? origin.path : origin.name,
        flag: spec.flag,
        env: spec.env,
        doc: spec.doc,
        unit: spec.unit,
        fallback: spec.fallback,
        example: spec.example,
        dangerous: settings.dangerous.includes(name),
      };
    }),
    file: settings.settingsFile,
    fileFound: settings.settingsFileFound,
  };
}

/** A dot is a level of the settings. */
function valueOf(settings: OperatorSettings, name: string): unknown {
  if (name === 'settings') return settings.settingsFile;
  let value: unknown = settings;
  for (const part of name.split('.')) {
    if (typeof value !== 'object' || value === null) return null;
    value = Object.getOwnPropertyDescriptor(value, part)?.value ?? null;
  }
  return value;
}

/** Secrets print as `[secret]` at every depth. */
function plainValue(value: unknown): unknown {
  if (value instanceof Secret) return '[secret]';
  return value === undefined ? null : JSON.parse(JSON.stringify(value));
}

function retentionView(documents: Pick<Documents, 'current'>): RetentionView {
  const { document } = documents.current();
  const { retention } = document;
  return {
    document:
      retention === null
        ? null
        : {
            durationMs: retention.durationMs,
            purge: retention.purge,
            requireExport: retention.requireExport,
          },
    capture: document.grants.flatMap(({ capabilities }) =>
      capabilities.flatMap(({ path, capture }) => (capture === null ? [] : [{ rule: path, capture }])),
    ),
  };
}

/** As `postern doctor` run beside the server, with the settings that hold. */
async function machineFindings(
  settings: OperatorSettings,
  documents: Pick<Documents, 'current'>,
): Promise<readonly DoctorFinding[]> {
  // The environment of the server is its operator's own, and holds secrets on purpose.
  const context = { ...silentTerminal(), env: {} };
  const quotas = await quotaWarnings(documents.current().document);
  return [
    ...checkMachine(context),
    ...checkStateFolder(settings.stateDir, context),
    ...checkLoadedSettings(settings),
    ...quotas.map(({ kind, message, fix }): DoctorFinding => ({
      check: 'quotas',
      level: kind === 'broken' ? 'problem' : 'warning',
      message,
      fix,
    })),
  ];
}

function hooksPort(documents: Pick<Documents, 'current'>, hooks: Pick<Hooks, 'stats' | 'retry'>): HooksPort {
  return {
    entries: () =>
      [...documents.current().document.hooks.values()].map(({ id, url, mode, failPolicy, disabled }) => ({
        name: id,
        origin: URL.parse(url)?.origin ?? '',
        mode,
        failPolicy,
        disabled,
      })),
    stats: () => hooks.stats(),
    retry: (id) => hooks.retry(id),
  };
}

/** Nano-dollars that reading from the provider's cache saved, at today's list price. */
function cacheSaving(
  documents: Pick<Documents, 'current'>,
  { prices, clock }: { readonly prices: PriceBook; readonly clock: Clock },
  { provider, model, tokens }: { readonly provider: string; readonly model: string; readonly tokens: number },
): number | null {
  const entry = documents.current().providers.get(provider);
  if (entry === undefined) return null;
  const known = prices.modelFacts(entry.costBasis ?? entry.kind, model, clock.now())?.prices;
  if (known?.input === undefined || known.cacheRead === undefined) return null;
  // Dollars for a million tokens are thousands of nano-dollars for one.
  return Math.round((known.input - known.cacheRead) * 1_000 * tokens);
}

/** A request of the console takes the way of all others, from its beginning. */
function playOn(gateway: GatewayParts, request: PlaygroundRequest): void {
  const { req, res, path, query, caller, context } = request;
  for (const name of API_HEADERS) res.removeHeader(name);
  req.headers['x-postern-agent'] = PLAYGROUND_AGENT;
  void runLlm(
    gateway,
    {
      id: context.requestId,
      startedAt: gateway.clock.now(),
      startedMark: gateway.clock.monotonicMs(),
      req,
      res,
      // The API was told by the listener which one it is.
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `composition/front.ts` passes a `ListenerKind`
      listener: context.listener as ListenerKind,
      path,
      query,
    },
    caller,
  );
}
