/** What was decided on the way of a request, and what the response cache saved. */
export const decisions = {
  version: 6,
  name: 'decisions',
  sql: `
ALTER TABLE requests ADD COLUMN decisions TEXT NOT NULL DEFAULT '[]';
ALTER TABLE requests ADD COLUMN saved_nano_usd INTEGER NOT NULL DEFAULT 0;
`,
};
