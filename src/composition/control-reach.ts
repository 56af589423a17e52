/** The policy of a tailnet as the API asks about it: checked, explained and drawn over its present devices. */
import type { ReachAnswer, TailnetReachPort } from '../api/tailnet-reach-port.ts';
import {
  type CompiledNetwork,
  compileNetworkPolicy,
  DEFAULT_NETWORK_POLICY,
  explainReach,
  mapReach,
  parseNetworkPolicy,
  runNetworkTests,
} from '../policy/network/index.ts';
import { policyNode, policyUser, type NodeRecord, type Tailnet } from '../tailnet/control/index.ts';
import type { Coordination } from './control.ts';
import { policyFailure } from './control-policy.ts';

export function createTailnetReachPort({ admin }: Pick<Coordination, 'admin'>): TailnetReachPort {
  return {
    defaultPolicy: () => DEFAULT_NETWORK_POLICY,
    check(name, text) {
      const tailnet = admin.tailnet(name);
      const { policy, problems } = parseNetworkPolicy(text ?? DEFAULT_NETWORK_POLICY);
      if (policy === null) return { problems, failures: [] };
      const failures = runNetworkTests(compileNetworkPolicy(policy, worldOf(tailnet)));
      return { problems, failures: failures.map(policyFailure) };
    },
    explain(name, { policy = admin.tailnet(name).record.policy, ...question }) {
      const tailnet = admin.tailnet(name);
      const compiled = compiledOf(tailnet, policy);
      if (typeof compiled === 'string') return unasked(compiled);
      const named = namesOf(tailnet);
      const { allowed, pairs, text, fault } = explainReach(compiled, {
        ...question,
        source: named.toPolicy(question.source),
        destination: named.toPolicy(question.destination),
      });
      return {
        allowed,
        text: named.toPerson(text),
        fault: fault === null ? null : named.toPerson(fault),
        pairs: pairs.map((pair) => ({
          ...pair,
          source: named.toPerson(pair.source),
          destination: named.toPerson(pair.destination),
        })),
      };
    },
    map(name) {
      const tailnet = admin.tailnet(name);
      const compiled = compiledOf(tailnet, tailnet.record.policy);
      if (typeof compiled === 'string') return { groups: [], links: [], isComplete: false };
      const { groups, links, isComplete } = mapReach(compiled);
      return {
        groups: groups.map(({ nodes, ...group }) => ({
          ...group,
          devices: nodes.map((id) => tailnet.node(id)?.name ?? String(id)).sort(),
          online: nodes.filter((id) => tailnet.isOnline(id)).length,
        })),
        links,
        isComplete,
      };
    },
  };
}

function worldOf(tailnet: Tailnet): Parameters<typeof compileNetworkPolicy>[1] {
  return {
    users: tailnet.users().map(policyUser),
    nodes: tailnet
      .nodes()
      .filter(({ isAuthorized }) => isAuthorized)
      .map(policyNode),
  };
}

/** Or why the text is no policy. */
function compiledOf(tailnet: Tailnet, text: string | null): CompiledNetwork | string {
  const { policy, problems } = parseNetworkPolicy(text ?? DEFAULT_NETWORK_POLICY);
  if (policy !== null) return compileNetworkPolicy(policy, worldOf(tailnet));
  const first = problems.find(({ severity }) => severity === 'error');
  return `the policy cannot be used: line ${first?.line ?? 0}: ${first?.message ?? 'it has a fault'}`;
}

function unasked(fault: string): ReachAnswer {
  return { allowed: false, text: fault, fault, pairs: [] };
}

interface Names {
  /** What the engine takes: a device by its number. */
  toPolicy(text: string): string;
  toPerson(text: string): string;
}

function namesOf(tailnet: Tailnet): Names {
  const byName = new Map<string, NodeRecord>();
  for (const node of tailnet.nodes()) byName.set(node.name, node).set(node.stableId, node);
  const used = new Map<number, string>();
  return {
    toPolicy(text) {
      const node = byName.get(text);
      if (node === undefined) return text;
      used.set(node.id, node.name);
      return String(node.id);
    },
    toPerson: (text) =>
      text.replace(/(?<![\w.:-])(?:device )?(\d{1,16})(?![\w.:-])/g, (whole, id: string) => {
        const name = whole.startsWith('device ') ? tailnet.node(Number(id))?.name : used.get(Number(id));
        return name ?? whole;
      }),
  };
}
