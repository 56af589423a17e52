/** After the week: somebody calls every few seconds, so that what is live has something to show. */
import { AGENTS } from './agents.ts';
import type { Cast } from './cast.ts';
import { PEOPLE } from './people.ts';
import type { Seeded } from './seeded.ts';
import { ask, createScript, mayUse, type Script, type Stage } from './session.ts';

export interface LiveOptions {
  readonly cast: Cast;
  readonly random: Seeded;
}

/** Between two calls, on average. */
const PAUSE_MS = 3_000;
const PAUSE_MAX_MS = 8_000;
/** Turns of a session before its person begins another. */
const TURNS = 12;

/** Returns the function that ends it. */
export function startLiveTraffic(stage: Stage, { cast, random }: LiveOptions): () => void {
  const over = new AbortController();
  const scripts = new Map<string, { readonly script: Script; left: number }>();
  let serial = 0;
  const call = async (): Promise<void> => {
    const person = random.pick(PEOPLE);
    const agent = AGENTS[random.pick(person.agents)];
    let open = scripts.get(person.name);
    if (open === undefined || open.left === 0) {
      serial += 1;
      open = {
        script: createScript({
          agent,
          random,
          id: `live-${serial}`,
          model: random.pick(agent.models.filter((name) => mayUse(person, name))),
        }),
        left: TURNS,
      };
      scripts.set(person.name, open);
    }
    const { script } = open;
    const { talk, reply } = script.next(open.left);
    open.left -= 1;
    const answer = await ask(stage, { client: cast.of(person), agent, talk, reply, sessionId: script.id });
    script.took(answer.status === 200 && !reply.breaksOff);
  };
  const loop = async (): Promise<void> => {
    while (!over.signal.aborted) {
      await call();
      await stage.clock.sleep(Math.min(PAUSE_MAX_MS, random.skewed(PAUSE_MS)));
    }
  };
  // A call that fails ends the show, not the server: what was recorded stays.
  loop().catch(() => undefined);
  return () => over.abort();
}
