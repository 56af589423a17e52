/** The agents that `postern run` starts. */
import type { Agent } from './agent.ts';
import { claude } from './claude.ts';
import { codex } from './codex.ts';
import { gemini } from './gemini.ts';
import { opencode } from './opencode.ts';

export type { Agent, AgentInput, AgentLaunch } from './agent.ts';
export { chooseModel, modelName, readOffers, type ModelOffer } from './model-choice.ts';

export const AGENTS: readonly Agent[] = [claude, codex, gemini, opencode];
