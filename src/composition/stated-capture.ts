/** What the banner says is kept of prompts and answers: never less than any grant in force keeps. */
import type { PolicySnapshot } from '../policy/index.ts';
import type { CaptureMode, StoredGrant } from '../store/index.ts';

/** From the least private to the most. */
const MODES: readonly CaptureMode[] = ['full', 'metadata', 'none'];

export interface StatedCaptureInput {
  readonly document: Pick<PolicySnapshot['document'], 'grants' | 'retention'>;
  /** Those that count: with a document from a file none does. */
  readonly storedGrants: readonly Pick<StoredGrant, 'models'>[];
}

/**
 * The least private mode of all capabilities that open models. Capabilities that only narrow, and
 * those that the network carries, are not known at start and left out: they make it more private.
 */
export function statedCapture({ document, storedGrants }: StatedCaptureInput): CaptureMode {
  const opening = document.grants
    .flatMap(({ capabilities }) => capabilities)
    .filter(({ models }) => models !== null);
  const modes = new Set<CaptureMode>(opening.map(({ capture }) => capture ?? 'full'));
  if (storedGrants.some(({ models }) => models.length > 0) || modes.size === 0) modes.add('full');
  const least = MODES.find((mode) => modes.has(mode)) ?? 'full';
  return least === 'full' && document.retention?.durationMs === 0 ? 'metadata' : least;
}
