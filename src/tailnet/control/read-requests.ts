/** What devices ask (tailcfg.RegisterRequest, tailcfg.MapRequest), read out of a stranger's JSON and bounded. */
import { formatCidr } from '../../wire/ip.ts';
import { formatIpPort } from '../../wire/ip-port.ts';
import { type KeyHex, parseKeyText } from '../protocol/key-text.ts';
import {
  asBoolean,
  asCidr,
  asCount,
  asIpPort,
  asList,
  asObject,
  asPort,
  asText,
  asTime,
  type WireObject,
} from '../protocol/wire-fields.ts';
import type { DeviceFacts } from './records.ts';

const HOSTNAME_MAX_CHARS = 255;
const SERVICES_MAX = 16;
const SSH_KEYS_MAX = 8;
const SSH_KEY_MAX_CHARS = 2048;
const ROUTES_MAX = 256;
const TAGS_MAX = 64;
const TAG_MAX_CHARS = 100;
const ENDPOINTS_MAX = 64;
const AUTH_KEY_MAX_CHARS = 512;
/** Services that peers are told of; others would be a list of what runs there. */
const SERVICE_PROTOCOLS = new Set(['peerapi4', 'peerapi6', 'peerapi-dns-proxy']);

/** `undefined` fields of a device's facts were not stated and stay as they were. */
export interface StatedHost {
  readonly facts: DeviceFacts;
  readonly requestTags: readonly string[];
  /** Region of the home relay; null: not stated. */
  readonly homeDerp: number | null;
}

export interface RegisterQuestion {
  readonly version: number;
  readonly nodeKey: KeyHex;
  /** The key that `nodeKey` takes the place of. */
  readonly oldNodeKey: KeyHex | null;
  readonly authKey: string | null;
  /** The login URL that is waited for. */
  readonly followup: string | null;
  readonly isEphemeral: boolean;
  /** In the past: log out. */
  readonly expiry: number | null;
  /** A name or id; `required:` in front binds. */
  readonly tailnet: string | null;
  readonly host: StatedHost | null;
}

export interface MapQuestion {
  readonly version: number;
  readonly nodeKey: KeyHex;
  readonly discoKey: KeyHex | null;
  readonly isStream: boolean;
  readonly omitsPeers: boolean;
  readonly wantsZstd: boolean;
  readonly wantsKeepAlive: boolean;
  /** Null: not stated. */
  readonly endpoints: readonly string[] | null;
  readonly host: StatedHost | null;
}

/** Null for what is no question at all. */
export function readRegister(json: Buffer): RegisterQuestion | null {
  const fields = parse(json);
  const nodeKey = parseKeyText('nodekey', fields?.['NodeKey']);
  if (fields === null || nodeKey === null) return null;
  const authKey = asText(asObject(fields['Auth'])?.['AuthKey'], AUTH_KEY_MAX_CHARS) ?? '';
  const followup = asText(fields['Followup'], 4096) ?? '';
  const tailnet = asText(fields['Tailnet'], 255) ?? '';
  return {
    version: asCount(fields['Version']) ?? 0,
    nodeKey,
    oldNodeKey: parseKeyText('nodekey', fields['OldNodeKey']),
    authKey: authKey === '' ? null : authKey,
    followup: followup === '' ? null : followup,
    isEphemeral: asBoolean(fields['Ephemeral']) ?? false,
    expiry: asTime(fields['Expiry']),
    tailnet: tailnet === '' ? null : tailnet,
    host: readHost(fields['Hostinfo']),
  };
}

/** Null for what is no question at all. */
export function readMapQuestion(json: Buffer): MapQuestion | null {
  const fields = parse(json);
  const nodeKey = parseKeyText('nodekey', fields?.['NodeKey']);
  if (fields === null || nodeKey === null) return null;
  return {
    version: asCount(fields['Version']) ?? 0,
    nodeKey,
    discoKey: parseKeyText('discokey', fields['DiscoKey']),
    isStream: asBoolean(fields['Stream']) ?? false,
    omitsPeers: asBoolean(fields['OmitPeers']) ?? false,
    wantsZstd: fields['Compress'] === 'zstd',
    wantsKeepAlive: asBoolean(fields['KeepAlive']) ?? false,
    endpoints: Array.isArray(fields['Endpoints'])
      ? [...new Set(asList(fields['Endpoints'], ENDPOINTS_MAX, asIpPort).map(formatIpPort))]
      : null,
    host: readHost(fields['Hostinfo']),
  };
}

function parse(json: Buffer): WireObject | null {
  try {
    return asObject(JSON.parse(json.toString('utf8')));
  } catch {
    return null;
  }
}

function readHost(value: unknown): StatedHost | null {
  const host = asObject(value);
  if (host === null) return null;
  return {
    facts: {
      os: asText(host['OS'], 64) ?? '',
      hostname: asText(host['Hostname'], HOSTNAME_MAX_CHARS) ?? '',
      version: asText(host['IPNVersion'], 128) ?? '',
      services: asList(host['Services'], SERVICES_MAX, readService),
      sshHostKeys: asList(host['sshHostKeys'], SSH_KEYS_MAX, (key) => asText(key, SSH_KEY_MAX_CHARS)),
      offeredRoutes: asList(host['RoutableIPs'], ROUTES_MAX, (route) => {
        const cidr = asCidr(route);
        return cidr === null ? null : formatCidr(cidr);
      }),
    },
    requestTags: [...new Set(asList(host['RequestTags'], TAGS_MAX, (tag) => asText(tag, TAG_MAX_CHARS)))],
    homeDerp: asCount(asObject(host['NetInfo'])?.['PreferredDERP']),
  };
}

function readService(value: unknown): DeviceFacts['services'][number] | null {
  const service = asObject(value);
  const proto = asText(service?.['Proto'], 32);
  const port = asPort(service?.['Port']);
  return proto === null || port === null || !SERVICE_PROTOCOLS.has(proto) ? null : { proto, port };
}
