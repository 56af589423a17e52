/** Balances of budgets, and what each process holds of them: see `src/store/budget-shapes.ts`. */
export const budgets = {
  version: 4,
  name: 'budgets',
  sql: `
CREATE TABLE budgets (
  tailnet TEXT NOT NULL,
  quota TEXT NOT NULL,
  bucket TEXT NOT NULL,
  unit TEXT NOT NULL,
  capacity INTEGER NOT NULL,
  rate_amount INTEGER,
  rate_period_ms INTEGER,
  window_start INTEGER,
  epoch INTEGER NOT NULL,
  balance INTEGER NOT NULL,
  refilled_at INTEGER NOT NULL,
  remainder INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (tailnet, quota, bucket)
) STRICT, WITHOUT ROWID;
CREATE TABLE budget_leases (
  tailnet TEXT NOT NULL,
  quota TEXT NOT NULL,
  bucket TEXT NOT NULL,
  instance TEXT NOT NULL,
  holding INTEGER NOT NULL,
  believed_until INTEGER NOT NULL,
  PRIMARY KEY (tailnet, quota, bucket, instance)
) STRICT, WITHOUT ROWID;
CREATE INDEX budget_leases_by_instance ON budget_leases (instance);
`,
};
