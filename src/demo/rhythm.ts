/**
 * When who works with which agent: a week (or any number of days) of an office, the same for the same
 * seed and end. Pure: it plans, and nobody has called anything yet.
 */
import type { UnixMs } from '../base/clock.ts';
import { MACHINES, PEOPLE, type AgentName, type DemoMachine, type DemoPerson } from './people.ts';
import { createSeeded, type Seeded } from './seeded.ts';

export interface PlannedSession {
  readonly at: UnixMs;
  readonly who:
    | {
        readonly kind: 'person';
        readonly person: DemoPerson;
        readonly device: string;
        readonly agent: AgentName;
      }
    | { readonly kind: 'machine'; readonly machine: DemoMachine };
  /** Requests, at least 1. */
  readonly turns: number;
  readonly seed: string;
}

export interface RhythmOptions {
  readonly seed: number;
  readonly endsAt: UnixMs;
  /** Up to the end. */
  readonly days: number;
  /** Of all sessions together, exactly. */
  readonly requests: number;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** How busy each hour of a working day is, UTC from midnight. */
const HOURS: readonly number[] = [
  0, 0, 0, 0, 0, 0, 0.2, 1, 4, 8, 10, 9, 5, 7, 10, 9, 7, 4, 2, 1, 0.6, 0.4, 0.2, 0,
];
/** Of a Saturday or Sunday, compared with a working day. */
const WEEKEND_SHARE = 0.08;
const TURNS_USUAL = 8;
const TURNS_MAX = 40;
/** Machines have a share of all sessions. */
const MACHINE_SHARE = 0.12;
/** No session begins later before the end: its turns follow each other at some distance. */
const LAST_START_MS = 5 * 60_000;
/** Sessions that begin in the last hour whatever time it is, so that something is new. */
const RECENT_SHARE = 0.03;

/** Those that talk. */
const BUILD_MACHINES = MACHINES.filter(({ tags }) => !tags.includes('tag:design'));

/** Sessions in the order of their begin. */
export function planSessions(options: RhythmOptions): readonly PlannedSession[] {
  const random = createSeeded(options.seed).fork('rhythm');
  const hours = weighHours(options);
  const sessions: PlannedSession[] = [];
  for (let left = options.requests; left > 0;) {
    const turns = Math.min(left, TURNS_MAX, Math.max(1, Math.round(random.skewed(TURNS_USUAL))));
    left -= turns;
    sessions.push({
      at: random.chance(RECENT_SHARE) ? recently(options, random) : startIn(hours, options, random),
      who: random.chance(MACHINE_SHARE)
        ? { kind: 'machine', machine: random.pick(BUILD_MACHINES) }
        : pickPerson(random),
      turns,
      seed: `session-${sessions.length}`,
    });
  }
  return sessions.toSorted((a, b) => a.at - b.at);
}

interface WeighedHour {
  readonly startsAt: UnixMs;
  /** This hour's weight and that of all before it. */
  readonly upTo: number;
}

function weighHours({ endsAt, days }: RhythmOptions): readonly WeighedHour[] {
  const hours: WeighedHour[] = [];
  let upTo = 0;
  const begin = Math.ceil((endsAt - days * DAY_MS) / HOUR_MS) * HOUR_MS;
  for (let startsAt = begin; startsAt + HOUR_MS <= endsAt; startsAt += HOUR_MS) {
    const date = new Date(startsAt);
    const isWeekend = date.getUTCDay() % 6 === 0;
    // Never nothing: a demo of one Sunday has something to show, too.
    const share = (HOURS[date.getUTCHours()] ?? 0) * (isWeekend ? WEEKEND_SHARE : 1) + 0.02;
    upTo += share;
    hours.push({ startsAt, upTo });
  }
  return hours;
}

function startIn(hours: readonly WeighedHour[], options: RhythmOptions, random: Seeded): UnixMs {
  const total = hours.at(-1)?.upTo ?? 0;
  const wanted = random.fraction() * total;
  const hour = hours.find(({ upTo }) => upTo >= wanted);
  if (hour === undefined) return recently(options, random);
  return Math.min(
    hour.startsAt + Math.floor(random.fraction() * HOUR_MS),
    Math.max(options.endsAt - LAST_START_MS, options.endsAt - options.days * DAY_MS),
  );
}

function recently({ endsAt, days }: RhythmOptions, random: Seeded): UnixMs {
  const spanMs = Math.min(HOUR_MS, days * DAY_MS);
  return endsAt - Math.max(Math.min(LAST_START_MS, spanMs), Math.floor(random.fraction() * spanMs));
}

function pickPerson(random: Seeded): PlannedSession['who'] {
  const total = PEOPLE.reduce((sum, { zeal }) => sum + zeal, 0);
  let wanted = random.fraction() * total;
  const person = PEOPLE.find(({ zeal }) => (wanted -= zeal) < 0) ?? random.pick(PEOPLE);
  return { kind: 'person', person, device: random.pick(person.devices), agent: random.pick(person.agents) };
}
