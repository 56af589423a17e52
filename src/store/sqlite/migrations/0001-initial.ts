/** The first schema. Columns mean what `src/store/shapes.ts` says of the fields of the same name. */
export const initial = {
  version: 1,
  name: 'initial',
  sql: `
CREATE TABLE requests (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  tailnet TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  principal TEXT NOT NULL,
  user_label TEXT NOT NULL,
  groups TEXT NOT NULL, -- JSON array
  device_id TEXT,
  device_name TEXT,
  door TEXT NOT NULL,
  via TEXT,
  token_id TEXT,
  agent TEXT,
  session_id TEXT,
  format TEXT NOT NULL,
  method TEXT NOT NULL,
  path TEXT NOT NULL,
  streamed INTEGER NOT NULL,
  requested_model TEXT,
  provider TEXT,
  model TEXT,
  key_id TEXT,
  status INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  reason TEXT,
  rule TEXT,
  cost_nano_usd INTEGER,
  cost_state TEXT NOT NULL,
  estimated INTEGER NOT NULL,
  tool_calls TEXT NOT NULL, -- JSON array
  stop_reason TEXT,
  response_id TEXT,
  identity_us INTEGER NOT NULL,
  decision_us INTEGER NOT NULL,
  first_byte_us INTEGER,
  upstream_us INTEGER,
  own_us INTEGER NOT NULL,
  total_us INTEGER NOT NULL,
  request_bytes INTEGER NOT NULL,
  response_bytes INTEGER NOT NULL,
  capture TEXT NOT NULL,
  input_tokens INTEGER,
  cache_read_tokens INTEGER,
  cache_write_tokens INTEGER,
  cache_write1h_tokens INTEGER,
  output_tokens INTEGER,
  reasoning_tokens INTEGER,
  input_audio_tokens INTEGER,
  output_audio_tokens INTEGER,
  input_image_tokens INTEGER,
  output_image_tokens INTEGER,
  web_searches INTEGER
) STRICT;
CREATE INDEX requests_time ON requests (tailnet, started_at);
CREATE INDEX requests_principal ON requests (tailnet, principal, started_at);
CREATE INDEX requests_provider ON requests (tailnet, provider, started_at) WHERE provider IS NOT NULL;
CREATE INDEX requests_model ON requests (tailnet, model, started_at) WHERE model IS NOT NULL;
CREATE INDEX requests_agent ON requests (tailnet, agent, started_at) WHERE agent IS NOT NULL;
CREATE INDEX requests_session ON requests (tailnet, session_id, principal, started_at) WHERE session_id IS NOT NULL;
CREATE INDEX requests_device ON requests (tailnet, device_id, started_at) WHERE device_id IS NOT NULL;
CREATE INDEX requests_outcome ON requests (tailnet, outcome, started_at);
CREATE INDEX requests_reason ON requests (tailnet, reason, started_at) WHERE reason IS NOT NULL;
CREATE INDEX requests_response ON requests (tailnet, response_id) WHERE response_id IS NOT NULL;

-- Bytes of new items and manifests, compressed and sealed together.
CREATE TABLE body_packs (
  id INTEGER PRIMARY KEY,
  tailnet TEXT NOT NULL,
  principal TEXT NOT NULL, -- whose exchange brought them
  sealed BLOB NOT NULL
) STRICT;
-- Pieces of bodies; those of requests each once per tailnet, by keyed hash (which covers the tailnet).
CREATE TABLE body_items (
  id INTEGER PRIMARY KEY,
  hash BLOB,
  pack INTEGER NOT NULL,
  start INTEGER NOT NULL,
  length INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX body_items_hash ON body_items (hash) WHERE hash IS NOT NULL;
-- Where the manifest of an exchange lies: which items make up its two bodies.
CREATE TABLE bodies (
  request_id TEXT PRIMARY KEY,
  tailnet TEXT NOT NULL,
  pack INTEGER NOT NULL,
  start INTEGER NOT NULL,
  length INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Keyed hashes of conversations as far as they went, for finding the session of the next turn.
CREATE TABLE session_chains (
  chain BLOB PRIMARY KEY,
  session_id TEXT NOT NULL,
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_chains_time ON session_chains (at);

CREATE TABLE grants (
  principal TEXT NOT NULL,
  role TEXT NOT NULL,
  models TEXT NOT NULL, -- JSON array
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  PRIMARY KEY (principal, role)
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
  id TEXT PRIMARY KEY,
  tailnet TEXT NOT NULL,
  owner TEXT NOT NULL,
  owner_label TEXT NOT NULL,
  name TEXT NOT NULL,
  hash TEXT NOT NULL UNIQUE,
  scopes TEXT NOT NULL, -- JSON array
  models TEXT, -- JSON array
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  expires_at INTEGER,
  revoked_at INTEGER,
  last_used_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_tailnet ON tokens (tailnet);

CREATE TABLE provider_keys (
  tailnet TEXT NOT NULL,
  id TEXT NOT NULL,
  provider TEXT NOT NULL,
  name TEXT NOT NULL,
  state TEXT NOT NULL,
  origin TEXT NOT NULL,
  header TEXT NOT NULL,
  sealed BLOB NOT NULL,
  hint TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  state_changed_at INTEGER NOT NULL,
  PRIMARY KEY (tailnet, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE documents (
  tailnet TEXT NOT NULL,
  version INTEGER NOT NULL,
  text TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  comment TEXT NOT NULL,
  PRIMARY KEY (tailnet, version)
) STRICT;

CREATE TABLE passkeys (
  tailnet TEXT NOT NULL,
  credential_id TEXT NOT NULL,
  principal TEXT NOT NULL,
  name TEXT NOT NULL,
  public_key BLOB NOT NULL,
  counter INTEGER NOT NULL,
  transports TEXT NOT NULL, -- JSON array
  created_at INTEGER NOT NULL,
  last_used_at INTEGER,
  PRIMARY KEY (tailnet, credential_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
  tailnet TEXT NOT NULL,
  seq INTEGER NOT NULL,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  actor_label TEXT NOT NULL,
  door TEXT NOT NULL,
  presence TEXT,
  action TEXT NOT NULL,
  target TEXT NOT NULL,
  reason TEXT,
  facts TEXT NOT NULL, -- canonical JSON object
  hash BLOB NOT NULL,
  PRIMARY KEY (tailnet, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_actor ON audit (tailnet, actor, seq);
CREATE INDEX audit_action ON audit (tailnet, action, seq);
-- The last link, and every so often a link to keep elsewhere; both signed.
CREATE TABLE audit_heads (
  tailnet TEXT PRIMARY KEY,
  seq INTEGER NOT NULL,
  hash BLOB NOT NULL,
  signature BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE audit_checkpoints (
  tailnet TEXT NOT NULL,
  seq INTEGER NOT NULL,
  at INTEGER NOT NULL,
  hash BLOB NOT NULL,
  signature BLOB NOT NULL,
  PRIMARY KEY (tailnet, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE owned_objects (
  tailnet TEXT NOT NULL,
  provider TEXT NOT NULL,
  kind TEXT NOT NULL,
  object_id TEXT NOT NULL,
  principal TEXT NOT NULL,
  key_id TEXT,
  model TEXT,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (tailnet, provider, kind, object_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE settings (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
`,
};
