/** A coordinator without sockets, under a clock that a test moves. */
import { silentLogger } from '../../base/log.ts';
import { systemRandom } from '../../base/random.ts';
import { ControlAdministration, type NewAuthKey } from './administration.ts';
import { ALLOW_ALL, memoryStore, type MemoryControlStore } from './control-bed.fixture.ts';
import { Coordinator, type CoordinatorOptions } from './coordinator.ts';
import type { RegisterQuestion } from './read-requests.ts';
import type { NodeRecord, TailnetKind } from './records.ts';
import { register, type RegisterAnswer } from './registration.ts';
import type { Tailnet } from './tailnet.ts';

export interface CoordinatorBed {
  readonly store: MemoryControlStore;
  readonly coordinator: Coordinator;
  readonly admin: ControlAdministration;
  /** With one user, if it is people's. */
  add(name: string, kind?: TailnetKind): Promise<Tailnet>;
  /** The text of a new auth key, of the tailnet's first user unless it has tags. */
  key(tailnet: Tailnet, more?: Partial<NewAuthKey>): Promise<string>;
  ask(machineKey: string, question: Partial<RegisterQuestion> & { readonly nodeKey: string }): RegisterAnswer;
  /** Joins, or fails the test. */
  join(machineKey: string, question: Partial<RegisterQuestion> & { readonly nodeKey: string }): NodeRecord;
  /** Moves the clock on, and lets time pass. */
  pass(ms: number): void;
  /** Another process over the same store. */
  reopen(): Promise<CoordinatorBed>;
}

/** 64 hex digits that stand for a key. */
export function keyOf(name: string): string {
  return Buffer.from(name.padEnd(32, '.')).toString('hex').slice(0, 64);
}

export function hostOf(hostname: string, more: Partial<{ tags: string[]; routes: string[] }> = {}) {
  return {
    facts: {
      os: 'linux',
      hostname,
      version: '1.98',
      services: [],
      sshHostKeys: [],
      offeredRoutes: more.routes ?? [],
    },
    requestTags: more.tags ?? [],
    homeDerp: null,
  };
}

export async function openCoordinatorBed(
  more: Partial<CoordinatorOptions> = {},
  store: MemoryControlStore = memoryStore(),
  startAt = 1_800_000_000_000,
): Promise<CoordinatorBed> {
  let now = startAt;
  const coordinator = await Coordinator.open({
    store,
    compiler: ALLOW_ALL,
    relays: { current: () => ({ Regions: {} }) },
    domainSuffix: 'test.internal',
    authKeyHashKey: Buffer.alloc(32, 1),
    clock: { now: () => now, monotonicMs: () => now },
    random: systemRandom,
    logger: silentLogger,
    ...more,
  });
  const admin = new ControlAdministration(coordinator);
  const bed: CoordinatorBed = {
    store,
    coordinator,
    admin,
    async add(name, kind = 'people') {
      const tailnet = await admin.createTailnet({ name, kind });
      if (kind === 'people')
        await admin.addUser(tailnet, { login: 'alice@example.com', displayName: 'Alice', role: 'member' });
      return tailnet;
    },
    async key(tailnet, key = {}) {
      const { text } = await admin.createAuthKey(tailnet, {
        description: 'test',
        userId: (key.tags ?? []).length === 0 ? (tailnet.users()[0]?.id ?? null) : null,
        tags: [],
        isReusable: false,
        isEphemeral: false,
        isPreauthorized: false,
        lifeMs: 3_600_000,
        createdBy: 'test',
        ...key,
      });
      return text.reveal();
    },
    ask: (machineKey, question) =>
      register(coordinator, {
        machineKey,
        followupId: question.followup ?? null,
        question: {
          version: 125,
          oldNodeKey: null,
          authKey: null,
          followup: null,
          isEphemeral: false,
          expiry: null,
          tailnet: null,
          host: hostOf('box'),
          ...question,
        },
      }),
    join(machineKey, question) {
      const answer = bed.ask(machineKey, question);
      if (answer.type !== 'registered') throw new Error(`it is not in: ${JSON.stringify(answer)}`);
      return answer.node;
    },
    pass(ms) {
      now += ms;
      coordinator.pass();
    },
    reopen: () => openCoordinatorBed(more, store, now),
  };
  return bed;
}
