/**
 * A look through a long text that can pause: it yields after each step, so that whoever drives it may let
 * others go on in between. What it finds does not depend on the pauses. A step yields how many characters it
 * is worth where it is not worth `SCAN_STEP_CHARS`.
 */
export type Scan<Found> = Generator<number | undefined, Found, undefined>;

/** Characters of one step: well below a millisecond for every detector. */
export const SCAN_STEP_CHARS = 16_384;

/** The whole look at once. */
export function finishScan<Found>(scan: Scan<Found>): Found {
  for (;;) {
    const step = scan.next();
    if (step.done === true) return step.value;
  }
}
