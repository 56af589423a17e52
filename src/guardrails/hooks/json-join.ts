/** JSON texts between two brackets, with commas between them; the texts are taken as they are. */
export function joined(open: string, parts: readonly Buffer[], close: string): Buffer {
  const comma = Buffer.from(',');
  const list = parts.flatMap((part, index) => (index === 0 ? [part] : [comma, part]));
  return Buffer.concat([Buffer.from(open), ...list, Buffer.from(close)]);
}
