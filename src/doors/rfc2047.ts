/**
 * Encoded words in header values (RFC 2047), which `tailscale serve` uses for names outside ASCII:
 * `=?utf-8?q?Zo=C3=AB?=`. UTF-8 and US-ASCII only, both encodings; words between which only white
 * space lies are joined (section 6.2).
 */

const WORD = /=\?([A-Za-z0-9_-]{1,20})\?([bBqQ])\?([^? ]*)\?=/g;

/** The decoded text; null if an encoded word is malformed, so that two spellings are never two people. */
export function decodeEncodedWords(value: string): string | null {
  if (!value.includes('=?')) return value;
  let text = '';
  let end = 0;
  let isAfterWord = false;
  for (const match of value.matchAll(WORD)) {
    const between = value.slice(end, match.index);
    if (!(isAfterWord && /^[ \t]*$/.test(between))) text += between;
    const decoded = decodeWord(match[1] ?? '', match[2] ?? '', match[3] ?? '');
    if (decoded === null) return null;
    text += decoded;
    end = match.index + match[0].length;
    isAfterWord = true;
  }
  text += value.slice(end);
  return text.includes('=?') ? null : text;
}

function decodeWord(charset: string, encoding: string, payload: string): string | null {
  if (!/^(?:utf-8|us-ascii)$/i.test(charset)) return null;
  const bytes = encoding.toLowerCase() === 'q' ? decodeQ(payload) : decodeB(payload);
  if (bytes === null) return null;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

function decodeQ(payload: string): Uint8Array | null {
  if (/=(?![0-9A-Fa-f]{2})|[^\x21-\x7e]/.test(payload)) return null;
  const binary = payload
    .replaceAll('_', ' ')
    .replaceAll(/=([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(binary, 'latin1');
}

function decodeB(payload: string): Uint8Array | null {
  return /^[A-Za-z0-9+/]*={0,2}$/.test(payload) && payload.length % 4 === 0
    ? Buffer.from(payload, 'base64')
    : null;
}
