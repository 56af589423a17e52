/** What scenes are made of: when they begin, and one question of somebody with one of the agents. */
import { AGENTS } from './agents.ts';
import type { Cast } from './cast.ts';
import { personNamed, type AgentName } from './people.ts';
import type { Seeded } from './seeded.ts';
import { ask, createScript, type Stage } from './session.ts';
import type { Reply, Talk } from './talk.ts';

export interface SceneOptions {
  readonly cast: Cast;
  readonly random: Seeded;
  /** Of the whole demo. */
  readonly days: number;
  /** The document with this budget for the data team. */
  readonly documentFor: (dataUsd: number) => string;
}

/** Part of the demo's working hours that is over when a scene begins: 0 at the begin, 1 at the end. */
export type When = number;

export interface Scenery extends SceneOptions {
  readonly stage: Stage;
  readonly play: (when: When, run: () => Promise<void>) => void;
}

export interface Saying {
  readonly text: string;
  readonly answer: string;
  /** The agent's usual one. */
  readonly model?: string;
  readonly stream?: boolean;
  /** A command that the model wants to run. */
  readonly call?: string;
  /** Names the session. */
  readonly session?: string;
  /** Of the request, from the stage. */
  readonly id?: string;
}

/** One question of somebody with one of the agents. Resolves with the answer. */
export async function say(
  scenery: Scenery,
  name: string,
  agentName: AgentName,
  saying: Saying,
): Promise<void> {
  await sayAndHear(scenery, name, agentName, saying);
}

export async function sayAndHear(
  { stage, cast, random }: Scenery,
  name: string,
  agentName: AgentName,
  saying: Saying,
): ReturnType<typeof ask> {
  const agent = AGENTS[agentName];
  const script = createScript({
    agent,
    random,
    id: saying.session ?? `${agentName}-${random.whole(1e5, 1e6)}`,
  });
  const { talk: first, reply: usual } = script.next(1);
  const talk: Talk = {
    ...first,
    model: saying.model ?? agent.models[0],
    stream: saying.stream ?? agent.streams,
    items: [{ kind: 'user', text: saying.text }],
  };
  return ask(stage, {
    client: cast.of(personNamed(name)),
    agent,
    talk,
    reply: replyWith(usual, saying, runTool(agentName)),
    sessionId: script.id,
    ...(saying.id === undefined ? {} : { id: saying.id }),
  });
}

function replyWith(
  usual: Reply,
  { answer, call }: Saying,
  run: { readonly name: string; readonly argument: string } | null,
): Reply {
  const calls =
    call === undefined || run === null
      ? []
      : [{ id: `call_demo_${call.length}_${run.name}`, name: run.name, arguments: { [run.argument]: call } }];
  return { ...usual, text: answer, calls, failure: null, breaksOff: false };
}

/** The agent's tool for commands; null for those without tools. */
function runTool(name: AgentName): { readonly name: string; readonly argument: string } | null {
  const { tools } = AGENTS[name];
  return tools === null ? null : { name: tools.run.tool.name, argument: tools.run.command };
}
