/** DNS settings as lines that somebody types, and back. */
import type { TailnetDns } from './network-queries.ts';

/** One text for each part; an item a line. */
export interface DnsLines {
  readonly resolvers: string;
  /** `corp.example = 10.0.0.53, 10.0.0.54`. */
  readonly split: string;
  readonly search: string;
  /** `wiki.corp.example = 100.64.0.7`. */
  readonly records: string;
}

export function linesOf(dns: TailnetDns): DnsLines {
  return {
    resolvers: dns.resolvers.join('\n'),
    split: Object.entries(dns.split)
      .map(([domain, addresses]) => `${domain} = ${addresses.join(', ')}`)
      .join('\n'),
    search: dns.search_domains.join('\n'),
    records: dns.extra_records.map(({ name, value }) => `${name} = ${value}`).join('\n'),
  };
}

/** What the lines say, but MagicDNS; and for each part why a line of it says nothing. Addresses and names are the server's to judge. */
export function readLines(lines: DnsLines): {
  readonly dns: Omit<TailnetDns, 'magic_dns'>;
  readonly problems: { readonly split: string | null; readonly records: string | null };
} {
  const split = pairsIn(lines.split);
  const records = pairsIn(lines.records);
  const byDomain = new Map<string, readonly string[]>();
  for (const [domain, text] of split.pairs)
    byDomain.set(domain, [...(byDomain.get(domain) ?? []), ...wordsIn(text)]);
  return {
    dns: {
      resolvers: wordsIn(lines.resolvers),
      split: Object.fromEntries([...byDomain].map(([domain, addresses]) => [domain, [...addresses]])),
      search_domains: wordsIn(lines.search),
      extra_records: records.pairs.map(([name, value]) => ({ name, value })),
    },
    problems: {
      split: split.wrong === null ? null : `“${split.wrong}”: a domain, = and its resolvers.`,
      records: records.wrong === null ? null : `“${records.wrong}”: a name, = and an address.`,
    },
  };
}

function wordsIn(text: string): string[] {
  return text.split(/[\s,]+/).filter((word) => word !== '');
}

function pairsIn(text: string): {
  readonly pairs: readonly (readonly [string, string])[];
  readonly wrong: string | null;
} {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const pairs = lines.map((line) => {
    const at = line.indexOf('=');
    return [line.slice(0, Math.max(at, 0)).trim(), at < 0 ? '' : line.slice(at + 1).trim()] as const;
  });
  const wrong = pairs.findIndex(([name, value]) => name === '' || value === '');
  return { pairs, wrong: wrong < 0 ? null : (lines[wrong] ?? '') };
}
