/** Whose refused calls, verdicts and placeholders are remembered together. */
import type { Caller } from '../../identity/index.ts';

export function ownerOf(caller: Caller): string {
  return `${caller.tailnet} ${caller.principal}`;
}
