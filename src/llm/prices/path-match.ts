/**
 * Shell patterns as Go's `path.Match` reads them (the peer's configuration uses them for model
 * names): `*` and `?` stop at a slash, `[a-z]` and `[^a-z]` are classes, a backslash quotes.
 */

/** Longer patterns are malformed. */
const PATTERN_MAX = 512;

/** A test for the whole text, or null if the pattern is malformed. */
export function compilePathMatch(pattern: string): ((text: string) => boolean) | null {
  if (pattern.length > PATTERN_MAX) return null;
  let source = '';
  for (let at = 0; at < pattern.length; at += 1) {
    const character = pattern.charAt(at);
    if (character === '*') {
      // Neighbouring stars mean one, and one backtracks less.
      if (!source.endsWith('[^/]*')) source += '[^/]*';
    } else if (character === '?') source += '[^/]';
    else if (character === '[') {
      const found = /^\[(\^?)((?:\\.|[^\\\]-])(?:-(?:\\.|[^\\\]-]))?)+\]/su.exec(pattern.slice(at));
      if (found === null) return null;
      source += classSource(found[0]);
      at += found[0].length - 1;
    } else if (character === '\\') {
      at += 1;
      if (at >= pattern.length) return null;
      source += escape(pattern.charAt(at));
    } else {
      source += escape(character);
    }
  }
  try {
    const expression = new RegExp(`^${source}$`, 's');
    return (text) => expression.test(text);
  } catch {
    // A class that runs backwards (`[z-a]`).
    return null;
  }
}

function classSource(text: string): string {
  const negated = text.startsWith('[^');
  const inner = text.slice(negated ? 2 : 1, -1);
  const escaped = inner.replaceAll(
    /\\(.)|([^\\])/gsu,
    (_whole, quoted: string | undefined, plain: string | undefined) =>
      plain === '-' ? '-' : escape(quoted ?? plain ?? ''),
  );
  return negated ? `[^/${escaped}]` : `[${escaped}]`;
}

function escape(character: string): string {
  return /[\w/]/.test(character) ? character : character.replaceAll(/[\\^$.*+?()[\]{}|-]/g, String.raw`\$&`);
}
