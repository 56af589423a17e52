/**
 * Property tests draw new cases at every run. In CI they draw the same ones each time, so that a
 * failure there comes from the change and not from the draw; `POSTERN_PROPERTY_SEED` repeats any run.
 */
import * as fc from 'fast-check';

/** Any number; a change draws other cases. */
const CI_SEED = 20_261_123;

const asked = process.env['POSTERN_PROPERTY_SEED'];
if (asked !== undefined) fc.configureGlobal({ seed: Number(asked) });
else if (process.env['CI'] === 'true') fc.configureGlobal({ seed: CI_SEED });
