/** Grants that an approval made: with an end, and beside the others of the same principal. */
export const grantsOnApproval = {
  version: 7,
  name: 'grants on approval',
  sql: `
CREATE TABLE grants_new (
  principal TEXT NOT NULL,
  role TEXT NOT NULL,
  models TEXT NOT NULL, -- JSON array
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  expires_at INTEGER,
  approval_id TEXT
) STRICT;
INSERT INTO grants_new (principal, role, models, created_at, created_by)
  SELECT principal, role, models, created_at, created_by FROM grants;
DROP TABLE grants;
ALTER TABLE grants_new RENAME TO grants;
CREATE UNIQUE INDEX grants_once ON grants (principal, role, coalesce(approval_id, ''));
`,
};
