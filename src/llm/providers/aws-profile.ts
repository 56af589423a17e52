/**
 * AWS's shared configuration files
 * (https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html): sections of `name = value`
 * lines. Nested settings (indented lines) are left out: none of them concerns credentials.
 */

export type Profile = ReadonlyMap<string, string>;

export interface SharedConfig {
  readonly profiles: ReadonlyMap<string, Profile>;
  readonly ssoSessions: ReadonlyMap<string, Profile>;
}

/** `config` names profiles `[profile x]`, `credentials` names them `[x]`; the latter's values win. */
export function parseSharedConfig(config: string, credentials: string): SharedConfig {
  const profiles = new Map<string, Map<string, string>>();
  const ssoSessions = new Map<string, Map<string, string>>();
  for (const [header, values] of parseSections(config)) {
    const session = /^sso-session\s+(.+)$/.exec(header)?.[1];
    const profile = header === 'default' ? header : /^profile\s+(.+)$/.exec(header)?.[1];
    if (session !== undefined) merge(ssoSessions, unquote(session), values);
    else if (profile !== undefined) merge(profiles, unquote(profile), values);
  }
  for (const [header, values] of parseSections(credentials)) merge(profiles, unquote(header), values);
  return { profiles, ssoSessions };
}

function merge(into: Map<string, Map<string, string>>, name: string, values: Profile): void {
  const before = into.get(name) ?? new Map<string, string>();
  for (const [key, value] of values) before.set(key, value);
  into.set(name, before);
}

function parseSections(text: string): [header: string, values: Profile][] {
  const sections: [string, Map<string, string>][] = [];
  let values: Map<string, string> | null = null;
  for (const line of text.split(/\r?\n/)) {
    if (/^\s*[#;]/.test(line) || /^\s/.test(line)) continue;
    const header = /^\[\s*([^\]]+?)\s*\]/.exec(line)?.[1];
    if (header !== undefined) {
      values = new Map();
      sections.push([header, values]);
      continue;
    }
    const end = line.indexOf('=');
    if (end <= 0 || values === null) continue;
    const value = line.slice(end + 1).replace(/\s[#;].*$/, '');
    values.set(line.slice(0, end).trim().toLowerCase(), value.trim());
  }
  return sections;
}

function unquote(name: string): string {
  return name.replace(/^(["'])(.*)\1$/, '$2').trim();
}
