/** Tables as CSV (RFC 4180), for spreadsheets. */

/** Rows under a head, each ended by CR LF. */
export function csvTable(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const lines = [head.join(','), ...rows.map((row) => row.map((cell) => csvCell(String(cell))).join(','))];
  return `${lines.join('\r\n')}\r\n`;
}

/** Labels come from strangers: a leading `=`, `+`, `-` or `@` would be a formula in a spreadsheet. */
function csvCell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) && !/^-?\d+(?:\.\d+)?$/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Whether a client asks for a table by its `Accept` header. */
export function wantsCsv(accept: string | undefined): boolean {
  return accept !== undefined && /(?:^|,)\s*text\/csv\s*(?:;|,|$)/i.test(accept);
}
