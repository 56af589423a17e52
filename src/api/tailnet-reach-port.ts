/** What the API asks about the policy of a tailnet: checks of a draft, one question, and the whole as a map. */
import type { DocumentProblem } from './ports.ts';

export interface NetworkPolicyCheck {
  readonly problems: readonly DocumentProblem[];
  /** Tests of the policy itself that do not hold over the present people and devices. */
  readonly failures: readonly { readonly path: string; readonly line: number; readonly message: string }[];
}

export interface ReachAnswer {
  readonly allowed: boolean;
  /** For a person; it names what would change the answer. */
  readonly text: string;
  /** What was wrong with the question; null where it could be asked. */
  readonly fault: string | null;
  /** At most 100; those that are refused first. `rule` is null for these. */
  readonly pairs: readonly {
    readonly source: string;
    readonly destination: string;
    readonly rule: string | null;
    readonly line: number;
  }[];
}

export interface ReachMapView {
  readonly groups: readonly {
    readonly id: string;
    readonly kind: 'people' | 'tags' | 'nobody';
    /** Logins, or one set of tags. */
    readonly names: readonly string[];
    /** Names of devices. */
    readonly devices: readonly string[];
    readonly online: number;
  }[];
  readonly links: readonly {
    readonly from: string;
    readonly to: string;
    readonly traffic: readonly string[];
    readonly behind: readonly string[];
    readonly isPartial: boolean;
  }[];
  readonly isComplete: boolean;
}

/** `tailnet` is a name or an id; refusals carry their `coordination_…` codes. Nothing is changed. */
export interface TailnetReachPort {
  /** The text of the policy that a tailnet has which was given none. */
  defaultPolicy(): string;
  check(tailnet: string, policy: string | null): NetworkPolicyCheck;
  /** `policy` undefined: the one in force. Ends are names of devices, logins, tags, groups, addresses. */
  explain(
    tailnet: string,
    question: {
      readonly policy?: string | null;
      readonly source: string;
      readonly destination: string;
      readonly port: number;
      readonly protocol?: string;
    },
  ): ReachAnswer;
  map(tailnet: string): ReachMapView;
}
