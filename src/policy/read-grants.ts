import type { Cursor } from './cursor.ts';
import { quoteShort } from './cursor.ts';
import { CAPABILITY_NAMES, type Capability, type DenyEntry, type GrantEntry } from './document.ts';
import { patternFault } from './glob.ts';
import { type CapabilityContext, readCapability } from './read-capability.ts';
import { sourceFault } from './match-source.ts';
import type { JsonValue } from '../wire/hujson.ts';

/** Reads one element of `grants`; null if it cannot be used. `cursor` must be isolated. */
export function readGrant(cursor: Cursor, context: CapabilityContext): GrantEntry | null {
  if (cursor.members() === null) return null;
  if (cursor.at('dst').exists) {
    cursor
      .at('dst')
      .fail(
        'grant_with_dst',
        `${cursor.name} has a "dst": that belongs into the network's policy file, so this grant is switched off`,
        'remove "dst" here (in the network\'s file it must stay)',
      );
  }
  cursor.onlyKnown(['src', 'app', 'dst'], 'grant');
  const src = readSources(cursor.at('src'));
  const app = cursor.at('app');
  if (!app.exists) app.fail('missing_field', `${cursor.name} has no "app"`, 'add "app" with a capability');
  const capabilities: Capability[] = [];
  const other = new Map<string, readonly JsonValue[]>();
  for (const name of app.members() ?? []) {
    const items = app.at(name).items();
    if (!(CAPABILITY_NAMES as readonly string[]).includes(name)) {
      other.set(
        name,
        items.map((item) => item.value ?? null),
      );
      continue;
    }
    for (const item of items) {
      const element = item.isolate();
      const capability = readCapability(element, context);
      if (capability === null) element.disable();
      else capabilities.push(capability);
    }
  }
  if (cursor.broken) return null;
  return { path: cursor.name, src, capabilities, otherCapabilities: other };
}

function readSources(cursor: Cursor): readonly string[] {
  const sources: string[] = [];
  if (!cursor.exists)
    cursor.fail('missing_field', `${cursor.name} is missing, so nobody is meant`, 'add "src"');
  for (const item of cursor.items()) {
    const text = item.string();
    if (text === null) continue;
    const bad = sourceFault(text);
    if (bad === null) sources.push(text);
    else
      item.fail(
        'bad_value',
        `${item.name} ${bad}`,
        'write "*", a login, "group:x", "tag:x", "tag:a,tag:b", "(loopback)" or a principal',
      );
  }
  if (cursor.exists && cursor.items().length === 0)
    cursor.warn('never_matches', `${cursor.name} is empty, so the grant matches nobody`, 'name somebody');
  return sources;
}

/**
 * Reads one element of `deny`. It takes away, so leaving a broken one out would open what it closes:
 * a fault here is an error of the whole document.
 */
export function readDeny(cursor: Cursor): DenyEntry | null {
  if (!cursor.isObject) {
    cursor.error(
      'bad_type',
      `${cursor.name} cannot be read, and leaving it out would open what it closes`,
      'write {"src": [...], "models": [...]}',
    );
    return null;
  }
  for (const key of cursor.members() ?? []) {
    if (!['src', 'models', 'comment'].includes(key)) {
      cursor
        .at(key)
        .error(
          'unknown_key',
          `${quoteShort(key)} is not a key of a deny entry, and leaving the entry out would open what it closes`,
          'use "src", "models" and "comment"',
        );
    }
  }
  const src = readSources(cursor.at('src'));
  const models: string[] = [];
  for (const item of cursor.at('models').items()) {
    const pattern = item.string();
    const bad = pattern === null ? 'is no pattern' : patternFault(pattern);
    if (bad === null && pattern !== null) models.push(pattern);
    else item.error('bad_pattern', `${item.name} ${bad ?? ''}`, 'write a pattern over provider/model');
  }
  if (src.length === 0 || models.length === 0 || cursor.broken) {
    cursor.error(
      'bad_value',
      `${cursor.name} needs a "src" and "models", and leaving it out would open what it closes`,
      'write {"src": ["*"], "models": ["openai/**"]}',
    );
    return null;
  }
  return { path: cursor.name, src, models };
}
