/**
 * Answers "may this reach that, by which rule, and if not, what would change it?" for people: the ends
 * are what a policy can write (a login, a tag, a host, an address …) or the number of a device.
 */
import type { CompiledNetwork } from './compiled-network.ts';
import { parseIpRange } from './ip-ranges.ts';
import type { AccessRule, NetworkPolicy, Selector } from './policy.ts';
import { addressEnd, endsOf, judgeRule, type Attempt, type ReachEnd, type RuleVerdict } from './reach.ts';
import { PolicyProblems, PolicyReader } from './reader.ts';
import { checkSelector } from './selectors.ts';
import { parseProtocol } from './traffic.ts';

export interface ReachQuestion {
  /** `alice@example.com`, `tag:server`, `group:eng`, an address, or a device's number. */
  readonly source: string;
  readonly destination: string;
  /** 1 to 65535. */
  readonly port: number;
  /** `tcp`, `udp`, a number … Default: any of TCP, UDP and ICMP. */
  readonly protocol?: string;
}

/** One pair of ends. */
export interface ReachPair {
  readonly source: string;
  readonly destination: string;
  /** `grants[2]`; null: nothing allows it. */
  readonly rule: string | null;
  /** Of the rule, 1-based; 0 without one. */
  readonly line: number;
}

export interface ReachExplanation {
  /** Every pair is allowed, and there is one. */
  readonly allowed: boolean;
  /** At most 100; those that are not allowed first. */
  readonly pairs: readonly ReachPair[];
  /** Rules that nearly allow the first refused pair, and what does not fit; at most 5. */
  readonly nearest: readonly {
    readonly rule: string;
    readonly line: number;
    readonly misses: Exclude<RuleVerdict, 'allowed'>;
  }[];
  /** Lines for a person. */
  readonly text: string;
  /** What was wrong with the question; null if it could be asked. */
  readonly fault: string | null;
}

const PAIRS_MAX = 100;
const NEAREST_MAX = 5;
/** Questions asked of single rules; a wider question is refused, since a part of it would answer another. */
const QUESTIONS_MAX = 3_000_000;
/** Nearer rules fit in more. */
const NEARNESS: readonly RuleVerdict[] = ['traffic', 'app_only', 'destination', 'source'];

export function explainReach(compiled: CompiledNetwork, question: ReachQuestion): ReachExplanation {
  const protocol = question.protocol === undefined ? null : parseProtocol(question.protocol);
  if (protocol !== null && 'fault' in protocol) return unasked(protocol.fault);
  if (!Number.isInteger(question.port) || question.port < 1 || question.port > 65_535) {
    return unasked(`a port is 1 to 65535, got ${question.port}`);
  }
  const sources = endsByText(question.source, compiled);
  const destinations = endsByText(question.destination, compiled);
  if (sources === null || sources.length === 0)
    return unasked(`${question.source} is nobody in this tailnet`);
  if (destinations === null || destinations.length === 0)
    return unasked(`${question.destination} is nothing in this tailnet`);
  if (sources.length * destinations.length * (compiled.rules.length + 1) > QUESTIONS_MAX) {
    return unasked(
      `${question.source} and ${question.destination} are too many devices to ask about at once: name fewer`,
    );
  }
  const pairs: { pair: ReachPair; attempt: Attempt }[] = [];
  for (const source of sources) {
    for (const destination of destinations) {
      const attempt: Attempt = {
        source,
        destination,
        protocol: protocol?.value ?? null,
        port: question.port,
      };
      const rule = compiled.rules.find((one) => judgeRule(one, attempt, compiled.directory) === 'allowed');
      pairs.push({
        attempt,
        pair: {
          source: source.name,
          destination: destination.name,
          rule: rule === undefined ? null : nameOf(rule),
          line: rule?.line ?? 0,
        },
      });
    }
  }
  const refused = pairs.find(({ pair }) => pair.rule === null);
  const nearest = refused === undefined ? [] : nearestRules(compiled, refused.attempt);
  const shown = [
    ...pairs.filter(({ pair }) => pair.rule === null),
    ...pairs.filter(({ pair }) => pair.rule !== null),
  ].map(({ pair }) => pair);
  return {
    allowed: refused === undefined,
    pairs: shown.slice(0, PAIRS_MAX),
    nearest,
    text: textOf(question, { first: shown[0], isAllowed: refused === undefined, nearest }),
    fault: null,
  };
}

function unasked(fault: string): ReachExplanation {
  return { allowed: false, pairs: [], nearest: [], text: fault, fault };
}

function nameOf(rule: AccessRule): string {
  return rule.path === '' ? 'the open policy (no grants and no acls)' : rule.path;
}

function endsByText(text: string, compiled: CompiledNetwork): readonly ReachEnd[] | null {
  if (/^[1-9][0-9]{0,15}$/.test(text)) {
    const id = Number(text);
    const node = compiled.directory.nodes.get(id);
    return node === undefined ? null : [{ kind: 'node', name: `device ${id}`, node, id }];
  }
  const range = parseIpRange(text);
  if (range !== null) return [addressEnd(range, text, compiled.directory)];
  const selector = selectorOf(text, compiled.policy);
  return selector === null ? null : endsOf(selector, text, compiled);
}

/** A selector as a rule could write it; null if the policy does not know the name. */
function selectorOf(text: string, policy: NetworkPolicy): Selector | null {
  return checkSelector(text, new PolicyReader(text, [], new PolicyProblems(null)), 'test destination', {
    groups: new Set(policy.groups.keys()),
    tags: new Set(policy.tagOwners.keys()),
    addresses: policy.addresses,
    groupsFromSignIn: true,
    domains: null,
    budget: { selectors: 1 },
  });
}

function nearestRules(compiled: CompiledNetwork, attempt: Attempt): ReachExplanation['nearest'] {
  const found: { rule: string; line: number; misses: Exclude<RuleVerdict, 'allowed'> }[] = [];
  for (const rule of compiled.rules) {
    const misses = judgeRule(rule, attempt, compiled.directory);
    if (misses !== 'allowed') found.push({ rule: nameOf(rule), line: rule.line, misses });
  }
  found.sort((a, b) => NEARNESS.indexOf(a.misses) - NEARNESS.indexOf(b.misses));
  return found.slice(0, NEAREST_MAX);
}

const MISSES: Readonly<Record<Exclude<RuleVerdict, 'allowed'>, string>> = {
  traffic: 'it names other ports or protocols',
  app_only: 'it gives capabilities only: add "ip" to let traffic through',
  destination: 'its dst does not name the destination',
  source: 'its src does not name the source',
};

function textOf(
  { source, destination, port }: ReachQuestion,
  answer: {
    readonly first: ReachPair | undefined;
    readonly isAllowed: boolean;
    readonly nearest: ReachExplanation['nearest'];
  },
): string {
  const { first, isAllowed, nearest } = answer;
  if (first === undefined || isAllowed) {
    const line = first === undefined || first.line === 0 ? '' : ` (line ${first.line})`;
    return `${source} may reach ${destination} on port ${port}: ${first?.rule ?? ''}${line} allows it`;
  }
  const lines = [
    `${source} may not reach ${destination} on port ${port}: no rule allows ${first.source} to ${first.destination}`,
  ];
  for (const { rule, line, misses } of nearest)
    lines.push(`  ${rule} (line ${line}) does not: ${MISSES[misses]}`);
  const ip = `"ip": ["tcp:${port}"]`;
  lines.push(
    `  this grant would allow it: { "src": [${JSON.stringify(source)}], "dst": [${JSON.stringify(destination)}], ${ip} }`,
  );
  return lines.join('\n');
}
