/**
 * Who works in the demo: twelve people in three teams with their devices, and machines of the
 * build. They exist in the demo's own network only (`network.ts`).
 */

export type AgentName =
  | 'claude-code'
  | 'codex'
  | 'gemini-cli'
  | 'opencode'
  | 'openai-sdk'
  | 'anthropic-sdk'
  | 'notebook';

export type Team = 'platform' | 'product' | 'data';

export interface DemoPerson {
  readonly name: string;
  readonly login: string;
  /** Of the coordination server; decimal. */
  readonly userId: number;
  readonly team: Team;
  /** Beside `user`. */
  readonly role: 'admin' | 'approver' | 'auditor' | 'lead' | null;
  readonly devices: readonly string[];
  readonly agents: readonly AgentName[];
  /** Sessions compared with the others: 1 is the usual. */
  readonly zeal: number;
}

/** A device without a person: a job of the build. */
export interface DemoMachine {
  readonly name: string;
  readonly tags: readonly string[];
  readonly agent: string;
}

const DOMAIN = 'example.com';

function person(
  name: string,
  userId: number,
  team: Team,
  more: Partial<DemoPerson> & Pick<DemoPerson, 'devices' | 'agents'>,
): DemoPerson {
  return {
    name,
    login: `${name.toLowerCase()}@${DOMAIN}`,
    userId,
    team,
    role: null,
    zeal: 1,
    ...more,
  };
}

/** The first of them starts and administers it all. */
export const PEOPLE: readonly DemoPerson[] = [
  person('Ada', 8001, 'platform', {
    role: 'admin',
    devices: ['ada-laptop', 'ada-desktop'],
    agents: ['claude-code', 'openai-sdk'],
    zeal: 1.3,
  }),
  person('Ben', 8002, 'platform', {
    role: 'approver',
    devices: ['ben-laptop'],
    agents: ['codex', 'claude-code'],
  }),
  person('Chloe', 8003, 'platform', { devices: ['chloe-laptop'], agents: ['claude-code'], zeal: 2.2 }),
  person('Dmitri', 8004, 'platform', { devices: ['dmitri-workstation'], agents: ['opencode', 'codex'] }),
  person('Elif', 8005, 'product', {
    role: 'lead',
    devices: ['elif-laptop', 'elif-tablet'],
    agents: ['claude-code'],
  }),
  person('Femi', 8006, 'product', { devices: ['femi-laptop'], agents: ['codex'], zeal: 1.6 }),
  person('Grace', 8007, 'product', { devices: ['grace-laptop'], agents: ['gemini-cli', 'opencode'] }),
  person('Hiro', 8008, 'product', { devices: ['hiro-laptop'], agents: ['opencode'], zeal: 0.7 }),
  person('Ines', 8009, 'data', {
    role: 'lead',
    devices: ['ines-laptop'],
    agents: ['notebook', 'gemini-cli'],
  }),
  person('Jonas', 8010, 'data', {
    devices: ['jonas-workstation'],
    agents: ['notebook', 'anthropic-sdk'],
    zeal: 1.4,
  }),
  person('Kavya', 8011, 'data', { devices: ['kavya-laptop'], agents: ['gemini-cli', 'notebook'] }),
  person('Liam', 8012, 'data', {
    role: 'auditor',
    devices: ['liam-laptop'],
    agents: ['anthropic-sdk'],
    zeal: 0.4,
  }),
];

export const MACHINES: readonly DemoMachine[] = [
  { name: 'ci-runner-1', tags: ['tag:ci'], agent: 'review-bot' },
  { name: 'ci-runner-2', tags: ['tag:ci'], agent: 'review-bot' },
  { name: 'nightly-batch', tags: ['tag:batch'], agent: 'doc-indexer' },
  { name: 'design-tool', tags: ['tag:design'], agent: 'illustrator' },
];

/** Somebody who stands in no group: the grants do not know them. */
export const STRANGER: DemoPerson = person('Maya', 8013, 'product', {
  devices: ['maya-laptop'],
  agents: ['openai-sdk'],
});

export function personNamed(name: string): DemoPerson {
  const found = PEOPLE.find((one) => one.name === name);
  if (found === undefined) throw new RangeError(`nobody in the demo is called ${name}`);
  return found;
}
