/**
 * From the model that a caller names to the providers that serve it. An alias wins, then what a
 * provider lists literally (as `provider/model`, then as a bare id, which may hold a slash itself),
 * then what a provider's pattern matches, in the same order. Literal names are found by one look-up;
 * what only patterns match is remembered, within bounds, because callers choose the names.
 */
import type { AliasEntry } from './document.ts';
import type { RouteEntry } from './governance.ts';
import { compileGlob, type Glob, splitModelName } from './glob.ts';
import type { Candidate, Provider } from './snapshot.ts';

/** Names that only patterns matched; beyond this the memory starts afresh. */
const REMEMBERED_MAX = 4096;
const MODEL_MAX_LENGTH = 512;
const NONE: readonly Candidate[] = [];

export interface ModelResolver {
  readonly resolve: (model: string) => readonly Candidate[];
  /** Whether a provider, disabled or not, serves an upstream id. */
  readonly serves: (provider: Provider, model: string) => boolean;
  readonly aliases: ReadonlyMap<string, Candidate | null>;
}

/** How exactly a provider names a model; the lower the better. */
type Exactness = 0 | 1 | 2;
interface Ranked {
  readonly candidate: Candidate;
  readonly exactness: Exactness;
}
interface ServedModels {
  readonly literal: ReadonlySet<string>;
  readonly globs: readonly Glob[];
}

export function createModelResolver(
  providers: ReadonlyMap<string, Provider>,
  aliasEntries: ReadonlyMap<string, AliasEntry>,
  routes: ReadonlyMap<string, RouteEntry> = new Map(),
): ModelResolver {
  const served = new Map<string, ServedModels>();
  for (const provider of providers.values()) served.set(provider.id, servedModels(provider));
  const usable = [...providers.values()].filter((provider) => !provider.disabled);

  const exactnessOf = (provider: Provider, model: string): Exactness | null => {
    const models = served.get(provider.id);
    if (models === undefined) return null;
    if (models.literal.has(model)) return 0;
    const glob = models.globs.find((candidate) => candidate.test(model));
    return glob === undefined ? null : isCatchAll(glob) ? 2 : 1;
  };

  const qualified = (name: string, via: Candidate['via']): Candidate | null => {
    const split = splitModelName(name);
    const provider = split === null ? undefined : providers.get(split.provider);
    if (split === null || provider === undefined || provider.disabled) return null;
    return exactnessOf(provider, split.model) === null ? null : { provider, model: split.model, via };
  };

  const bare = (model: string): readonly Candidate[] => {
    const ranked: Ranked[] = [];
    for (const provider of usable) {
      const exactness = exactnessOf(provider, model);
      if (exactness !== null) ranked.push({ candidate: { provider, model, via: 'bare' }, exactness });
    }
    return rank(ranked);
  };

  const aliases = new Map<string, Candidate | null>();
  const known = new Map<string, readonly Candidate[]>();
  for (const { literal } of served.values()) for (const model of literal) known.set(model, bare(model));
  for (const provider of usable) {
    for (const model of served.get(provider.id)?.literal ?? []) {
      known.set(`${provider.id}/${model}`, [{ provider, model, via: 'qualified' }]);
    }
  }
  for (const alias of aliasEntries.values()) {
    const target =
      alias.targets.map((name) => qualified(name, 'alias')).find((candidate) => candidate !== null) ?? null;
    aliases.set(alias.name, target);
    known.set(alias.name, target === null ? NONE : [target]);
  }

  for (const route of routes.values()) {
    const inRegion = route.targets.filter(
      ({ region }) => route.regions.length === 0 || (region !== null && route.regions.includes(region)),
    );
    const targets = inRegion
      .map(({ model }) => qualified(model, 'alias'))
      .filter((target) => target !== null);
    aliases.set(route.name, targets[0] ?? null);
    known.set(route.name, targets);
  }

  const remembered = new Map<string, readonly Candidate[]>();
  return {
    aliases,
    serves: (provider, model) => exactnessOf(provider, model) !== null,
    resolve(model) {
      const literal = known.get(model) ?? remembered.get(model);
      if (literal !== undefined) return literal;
      if (model === '' || model.length > MODEL_MAX_LENGTH) return NONE;
      const one = qualified(model, 'qualified');
      const found = one === null ? bare(model) : [one];
      if (remembered.size >= REMEMBERED_MAX) remembered.clear();
      remembered.set(model, found);
      return found;
    },
  };
}

function servedModels(provider: Provider): ServedModels {
  const globs = provider.models.map(compileGlob);
  return {
    literal: new Set(globs.filter((glob) => glob.literal).map((glob) => glob.pattern)),
    globs: globs.filter((glob) => !glob.literal),
  };
}

function isCatchAll(glob: Glob): boolean {
  return glob.any || glob.pattern === '*' || glob.pattern === '*/*';
}

/**
 * Preference first, then who names the model more exactly, then the document's order. A provider that
 * claims everything is left out where another of at least its preference names the model: `gpt-5` is
 * not for a router that would take any name.
 */
function rank(ranked: readonly Ranked[]): readonly Candidate[] {
  const namedAt = Math.max(
    -Infinity,
    ...ranked.filter((entry) => entry.exactness < 2).map((entry) => entry.candidate.provider.preference),
  );
  return ranked
    .filter((entry) => entry.exactness < 2 || entry.candidate.provider.preference > namedAt)
    .sort(
      (a, b) =>
        b.candidate.provider.preference - a.candidate.provider.preference || a.exactness - b.exactness,
    )
    .map((entry) => entry.candidate);
}
