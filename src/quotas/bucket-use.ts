/** From the quotas that hold for a caller to the buckets that one request takes from. */
import type { QuotaEntry } from '../policy/document.ts';
import {
  CHOSEN_BY_CALLERS,
  fillTemplate,
  OVERFLOW,
  parseQuotaTemplate,
  type BucketTemplate,
  type TemplateName,
} from './bucket-template.ts';
import { LabelSlots, type LabelSlotsOptions } from './label-slots.ts';

/** What fills the templates. All but `agent`, `session` and `model` come from the door and the policy. */
export interface BucketValues {
  readonly tailnet: string;
  /** The caller's principal: whose slots labels take. */
  readonly principal: string;
  /** Login, or the tags of a machine (`callerLabel`). */
  readonly user: string;
  /** Stable id of the device. */
  readonly node: string | null;
  /** A template with `<group>` gives a bucket for each. */
  readonly groups: readonly string[];
  readonly token: string | null;
  /** Label, said by the caller. */
  readonly agent: string | null;
  /** Label, said by the caller. */
  readonly session: string | null;
  readonly provider: string;
  /** Upstream id. */
  readonly model: string;
}

/** A bucket that a request counts against, and those that lend to it, in order. */
export interface BucketUse {
  readonly tailnet: string;
  readonly quota: QuotaEntry;
  readonly bucket: string;
  /** Unlike that of any other bucket. */
  readonly key: string;
  readonly overdraft: readonly BucketUse[];
  /** Why the document's rule cannot be followed: such a use is always refused. Null for nearly all. */
  readonly fault: string | null;
}

/** Buckets of one request; more is a mistake of the document. */
const USES_MAX = 64;
/** Steps from a bucket to the top. */
const DEPTH_MAX = 8;

interface Compiled {
  readonly template: BucketTemplate;
  readonly byGroup: boolean;
  readonly chosen: readonly TemplateName[];
}

/** Expands quotas into uses. Keeps what it read of each quota, and the slots of labels. */
export class BucketExpander {
  readonly #compiled = new WeakMap<QuotaEntry, Compiled>();
  readonly #slots: LabelSlots;

  constructor(options: LabelSlotsOptions) {
    this.#slots = new LabelSlots(options);
  }

  /**
   * The buckets for `entries` and all their parents in `quotas`, each once. `nowMs` is monotonic.
   * Never fewer than the document says: what cannot be found becomes a use with a fault.
   */
  expand(
    entries: readonly QuotaEntry[],
    quotas: ReadonlyMap<string, QuotaEntry>,
    values: BucketValues,
    nowMs: number,
  ): BucketUse[] {
    const uses = new Map<string, BucketUse>();
    for (const entry of entries) this.#addWithParents(uses, { entry, quotas, values, nowMs }, null, 0);
    return [...uses.values()];
  }

  #addWithParents(
    uses: Map<string, BucketUse>,
    context: ExpandContext,
    group: string | null,
    depth: number,
  ): void {
    const { entry, quotas, values } = context;
    const compiled = this.#compile(entry);
    for (const own of groupsOf(compiled, group, values)) {
      const use = this.#use(context, own);
      if (uses.has(use.key)) continue;
      if (uses.size >= USES_MAX || depth >= DEPTH_MAX) {
        const why = depth >= DEPTH_MAX ? `more than ${DEPTH_MAX} parents` : `more than ${USES_MAX} buckets`;
        uses.set(use.key, { ...use, fault: `quota "${entry.name}" leads to ${why} for one request` });
        return;
      }
      uses.set(use.key, use);
      if (entry.parent === null) continue;
      const parent = quotas.get(entry.parent);
      if (parent === undefined)
        uses.set(use.key, {
          ...use,
          fault: `quota "${entry.name}" has the parent "${entry.parent}", which is not defined`,
        });
      else this.#addWithParents(uses, { ...context, entry: parent }, own, depth + 1);
    }
  }

  #use(context: ExpandContext, group: string | null): BucketUse {
    const { entry, quotas } = context;
    const overdraft: BucketUse[] = [];
    for (const name of entry.overdraft) {
      const lender = quotas.get(name);
      // A lender that is not there lends nothing, which is the stricter reading.
      if (lender === undefined || lender.unit !== entry.unit || lender === entry) continue;
      for (const own of groupsOf(this.#compile(lender), group, context.values))
        overdraft.push(this.#single({ ...context, entry: lender }, own));
      if (overdraft.length >= DEPTH_MAX) break;
    }
    return { ...this.#single(context, group), overdraft };
  }

  #single({ entry, values, nowMs }: ExpandContext, group: string | null): BucketUse {
    const compiled = this.#compile(entry);
    const given = { ...valuesOf(values), group };
    const admitted: Partial<Record<TemplateName, string | null | typeof OVERFLOW>> = { ...given };
    for (const name of compiled.chosen) {
      const value = given[name] ?? null;
      const holder = `${values.tailnet}\n${values.principal}\n${entry.name}\n${name}`;
      if (value !== null && !this.#slots.admit(holder, value, nowMs)) admitted[name] = OVERFLOW;
    }
    const bucket = fillTemplate(compiled.template, admitted);
    return {
      tailnet: values.tailnet,
      quota: entry,
      bucket,
      key: `${values.tailnet}\n${entry.name}\n${bucket}`,
      overdraft: [],
      fault: null,
    };
  }

  #compile(entry: QuotaEntry): Compiled {
    const known = this.#compiled.get(entry);
    if (known !== undefined) return known;
    const template = parseQuotaTemplate(entry.name);
    const compiled = {
      template,
      byGroup: template.names.includes('group'),
      chosen: template.names.filter((name) => CHOSEN_BY_CALLERS.has(name)),
    };
    this.#compiled.set(entry, compiled);
    return compiled;
  }
}

interface ExpandContext {
  readonly entry: QuotaEntry;
  readonly quotas: ReadonlyMap<string, QuotaEntry>;
  readonly values: BucketValues;
  readonly nowMs: number;
}

const NO_GROUP = [null] as const;

/** A chain stays in the group that it began in. */
function groupsOf(
  compiled: Compiled,
  group: string | null,
  values: BucketValues,
): readonly (string | null)[] {
  if (!compiled.byGroup) return group === null ? NO_GROUP : [group];
  if (group !== null) return [group];
  return values.groups.length === 0 ? NO_GROUP : values.groups;
}

function valuesOf(values: BucketValues): Partial<Record<TemplateName, string | null>> {
  const { user, node, token, agent, session, provider, model } = values;
  return { user, node, token, agent, session, provider, model };
}
