/** Approvals: see `src/store/approval-shapes.ts`. The texts of a call are sealed before they come here. */
export const approvals = {
  version: 5,
  name: 'approvals',
  sql: `
CREATE TABLE approvals (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  tailnet TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'used', 'denied', 'expired', 'withdrawn')),
  revision INTEGER NOT NULL,
  binding TEXT NOT NULL,
  principal TEXT NOT NULL,
  label TEXT NOT NULL,
  device_id TEXT,
  token_id TEXT,
  agent TEXT,
  session_id TEXT,
  subject_kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  amount INTEGER,
  entry TEXT NOT NULL,
  terms TEXT NOT NULL, -- JSON object
  rule TEXT,
  request_id TEXT,
  provider TEXT,
  model TEXT,
  held INTEGER NOT NULL,
  sealed_preview BLOB,
  sealed_content BLOB,
  sealed_edit BLOB,
  edits INTEGER NOT NULL,
  votes TEXT NOT NULL, -- JSON array
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  decided_at INTEGER,
  reason TEXT,
  once INTEGER NOT NULL,
  session_bound INTEGER NOT NULL,
  valid_until INTEGER,
  used_at INTEGER,
  UNIQUE (tailnet, id)
) STRICT;
-- The same question waits once, whoever asks it from which process.
CREATE UNIQUE INDEX approvals_pending ON approvals (tailnet, binding) WHERE state = 'pending';
CREATE INDEX approvals_standing ON approvals (tailnet, binding) WHERE state = 'approved';
CREATE INDEX approvals_waiting ON approvals (tailnet, principal) WHERE state = 'pending';
CREATE INDEX approvals_by_time ON approvals (tailnet, created_at);
`,
};
