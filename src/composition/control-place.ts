/** Where the coordination server and the relay of this process are reached, as devices are told. */
import type { OperatorSettings } from '../config/index.ts';
import { bracketed } from './host-names.ts';
import { isPublicPlain, publicAddresses } from './public-listener.ts';

/** What the public listener turned out to be. */
export interface PublicPlace {
  readonly port: number;
  /** SHA-256 of the certificate that Postern made, as `AB:CD:…`; null with the operator's own, or without TLS. */
  readonly fingerprint: string | null;
}

interface OpenPlace extends PublicPlace {
  readonly stunPort: number;
  /** Of the control protocol without TLS; null where the public port serves it. */
  readonly plainPort: number | null;
}

export interface ControlPlace {
  /** For `tailscale up --login-server`; empty before the listeners are open. */
  readonly loginServer: string;
  /** `tailcfg.DERPMap`. Empty while no other device can reach this machine. */
  readonly relays: object;
  /** `host:port` of the relay; null where there is none. */
  readonly relay: string | null;
  /** Nothing beyond this machine is listened on; `url` is its loopback listener. */
  stayLocal(url: string): void;
  /** True if anything is different. */
  look(now: OpenPlace): boolean;
}

const REGION = 900;

export function createControlPlace(options: {
  readonly settings: OperatorSettings;
  readonly networkAddresses: () => readonly string[];
}): ControlPlace {
  const { settings } = options;
  let loginServer = '';
  let relays: object = { Regions: {} };
  let relay: string | null = null;
  let told = '';
  return {
    get loginServer() {
      return loginServer;
    },
    get relays() {
      return relays;
    },
    get relay() {
      return relay;
    },
    stayLocal(url) {
      loginServer = url;
    },
    look({ port, fingerprint, stunPort, plainPort }) {
      const address = publicAddresses(options)[0] ?? '127.0.0.1';
      const given = settings.publicUrl === null ? null : new URL(settings.publicUrl);
      const host = given === null ? bracketed(address) : given.hostname;
      const scheme = given?.protocol ?? (isPublicPlain(settings) ? 'http:' : 'https:');
      const ports = given === null || given.port !== '' ? `:${given?.port ?? port}` : '';
      /* Clients trust no certificate that Postern made; the protocol brings its own encryption. */
      loginServer = plainPort === null ? `${scheme}//${host}${ports}` : `http://${host}:${plainPort}`;
      const derpHost = host.replace(/^\[|\]$/g, '');
      const derpPort = given === null ? port : Number(given.port === '' ? 443 : given.port);
      relay = `${derpHost}:${derpPort}`;
      const node = {
        Name: `${REGION}a`,
        RegionID: REGION,
        HostName: derpHost,
        ...(given === null && !address.includes(':') ? { IPv4: address } : {}),
        DERPPort: derpPort,
        STUNPort: stunPort,
        ...(fingerprint === null
          ? {}
          : { CertName: `sha256-raw:${fingerprint.replaceAll(':', '').toLowerCase()}` }),
      };
      relays = {
        Regions: {
          [REGION]: { RegionID: REGION, RegionCode: 'postern', RegionName: 'Postern', Nodes: [node] },
        },
      };
      const now = JSON.stringify(relays);
      const isChanged = now !== told;
      told = now;
      return isChanged;
    },
  };
}
