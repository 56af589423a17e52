/**
 * Edits of settings that are one assignment a line: shell start-up files, `.env`, YAML and the top of
 * a TOML file. Only the line of the key changes, and a line with the address comes after it or is
 * changed; everything else stays byte for byte.
 */
import { shellQuote } from '../../../api/connect-snippets.ts';
import type { Redirect } from '../services.ts';

/** What takes the place of a key: the credential, and the address beside it. */
export interface Replacement {
  readonly credential: string;
  /** Postern's origin, without a path. */
  readonly origin: string;
  readonly redirect: Redirect;
}

/** The new text, or why there is none. */
export type EditResult = { readonly text: string } | { readonly refused: string };

/** `[export] NAME=value`, with or without quotes, and what may follow. */
const ASSIGNMENT =
  /^([ \t]*(?:export[ \t]+)?)([A-Za-z_]\w*)(=|[ \t]*=[ \t]*)(["']?)([^"'\s]*)\4([ \t]*(?:;[ \t]*)?(?:#.*)?)$/;
/** `set -gx NAME value` of fish. */
const FISH =
  /^([ \t]*set(?:[ \t]+-{1,2}[\w-]+)+[ \t]+)([A-Za-z_]\w*)([ \t]+)(["']?)([^"'\s]*)\4([ \t]*(?:;[ \t]*)?(?:#.*)?)$/;
/** `name: value` of YAML, also as the first member of a list's item. */
const YAML = /^([ \t]*(?:- +)?)([A-Za-z][\w-]*)(:[ \t]+)(["']?)([^"'\s]*)\4([ \t]*(?:#.*)?)$/;

interface Line {
  readonly text: string;
  /** `\n`, `\r\n`, or nothing at the end of the file. */
  readonly end: string;
}

/** Variables of a shell or `.env` file. `variables` are those that the service's programs read. */
export function editVariables(
  text: string,
  key: string,
  variables: readonly string[],
  { credential, origin, redirect }: Replacement,
): EditResult {
  const base = origin + redirect.path;
  const lines = splitLines(text);
  const out: Line[] = [];
  const hasBase = lines.some(({ text: line }) => assigned(line)?.name === redirect.variable);
  let changed = 0;
  for (const line of lines) {
    const found = assigned(line.text);
    if (found !== null && found.name === redirect.variable) {
      out.push({ ...line, text: found.write(found.name, base) });
      continue;
    }
    if (!line.text.includes(key)) {
      out.push(line);
      continue;
    }
    if (found === null || found.value !== key) return { refused: 'the key is part of a longer value' };
    if (!variables.includes(found.name))
      return { refused: `${found.name} is not a variable that is known to take another address` };
    changed += 1;
    const written = { ...line, text: found.write(found.name, credential) };
    if (hasBase || changed > 1) out.push(written);
    else
      out.push(
        { text: written.text, end: eolOf(lines, line) },
        { text: found.write(redirect.variable, base, true), end: line.end },
      );
  }
  return changed === 0 ? { refused: 'the key is not there any more' } : { text: joinLines(out) };
}

/** A YAML file whose members are lines: the address becomes the member `addressName` beside the key. */
export function editYaml(
  text: string,
  key: string,
  names: { readonly key: readonly string[]; readonly address: string },
  values: { readonly credential: string; readonly address: string },
): EditResult {
  const lines = splitLines(text);
  const at = lines.findIndex(({ text: line }) => line.includes(key));
  const line = lines[at];
  if (line === undefined) return { refused: 'the key is not there any more' };
  const match = YAML.exec(line.text);
  if (match === null || match[5] !== key) return { refused: 'the key is part of a longer value' };
  const [, lead = '', name = '', colon = ''] = match;
  if (!names.key.includes(name))
    return { refused: `${name} is not a setting that is known to take another address` };
  const indent = lead.length;
  const write = (member: string, value: string): string => `${member}${colon}${JSON.stringify(value)}`;
  const out = [...lines];
  out[at] = { ...line, text: `${lead}${write(name, values.credential)}${match[6] ?? ''}` };
  const address = siblingAt(lines, at, indent, names.address);
  if (address === null) {
    out[at] = { text: out[at].text, end: eolOf(lines, line) };
    out.splice(at + 1, 0, {
      text: `${' '.repeat(indent)}${write(names.address, values.address)}`,
      end: line.end,
    });
  } else {
    const former = lines[address];
    const parts = former === undefined ? null : YAML.exec(former.text);
    if (former === undefined || parts === null)
      return { refused: `${names.address} beside the key is not a plain value` };
    out[address] = {
      ...former,
      text: `${parts[1] ?? ''}${write(names.address, values.address)}${parts[6] ?? ''}`,
    };
  }
  const edited = joinLines(out);
  return edited.includes(key) ? editYaml(edited, key, names, values) : { text: edited };
}

/** Sets a string at the top of a TOML file: in its line, else as a new first one. */
export function setTopToml(text: string, name: string, value: string): string {
  const lines = splitLines(text);
  const firstTable = lines.findIndex(({ text: line }) => /^\s*\[/.test(line));
  const top = firstTable === -1 ? lines : lines.slice(0, firstTable);
  const at = top.findIndex(
    ({ text: line }) =>
      line.trimStart().startsWith(name) && /^\s*[\w-]+\s*=/.test(line) && line.split('=')[0]?.trim() === name,
  );
  const written = `${name} = ${JSON.stringify(value)}`;
  const line = lines[at];
  if (line === undefined) return `${written}${lines[0]?.end === '\r\n' ? '\r\n' : '\n'}${text}`;
  lines[at] = { ...line, text: written };
  return joinLines(lines);
}

interface Assigned {
  readonly name: string;
  readonly value: string;
  /** The line with another name or value; `bare` leaves out a comment at its end. */
  write(name: string, value: string, bare?: boolean): string;
}

function assigned(line: string): Assigned | null {
  const match = ASSIGNMENT.exec(line) ?? FISH.exec(line);
  if (match === null) return null;
  const [, lead = '', name = '', between = '', quote = '', value = '', tail = ''] = match;
  return {
    name,
    value,
    write: (as, to, bare = false) =>
      `${lead}${as}${between}${quote === '' ? shellQuote(to) : quote + to + quote}${bare ? '' : tail}`,
  };
}

/** Line of the member with that name in the same YAML mapping, or null. */
function siblingAt(lines: readonly Line[], at: number, indent: number, name: string): number | null {
  const step = (direction: 1 | -1): number | null => {
    for (let i = at + direction; i >= 0 && i < lines.length; i += direction) {
      const text = lines[i]?.text ?? '';
      if (text.trim() === '' || text.trimStart().startsWith('#')) continue;
      const match = /^([ \t]*(?:- +)?)([A-Za-z][\w-]*):/.exec(text);
      const begins = /^[ \t]*- /.test(text);
      const lead = match?.[1]?.length ?? /^[ \t]*/.exec(text)?.[0].length ?? 0;
      if (lead < indent) return null;
      // Going down, an item's beginning is another item.
      if (direction === 1 && begins && lead === indent) return null;
      if (lead === indent && match?.[2] === name) return i;
      if (direction === -1 && begins && lead === indent) return null;
    }
    return null;
  };
  // Going up from the first member of an item leaves the item.
  return step(1) ?? (/^[ \t]*- /.test(lines[at]?.text ?? '') ? null : step(-1));
}

function splitLines(text: string): Line[] {
  const lines: Line[] = [];
  let from = 0;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', from)) {
    const end = text.charAt(at - 1) === '\r' ? '\r\n' : '\n';
    lines.push({ text: text.slice(from, at + 1 - end.length), end });
    from = at + 1;
  }
  if (from < text.length) lines.push({ text: text.slice(from), end: '' });
  return lines;
}

function joinLines(lines: readonly Line[]): string {
  return lines.map(({ text, end }) => text + end).join('');
}

/** The line end of a file, for a line that had none because it was the last. */
function eolOf(lines: readonly Line[], line: Line): string {
  return line.end === '' ? (lines[0]?.end === '\r\n' ? '\r\n' : '\n') : line.end;
}
