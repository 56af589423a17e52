/**
 * One session of an agent: turn after turn the whole conversation goes to the gateway, as agents do
 * it. What the model answers is decided here and told to the fake provider before.
 */
import type { UnixMs } from '../base/clock.ts';
import { AGENTS, MACHINE_AGENT, type DemoAgent } from './agents.ts';
import type { DemoAnswer, DemoClient } from './client.ts';
import type { DemoPerson } from './people.ts';
import type { PlannedSession } from './rhythm.ts';
import type { Seeded } from './seeded.ts';
import type { Reply, ReplyUsage, Talk, TalkItem, ToolSpec } from './talk.ts';
import { ANSWERED, ASKED, CODING_TOPICS, FOLLOW_UPS, nextStep, thoughtOf, type Topic } from './topics.ts';
import { REPLY_HEADER, type DemoUpstream } from './upstream.ts';
import type { VirtualClock } from './virtual-clock.ts';

export interface Stage {
  readonly clock: VirtualClock;
  readonly upstream: DemoUpstream;
  /** Everything is over by then. */
  readonly endsAt: UnixMs;
  /** Sessions are short of words, because there are very many. */
  readonly isBrief: boolean;
  /** As `faultinessOf` says. */
  readonly faultiness: number;
  /** Names a request and its answer. */
  nextId(): string;
  /** A request of the demo was answered. */
  onAnswer(answer: DemoAnswer): void;
}

export interface AskOptions {
  readonly client: DemoClient;
  readonly agent: DemoAgent;
  readonly talk: Talk;
  readonly reply: Reply;
  readonly sessionId: string | null;
  /** Default a new one. */
  readonly id?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One request, of which the fake model's answer is known. */
export async function ask(stage: Stage, options: AskOptions): Promise<DemoAnswer> {
  const { client, agent, talk, reply, sessionId } = options;
  const id = options.id ?? stage.nextId();
  stage.upstream.expect(id, reply);
  try {
    const answer = await client.send({
      path: agent.format.path(talk),
      body: agent.format.body(talk),
      headers: {
        ...agent.format.headers,
        ...agent.headers,
        ...(sessionId === null || agent.sessionHeader === null ? {} : { [agent.sessionHeader]: sessionId }),
        ...options.headers,
        [REPLY_HEADER]: id,
      },
    });
    stage.onAnswer(answer);
    return answer;
  } finally {
    stage.upstream.forget(id);
  }
}

/** Between an answer and the next question of a person, and of a program. */
const READING_MS = 45_000;
const WORKING_MS = 3_000;
/** Requests that go wrong at the provider, as some always do; of many, no more than a number of them: retries take real time. */
const FAULTY_SHARE = 0.012;
const BROKEN_SHARE = 0.004;
const FAULTY_MAX = 30;

/** How many of so many requests are to go wrong, as a factor on the usual shares. */
export function faultinessOf(requests: number): number {
  return requests === 0 ? 1 : Math.min(1, FAULTY_MAX / (FAULTY_SHARE * requests));
}

export async function runSession(
  stage: Stage,
  planned: PlannedSession,
  client: DemoClient,
  random: Seeded,
): Promise<void> {
  const agent = planned.who.kind === 'person' ? AGENTS[planned.who.agent] : MACHINE_AGENT;
  const person = planned.who.kind === 'person' ? planned.who.person : null;
  const models = agent.models.filter((model) => mayUse(person, model));
  const script = createScript({
    agent,
    random,
    id: `${planned.seed}-${random.whole(100_000, 999_999)}`,
    model: random.pick(models),
    faultiness: stage.faultiness,
    isBrief: stage.isBrief,
  });
  const label = planned.who.kind === 'machine' ? { 'x-postern-agent': planned.who.machine.agent } : undefined;
  for (let turn = 0; turn < planned.turns; turn += 1) {
    const { talk, reply, isStep } = script.next(planned.turns - turn);
    const answer = await ask(stage, {
      client,
      agent,
      talk,
      reply,
      sessionId: script.id,
      ...(label === undefined ? {} : { headers: label }),
    });
    script.took(answer.status === 200 && !reply.breaksOff);
    if (turn + 1 === planned.turns) return;
    const pauseMs = random.skewed(isStep ? WORKING_MS : READING_MS);
    // Whatever began is over at the end.
    const spareMs = (stage.endsAt - stage.clock.now()) / (planned.turns - turn) - reply.writingMs;
    await stage.clock.sleep(Math.max(1, Math.min(pauseMs, spareMs)));
  }
}

/** The largest models are the platform's; the others know it. */
export function mayUse(person: DemoPerson | null, model: string): boolean {
  return !model.includes('opus') || person?.team === 'platform';
}

export interface Script {
  readonly id: string;
  /** The next request, and what the model will say. `turnsLeft` counts it. */
  next(turnsLeft: number): { readonly talk: Talk; readonly reply: Reply; readonly isStep: boolean };
  /** Whether the answer came; else the same question is put again. */
  took(came: boolean): void;
}

/** Items of a conversation before a new one is begun, as agents compact theirs. */
const ITEMS_MAX = 40;
/** … and of a brief one. */
const ITEMS_BRIEF_MAX = 6;
/** Instructions of a brief one. */
const SYSTEM_BRIEF_CHARS = 240;

export interface ScriptOptions {
  readonly agent: DemoAgent;
  readonly random: Seeded;
  /** Names the session. */
  readonly id: string;
  /** Null: one that the agent uses. */
  readonly model?: string;
  /** Factor on how often its provider fails; default 1. */
  readonly faultiness?: number;
  /** Short instructions and history: for very many requests. Default false. */
  readonly isBrief?: boolean;
}

/** A conversation that goes on as long as one likes. */
export function createScript({
  agent,
  random,
  id,
  model: named,
  faultiness = 1,
  isBrief = false,
}: ScriptOptions): Script {
  const topic = random.pick(CODING_TOPICS);
  const model = named ?? random.pick(agent.models);
  let items: TalkItem[] = [{ kind: 'user', text: firstQuestion(agent, topic, random) }];
  let step = 0;
  let tokensBefore = 0;
  let tokensNow = 0;
  let pending: TalkItem[] = [];
  const toolSpecs = toolsOf(agent);
  const system = isBrief ? agent.system.slice(0, SYSTEM_BRIEF_CHARS) : agent.system;
  const itemsMax = isBrief ? ITEMS_BRIEF_MAX : ITEMS_MAX;
  return {
    id,
    next(turnsLeft) {
      const isStep = agent.tools !== null && turnsLeft > 1 && step % 6 !== 5;
      const taken =
        agent.tools !== null && isStep
          ? nextStep(agent.tools, topic, { step: step % 6, id: callId(random), random })
          : null;
      const talk: Talk = {
        model,
        system,
        tools: toolSpecs,
        items,
        stream: agent.streams,
        maxTokens: agent.maxTokens,
      };
      const said = taken?.said ?? (agent.tools === null ? random.pick(ANSWERED) : topic.done);
      const tokens = tokensOf(agent, talk);
      tokensNow = tokens;
      const reply: Reply = {
        thinking: agent.thinks && random.chance(0.6) ? thoughtOf(random) : null,
        text: said,
        calls: taken === null ? [] : [taken.call],
        usage: usageOf(agent, tokens, tokensBefore, random),
        firstByteMs: random.skewed(700),
        writingMs: random.skewed(taken === null ? 7_000 : 2_500),
        failure: random.chance(FAULTY_SHARE * faultiness) ? random.pick([429, 500, 529]) : null,
        breaksOff: agent.streams && random.chance(BROKEN_SHARE * faultiness),
      };
      pending = [
        { kind: 'reply', reply },
        taken === null
          ? { kind: 'user', text: random.pick(FOLLOW_UPS) }
          : { kind: 'results', results: [{ call: taken.call, output: taken.output }] },
      ];
      return { talk, reply, isStep };
    },
    took(came) {
      if (!came) return;
      tokensBefore = tokensNow;
      items = items.length >= itemsMax ? items.slice(0, 1) : [...items, ...pending];
      step += 1;
    },
  };
}

function firstQuestion(agent: DemoAgent, topic: Topic, random: Seeded): string {
  return agent.tools === null ? `${random.pick(ASKED)} (${random.whole(100, 9_999)})` : topic.question;
}

export function toolsOf(agent: DemoAgent): readonly ToolSpec[] {
  if (agent.tools === null) return [];
  const { read, search, edit, run } = agent.tools;
  return [read.tool, search.tool, edit.tool, run.tool];
}

export function callId(random: Seeded): string {
  return `call_${random.whole(0x1000_0000, 0x7fff_ffff).toString(36)}${random.whole(0, 0x7fff_ffff).toString(36)}`;
}

/** Bytes of JSON a token; about what tokenizers make of code. */
const BYTES_PER_TOKEN = 2.5;

function tokensOf(agent: DemoAgent, talk: Talk): number {
  return Math.ceil(JSON.stringify(agent.format.body(talk)).length / BYTES_PER_TOKEN);
}

/** What was sent before is read from the provider's cache, by agents whose prompts are made for it. */
function usageOf(agent: DemoAgent, tokens: number, tokensBefore: number, random: Seeded): ReplyUsage {
  const isCached = agent.tools !== null && tokensBefore > 0;
  const cacheRead = isCached ? Math.min(tokensBefore, tokens) : 0;
  const rest = Math.max(1, tokens - cacheRead);
  const writesCache = agent.format.headers['anthropic-version'] !== undefined && agent.tools !== null;
  const input = writesCache ? Math.min(rest, random.whole(4, 40)) : rest;
  const output = Math.min(agent.maxTokens, Math.round(random.skewed(agent.tools === null ? 260 : 620)));
  return {
    input,
    cacheRead,
    cacheWrite: writesCache ? rest - input : 0,
    output,
    reasoning: agent.thinks ? Math.floor(output / 3) : 0,
  };
}
