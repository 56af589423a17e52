/** Records of the coordination server: see `src/store/control-shapes.ts`. */
export const controlRecords = {
  version: 10,
  name: 'control records',
  sql: `
CREATE TABLE control_records (
  tailnet TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (tailnet, kind, name)
) STRICT, WITHOUT ROWID;
`,
};
