/**
 * Recorded policy cases: HuJSON files, each a policy that was given to Tailscale's own control server, the
 * devices it had, and what each device then was sent (github.com/juanfont/headscale,
 * hscontrol/policy/v2/testdata). They are read from a folder that the operator names; none is kept here.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NetworkNodeFacts, NetworkUser, WireFilterRule, WireSshRule } from '../../src/policy/index.ts';
import { parseHujson } from '../../src/wire/hujson.ts';

export interface RecordedNode {
  readonly hostname: string;
  readonly tags?: readonly string[];
  readonly ipv4: string;
  readonly ipv6: string;
  readonly user?: string;
  readonly routable_ips?: readonly string[];
  readonly approved_routes?: readonly string[];
}

export interface RecordedPeer {
  readonly ComputedName: string;
  readonly AllowedIPs?: readonly string[];
  readonly Addresses?: readonly string[];
}

export interface RecordedAnswer {
  readonly packet_filter_rules?: readonly WireFilterRule[] | null;
  readonly ssh_rules?: readonly WireSshRule[] | null;
  readonly netmap?: {
    readonly SelfNode?: { readonly CapMap?: Readonly<Record<string, unknown>> };
    readonly Peers?: readonly RecordedPeer[] | null;
  };
}

export interface RecordedCase {
  readonly name: string;
  readonly kind: string;
  readonly policy: string;
  readonly accepted: boolean;
  /** What the server said when it refused. */
  readonly refusal: string;
  readonly users: readonly NetworkUser[];
  readonly nodes: ReadonlyMap<string, NetworkNodeFacts>;
  readonly advertised: ReadonlyMap<string, readonly string[]>;
  readonly answers: ReadonlyMap<string, RecordedAnswer>;
}

interface CaptureFile {
  readonly input: {
    readonly full_policy?: unknown;
    readonly api_response_code?: number;
    readonly api_response_body?: { readonly message?: string };
  };
  readonly topology: {
    readonly users?: readonly { readonly id: number; readonly name: string; readonly email: string }[];
    readonly nodes: Readonly<Record<string, RecordedNode>>;
  };
  readonly captures?: Readonly<Record<string, RecordedAnswer>>;
}

/** Every case in the folders below `root`, by folder and name. */
export function readCases(root: string): readonly RecordedCase[] {
  return readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name: kind }) =>
      readdirSync(join(root, kind))
        .filter((file) => file.endsWith('.hujson'))
        .sort()
        .map((file) => readCase(join(root, kind, file), kind, file.slice(0, -7))),
    );
}

function readCase(path: string, kind: string, name: string): RecordedCase {
  const text = readFileSync(path, 'utf8');
  const { value } = parseHujson(text, { maxLength: 64 * 1024 * 1024 });
  const capture: CaptureFile = JSON.parse(JSON.stringify(value));
  const { input, topology } = capture;
  /* The first person owns the recorded tailnet, and every person in it is an administrator. */
  const users = (topology.users ?? []).map(({ id, email }) => ({
    id,
    login: email,
    groups: [],
    role: id === 1 ? ('owner' as const) : ('admin' as const),
  }));
  const nodes = new Map<string, NetworkNodeFacts>();
  const advertised = new Map<string, readonly string[]>();
  for (const [index, [key, node]] of Object.entries(topology.nodes).entries()) {
    const owner = topology.users?.find((user) => user.name === node.user);
    advertised.set(key, node.routable_ips ?? []);
    nodes.set(key, {
      id: index + 1,
      userId: owner?.id ?? null,
      tags: node.tags ?? [],
      addresses: [node.ipv4, node.ipv6],
      routes: node.approved_routes ?? [],
    });
  }
  const { full_policy: policy } = input;
  return {
    name,
    kind,
    policy: typeof policy === 'string' ? policy : JSON.stringify(policy ?? {}),
    accepted: input.api_response_code === 200,
    refusal: input.api_response_body?.message ?? '',
    users,
    nodes,
    advertised,
    answers: new Map(Object.entries(capture.captures ?? {})),
  };
}
