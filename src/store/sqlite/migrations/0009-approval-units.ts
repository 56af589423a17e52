/** What the amount of an approval counts: `usd` (nano-dollars), `tokens`, `requests`. */
export const approvalUnits = {
  version: 9,
  name: 'approval units',
  sql: 'ALTER TABLE approvals ADD COLUMN unit TEXT;',
};
