/** The relays of a network (tailcfg.DERPMap). */
import { asBoolean, asCount, asEntries, asList, asObject, asText } from './wire-fields.ts';

export interface DerpNode {
  readonly name: string;
  readonly hostname: string;
  /** Addresses instead of the name's own; empty: by the name, `none`: not by this family. */
  readonly ipv4: string;
  readonly ipv6: string;
  readonly port: number;
  /** Null: it answers no STUN. */
  readonly stunPort: number | null;
  readonly isStunOnly: boolean;
  /** The name its certificate is for, if it is another than `hostname`. */
  readonly certificateName: string | null;
  /** SHA-256 of its certificate in hex, which then is all that is checked. */
  readonly certificateSha256: string | null;
}

export interface DerpRegion {
  /** From 1 on. */
  readonly id: number;
  readonly code: string;
  readonly name: string;
  /** Never to be measured or chosen as home; peers may live there. */
  readonly isNoHome: boolean;
  /** Best first. */
  readonly nodes: readonly DerpNode[];
}

export interface DerpMap {
  readonly regions: ReadonlyMap<number, DerpRegion>;
  /** Measured latencies are multiplied by this before the home is chosen. */
  readonly scores: ReadonlyMap<number, number>;
}

export const EMPTY_DERP_MAP: DerpMap = { regions: new Map(), scores: new Map() };

const REGIONS_MAX = 256;
const NODES_MAX = 32;
const DEFAULT_PORT = 443;
const DEFAULT_STUN_PORT = 3478;
const PINNED = /^sha256-raw:([0-9a-f]{64})$/;

/** What a message says of relays, on top of what was known: a missing part is unchanged. */
export function updateDerpMap(known: DerpMap, value: unknown): DerpMap {
  const fields = asObject(value);
  if (fields === null) return known;
  const hasRegions = asObject(fields['Regions']) !== null;
  const scores = asObject(asObject(fields['HomeParams'])?.['RegionScore']);
  return {
    regions: hasRegions ? readRegions(fields['Regions']) : known.regions,
    scores: scores === null ? known.scores : readScores(scores),
  };
}

/** A region that is null or malformed is passed over: servers have been seen to send one. */
function readRegions(value: unknown): Map<number, DerpRegion> {
  const regions = new Map<number, DerpRegion>();
  for (const [, item] of asEntries(value, REGIONS_MAX)) {
    const fields = asObject(item);
    const id = asCount(fields?.['RegionID']);
    if (fields === null || id === null || id === 0) continue;
    regions.set(id, {
      id,
      code: asText(fields['RegionCode']) ?? '',
      name: asText(fields['RegionName']) ?? '',
      isNoHome: (asBoolean(fields['NoMeasureNoHome']) ?? false) || (asBoolean(fields['Avoid']) ?? false),
      nodes: asList(fields['Nodes'], NODES_MAX, readNode),
    });
  }
  return regions;
}

function readNode(value: unknown): DerpNode | null {
  const fields = asObject(value);
  const hostname = asText(fields?.['HostName'], 253);
  if (fields === null || hostname === null || hostname === '') return null;
  const certificate = asText(fields['CertName'], 253) ?? '';
  const stunPort = typeof fields['STUNPort'] === 'number' ? fields['STUNPort'] : 0;
  return {
    name: asText(fields['Name']) ?? '',
    hostname,
    ipv4: asText(fields['IPv4'], 64) ?? '',
    ipv6: asText(fields['IPv6'], 64) ?? '',
    port: portOr(fields['DERPPort'], DEFAULT_PORT),
    stunPort: stunPort < 0 ? null : portOr(stunPort, DEFAULT_STUN_PORT),
    isStunOnly: asBoolean(fields['STUNOnly']) ?? false,
    certificateName: certificate === '' || certificate.startsWith('sha256-raw:') ? null : certificate,
    certificateSha256: PINNED.exec(certificate.toLowerCase())?.[1] ?? null,
  };
}

function portOr(value: unknown, fallback: number): number {
  const port = asCount(value);
  return port === null || port === 0 || port > 65_535 ? fallback : port;
}

function readScores(value: unknown): Map<number, number> {
  const scores = new Map<number, number>();
  for (const [id, score] of asEntries(value, REGIONS_MAX)) {
    if (typeof score === 'number' && score > 0 && Number.isFinite(score)) scores.set(Number(id), score);
  }
  return scores;
}
