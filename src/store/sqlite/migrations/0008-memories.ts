/** Small sealed things that outlive a restart: see `src/store/memory-shapes.ts`. */
export const memories = {
  version: 8,
  name: 'memories',
  sql: `
CREATE TABLE memories (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  tailnet TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  sealed BLOB NOT NULL,
  at INTEGER NOT NULL,
  UNIQUE (tailnet, kind, name)
) STRICT;
CREATE INDEX memories_by_age ON memories (tailnet, kind, seq);
`,
};
