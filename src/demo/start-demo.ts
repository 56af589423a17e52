/**
 * `postern demo`: a whole Postern over a throw-away state folder, whose people, network and providers
 * are played by this process. Nothing here writes a row: every record, budget, approval and line of the
 * audit log is made by the real server from real requests (docs/design/0009-demo.md).
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import { silentLogger, type Logger } from '../base/log.ts';
import { loadOperatorSettings, settingsFiles } from '../config/index.ts';
import { localPrincipal } from '../identity/index.ts';
import { startServer, type RunningServer } from '../server.ts';
import { createCast, type Cast } from './cast.ts';
import { createOwnClient, DemoFailure } from './client.ts';
import { demoDocument } from './document.ts';
import { startLiveTraffic } from './live.ts';
import { startDemoNetwork, type DemoNetwork } from './network.ts';
import { personNamed } from './people.ts';
import { planSessions } from './rhythm.ts';
import { planScenes } from './scenes.ts';
import { createSeeded } from './seeded.ts';
import { faultinessOf, runSession, type Stage } from './session.ts';
import { PROVIDERS, startDemoUpstream, type DemoUpstream } from './upstream.ts';
import { createVirtualClock, type VirtualClock } from './virtual-clock.ts';

export interface DemoOptions {
  /** Same seed, same week. Default 1. */
  readonly seed?: number;
  /** Of history, 1 to 90. Default 7. */
  readonly days?: number;
  /** Of ordinary sessions together, exactly; 0 to 1,000,000. Default 1,400. */
  readonly requests?: number;
  /** Whether approvals, refusals, an outage and so on happen as well. Default true. */
  readonly scenes?: boolean;
  /** Whether somebody goes on calling every few seconds afterwards. Default true. */
  readonly live?: boolean;
  /** As the setting `listen`. Default `localhost:0`. */
  readonly listen?: string;
  /** Keeps the state here; default a folder of its own, removed in the end. */
  readonly keep?: string;
  readonly logger?: Logger;
  /** A line for the operator's terminal, once the week is over. */
  readonly announce?: (text: string) => void;
  /** How far the filling is, now and then. */
  readonly onProgress?: (done: number, planned: number) => void;
}

/** Closed set of failures of the demo's start. */
export type DemoErrorCode = 'demo_folder_in_use' | 'demo_number_invalid' | 'demo_listen_beyond';

export interface RunningDemo {
  readonly server: RunningServer;
  readonly url: string;
  readonly stateDir: string;
  /** One-time link that signs this machine's user in with presence, as admin; valid for 5 minutes. Null where the system cannot tell who opens it. */
  readonly viewerUrl: string | null;
  /** What was called, by HTTP status. */
  readonly answers: Readonly<Record<string, number>>;
  /** Real time that the filling took. */
  readonly filledInMs: number;
  /** Stops everything; removes the state unless it is kept. */
  close(drainMs?: number): Promise<void>;
}

const DAY_MS = 86_400_000;
const DAYS_MAX = 90;
const REQUESTS_MAX = 1_000_000;
/** What the budgets of the document are made for. */
const USUAL_REQUESTS_A_DAY = 200;
/** Of more requests than these each is small, so that 100,000 take minutes. */
const BRIEF_ABOVE = 10_000;
const BRIEF_TOGETHER_MS = 5_000;
/** Answers between two reports of progress. */
const PROGRESS_EVERY = 50;

export async function startDemo(options: DemoOptions = {}): Promise<RunningDemo> {
  const days = within(options.days ?? 7, 1, DAYS_MAX, 'days');
  const requests = within(options.requests ?? 1_400, 0, REQUESTS_MAX, 'requests');
  const seed = within(options.seed ?? 1, 0, 0xffff_ffff, 'seed');
  const listen = onThisMachine(options.listen ?? 'localhost:0');
  const stateDir = openFolder(options.keep ?? null);
  const startedAt = systemClock.monotonicMs();
  const endsAt = systemClock.now();
  const clock = createVirtualClock({
    startAt: endsAt - days * DAY_MS,
    togetherMs: requests > BRIEF_ABOVE ? BRIEF_TOGETHER_MS : 0,
  });
  const parts = await openParts({ ...options, listen }, stateDir, clock).catch((error: unknown) => {
    if (options.keep === undefined) rmSync(stateDir, { recursive: true, force: true });
    throw error;
  });
  const { server, upstream, network, terminal } = parts;
  let isClosed = false;
  const close = async (drainMs = 0): Promise<void> => {
    if (isClosed) return;
    isClosed = true;
    parts.stopLive?.();
    await server.close(drainMs);
    await network.close();
    await upstream.close();
    if (options.keep === undefined) rmSync(stateDir, { recursive: true, force: true });
  };
  try {
    const cast = createCast({ network, serverUrl: server.url, terminal, clock });
    const answers: Record<string, number> = {};
    let done = 0;
    let serial = 0;
    const stage: Stage = {
      clock,
      upstream,
      endsAt,
      isBrief: requests > BRIEF_ABOVE,
      faultiness: faultinessOf(requests),
      nextId: () => `r${(serial += 1)}`,
      onAnswer({ status }) {
        answers[status] = (answers[status] ?? 0) + 1;
        done += 1;
        if (done % PROGRESS_EVERY === 0) options.onProgress?.(done, requests);
      },
    };
    const viewer = viewerPrincipal();
    const documentFor = (dataUsd: number): string =>
      demoDocument({
        origins: upstream.origins,
        viewer,
        scale: Math.max(1, Math.ceil(requests / days / USUAL_REQUESTS_A_DAY)),
        dataUsd,
      });
    clock.at(clock.now(), () => setUp(cast, server, documentFor(5)));
    const random = createSeeded(seed);
    for (const planned of planSessions({ seed, endsAt, days, requests })) {
      const name = planned.who.kind === 'person' ? planned.who.device : planned.who.machine.name;
      clock.at(planned.at, () => runSession(stage, planned, cast.device(name), random.fork(planned.seed)));
    }
    if (options.scenes !== false)
      planScenes(stage, { cast, random: random.fork('scenes'), days, documentFor });
    await clock.run();
    clock.goLive();
    const filledInMs = systemClock.monotonicMs() - startedAt;
    if (options.live !== false)
      parts.stopLive = startLiveTraffic(stage, { cast, random: random.fork('live') });
    const viewerUrl = viewer === null ? null : await askViewerLink(server, terminal);
    terminal.isOpen = true;
    return {
      server,
      url: server.url,
      stateDir,
      viewerUrl,
      answers,
      filledInMs,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

interface DemoTerminal {
  readonly announced: string[];
  /** From now on lines are for people, too. */
  isOpen: boolean;
}

interface DemoParts {
  readonly server: RunningServer;
  readonly upstream: DemoUpstream;
  readonly network: DemoNetwork;
  readonly terminal: DemoTerminal;
  stopLive: (() => void) | null;
}

/** Lines of the terminal that are kept for the demo's people; they read the last one. */
const ANNOUNCED_MAX = 20;

async function openParts(options: DemoOptions, stateDir: string, clock: VirtualClock): Promise<DemoParts> {
  const network = await startDemoNetwork(join(stateDir, 'network.sock'));
  const upstream = await startDemoUpstream(clock);
  const terminal: DemoTerminal = { announced: [], isOpen: false };
  try {
    const server = await startServer({
      demo: true,
      // Nothing of the operator's own environment: no real key is found, and none is used.
      env: {},
      settings: loadOperatorSettings({
        flags: {
          listen: options.listen,
          stateDir,
          allowUpstream: '127.0.0.1/32',
          tailscaled: true,
          tailscaledSocket: network.socketPath,
        },
        env: {},
        platform: process.platform,
        homedir: stateDir,
        readFile: (path) => settingsFiles.readFile(path),
      }),
      logger: options.logger ?? silentLogger,
      clock,
      announce(text) {
        terminal.announced.push(text);
        if (terminal.announced.length > ANNOUNCED_MAX) terminal.announced.shift();
        if (terminal.isOpen) options.announce?.(text);
      },
    });
    return { server, upstream, network, terminal, stopLive: null };
  } catch (error) {
    await network.close();
    await upstream.close();
    throw error;
  }
}

/** What the first admin does on the first morning: claim, save the document, enter the keys. */
async function setUp(cast: Cast, server: RunningServer, document: string): Promise<void> {
  const ada = personNamed('Ada');
  const code = new URL(server.claimUrl ?? 'http://localhost/').hash.slice(1);
  const claimed = await cast.of(ada).send({ path: '/api/v1/claim', body: { code } });
  if (claimed.status !== 200) throw new DemoFailure('claim the server', claimed);
  const before = await cast.of(ada).send({ path: '/api/v1/config' });
  await cast.inPerson(ada, 'save the document', {
    method: 'PUT',
    path: '/api/v1/config',
    body: { text: document, comment: 'the first document' },
    headers: { 'if-match': String(before.headers['etag']) },
  });
  for (const provider of PROVIDERS) {
    await cast.inPerson(ada, `enter the key of ${provider}`, {
      path: '/api/v1/keys',
      body: { provider, name: 'demo', secret: `demo-key-of-${provider}-worth-nothing` },
    });
  }
}

/** A presence link for whoever runs the demo, by the way that every such link is made. */
async function askViewerLink(server: RunningServer, terminal: DemoTerminal): Promise<string | null> {
  const asked = await createOwnClient(server.url).send({
    path: '/api/v1/presence/requests',
    body: { client: 'postern demo', announce: true },
  });
  if (asked.status !== 201) return null;
  return /http\S+\/presence#[0-9a-z]+/.exec(terminal.announced.at(-1) ?? '')?.[0] ?? null;
}

function viewerPrincipal(): string | null {
  const { uid } = userInfo();
  return uid < 0 ? null : localPrincipal(uid);
}

function openFolder(keep: string | null): string {
  if (keep === null) return mkdtempSync(join(tmpdir(), 'postern-demo-'));
  mkdirSync(keep, { recursive: true, mode: 0o700 });
  if (readdirSync(keep).length > 0)
    throw new AppError<DemoErrorCode>(
      'demo_folder_in_use',
      `the folder ${keep} is not empty; the demo keeps its state in a new one only`,
    );
  return keep;
}

/** Its doors know people who do not exist; nobody else is to meet them. */
function onThisMachine(listen: string): string {
  if (/^(?:localhost|127\.0\.0\.1|\[::1\]):\d{1,5}$/.test(listen)) return listen;
  throw new AppError<DemoErrorCode>(
    'demo_listen_beyond',
    `the demo listens on this machine only: listen must be localhost:PORT, got "${listen}"`,
  );
}

function within(value: number, least: number, most: number, name: string): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new AppError<DemoErrorCode>(
    'demo_number_invalid',
    `${name} must be a whole number from ${least} to ${most}, got ${value}`,
  );
}
