/**
 * Each index costs every insert. Most exchanges end well and most answers are never gone on from,
 * so the indexes for those that are looked for leave out the others.
 */
export const fewerIndexes = {
  version: 3,
  name: 'fewer-indexes',
  sql: `
DROP INDEX requests_outcome;
CREATE INDEX requests_outcome ON requests (tailnet, outcome, started_at) WHERE outcome <> 'ok';
DROP INDEX requests_response;
CREATE INDEX requests_response ON requests (tailnet, response_id)
  WHERE response_id IS NOT NULL AND format = 'openai_responses';
`,
};
