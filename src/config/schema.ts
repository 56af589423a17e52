/** Every setting of the operator: one table, from which flags, the loader and the reference page follow. */
import {
  booleanKind,
  choiceKind,
  cidrKind,
  hostKind,
  integerKind,
  jwtIssuerKind,
  listenKind,
  listenOrSocketKind,
  listKind,
  mailAddressKind,
  mailHostKind,
  mailUserKind,
  originKind,
  pathKind,
  principalKind,
  secretKind,
  type SettingKind,
} from './setting-kinds.ts';
import { signInProviderKind } from './sign-in-kind.ts';

export interface SettingSpec<Value = unknown> {
  readonly kind: SettingKind<Value>;
  /** Long option, or null. The flags object has it in camel case. */
  readonly flag: string | null;
  /** Environment variable, or null. */
  readonly env: string | null;
  /** Whether `<env>_FILE` names a file with the value. */
  readonly envFile: boolean;
  /** Whether the settings file may hold it. Secrets may not stand in it. */
  readonly inFile: boolean;
  /** What it does, in a sentence. */
  readonly doc: string;
  /** 'ms', 'bytes' … or '' where it has none. */
  readonly unit: string;
  /** The default in words; the value itself is in the loader where it depends on the machine. */
  readonly fallback: string;
  readonly example: string;
}

interface SpecInput<Value> {
  readonly kind: SettingKind<Value>;
  readonly flag?: string;
  readonly env?: string;
  readonly envFile?: boolean;
  readonly inFile?: boolean;
  readonly doc: string;
  readonly unit?: string;
  readonly fallback: string;
  readonly example: string;
}

function setting<Value>(input: SpecInput<Value>): SettingSpec<Value> {
  const {
    kind,
    flag = null,
    env = null,
    envFile = false,
    inFile = true,
    doc,
    unit = '',
    fallback,
    example,
  } = input;
  return { kind, flag, env, envFile, inFile, doc, unit, fallback, example };
}

const MIB = 1024 * 1024;

/** By name; a dot is a level of the settings file. */
export const SETTINGS = {
  listen: setting({
    kind: listenKind,
    flag: '--listen',
    env: 'POSTERN_LISTEN',
    doc: 'Address of the gateway on this machine. `localhost` opens both 127.0.0.1 and ::1. Another address than a loopback one needs `lan` or `publicUrl`: it is the public listener, which serves models over TLS to callers with a token; the port is open on loopback besides.',
    fallback: 'localhost:8080',
    example: 'localhost:9000',
  }),
  stateDir: setting({
    kind: pathKind,
    flag: '--state-dir',
    env: 'POSTERN_STATE_DIR',
    inFile: false,
    doc: 'Folder of database, keys and socket; made with mode 0700.',
    fallback:
      '$XDG_STATE_HOME/postern, else ~/.local/state/postern; macOS ~/Library/Application Support/postern',
    example: '/var/lib/postern',
  }),
  settings: setting({
    kind: pathKind,
    flag: '--settings',
    env: 'POSTERN_SETTINGS',
    inFile: false,
    doc: 'File of these settings (HuJSON). Named explicitly it must exist.',
    fallback: '<state folder>/settings.hujson',
    example: '/etc/postern/settings.hujson',
  }),
  config: setting({
    kind: pathKind,
    flag: '--config',
    env: 'POSTERN_CONFIG',
    doc: 'File of the gateway document (HuJSON); watched, never written. Without it the document lives in the store.',
    fallback: 'none',
    example: '/etc/postern/gateway.hujson',
  }),
  allowUpstream: setting({
    kind: listKind(cidrKind),
    flag: '--allow-upstream',
    env: 'POSTERN_ALLOW_UPSTREAM',
    doc: 'Private addresses that may be called as upstreams. All others that are not public are refused.',
    fallback: 'none',
    example: '10.1.0.0/16,fd00:1::/64',
  }),
  ambientCredentials: setting({
    kind: listKind(choiceKind(['aws', 'gcp'] as const)),
    flag: '--ambient-credentials',
    env: 'POSTERN_AMBIENT_CREDENTIALS',
    doc: 'Clouds whose metadata service may be asked for credentials.',
    fallback: 'none',
    example: 'aws',
  }),
  credentialOrigins: setting({
    kind: listKind(originKind(['https'])),
    flag: '--credential-origin',
    env: 'POSTERN_CREDENTIAL_ORIGINS',
    doc: "Origins besides the clouds' own that may be sent this machine's ambient cloud credentials: a private endpoint of Bedrock or Vertex under a name of your own.",
    fallback: 'none',
    example: 'https://bedrock.corp.example.net',
  }),
  adminToken: setting({
    kind: secretKind,
    env: 'POSTERN_ADMIN_TOKEN',
    envFile: true,
    inFile: false,
    doc: 'Break-glass token: whoever presents it is an admin with presence. At least 24 characters.',
    fallback: 'none',
    example: '(the output of `openssl rand -hex 32`)',
  }),
  masterKey: setting({
    kind: secretKind,
    env: 'POSTERN_MASTER_KEY',
    envFile: true,
    inFile: false,
    doc: '32 bytes in base64 or hex that protect every stored key and prompt.',
    fallback: 'made in the state folder',
    example: '(the output of `openssl rand -base64 32`)',
  }),
  admins: setting({
    kind: listKind(principalKind),
    flag: '--admin',
    env: 'POSTERN_ADMIN',
    doc: 'Principals that are admins from the start, without the claim link.',
    fallback: 'none',
    example: 'tailscale:userid:1234567890',
  }),
  publicUrl: setting({
    kind: originKind(['http', 'https']),
    flag: '--public-url',
    env: 'POSTERN_PUBLIC_URL',
    doc: 'Address by which other devices reach this gateway. Opens the public listener (models only, over TLS, for callers with a token) on the port of `listen`, on all addresses of this machine unless `listen` names one.',
    fallback: 'off',
    example: 'https://ai.example.net',
  }),
  lan: setting({
    kind: booleanKind,
    flag: '--lan',
    env: 'POSTERN_LAN',
    doc: 'Opens the public listener (models only, over TLS, for callers with a token) on the addresses of this machine, on the port of `listen`.',
    fallback: 'false',
    example: 'true',
  }),
  hosts: setting({
    kind: listKind(hostKind),
    flag: '--host',
    env: 'POSTERN_HOSTS',
    doc: 'Further names that the `Host` header may carry; any other is refused with 421.',
    fallback: 'none',
    example: 'ai.example.net',
  }),
  'doors.tailscaled.enabled': setting({
    kind: booleanKind,
    flag: '--tailscaled',
    env: 'POSTERN_TAILSCALED',
    doc: "Listens on this host's tailnet addresses and asks its tailscaled who calls.",
    fallback: 'false',
    example: 'true',
  }),
  'doors.tailscaled.socket': setting({
    kind: pathKind,
    flag: '--tailscaled-socket',
    env: 'POSTERN_TAILSCALED_SOCKET',
    doc: "Socket of the host's tailscaled.",
    fallback: '/var/run/tailscale/tailscaled.sock; macOS /var/run/tailscaled.socket',
    example: '/run/tailscale/tailscaled.sock',
  }),
  'doors.tailscaled.httpPort': setting({
    kind: integerKind(0, 65_535),
    flag: '--tailscaled-http-port',
    doc: "Port without TLS on this host's tailnet addresses. Where this process may not use it, the port of `listen` is used instead, with a warning.",
    fallback: '80',
    example: '8080',
  }),
  'doors.tailscaled.httpsPort': setting({
    kind: integerKind(0, 65_535),
    flag: '--tailscaled-https-port',
    doc: "Port with TLS on this host's tailnet addresses; the certificate is tailscaled's, or `tls.certFile` if that names the host.",
    fallback: '443',
    example: '8443',
  }),
  'doors.node.enabled': setting({
    kind: booleanKind,
    flag: '--node',
    env: 'POSTERN_NODE',
    doc: "Postern's own private network: opens a UDP port for WireGuard, on which only devices that an admin added are answered (`postern device add`).",
    fallback: 'false',
    example: 'true',
  }),
  'doors.node.udpPort': setting({
    kind: integerKind(0, 65_535),
    flag: '--node-udp-port',
    env: 'POSTERN_NODE_UDP_PORT',
    doc: "UDP port of Postern's own private network; 0 lets the system choose.",
    fallback: '51820',
    example: '41641',
  }),
  'doors.node.endpoint': setting({
    kind: hostKind,
    flag: '--node-endpoint',
    env: 'POSTERN_NODE_ENDPOINT',
    doc: 'Where devices reach that UDP port, as it goes into their configuration; without a port, that of `doors.node.udpPort`.',
    fallback: "this machine's first address",
    example: 'ai.example.net:51820',
  }),
  'doors.node.loginServers': setting({
    kind: listKind(originKind(['http', 'https'])),
    flag: '--allow-login-server',
    env: 'POSTERN_ALLOW_LOGIN_SERVERS',
    doc: 'Control servers (Tailscale, Headscale) whose network any admin may join by `postern up`: such a server says who is who. The OS user who runs this process may name others, on this machine.',
    fallback: 'none',
    example: 'https://headscale.example.net',
  }),
  'doors.node.tailnetUdpPort': setting({
    kind: integerKind(0, 65_535),
    flag: '--tailnet-udp-port',
    env: 'POSTERN_TAILNET_UDP_PORT',
    doc: 'UDP port of direct paths in a network that was joined by `postern up`; 0 lets the system choose.',
    fallback: '0',
    example: '41641',
  }),
  'doors.serve.listen': setting({
    kind: listenOrSocketKind,
    flag: '--serve-listen',
    env: 'POSTERN_SERVE_LISTEN',
    doc: 'Loopback address or socket path that only `tailscale serve` may reach; its identity headers are believed there and nowhere else.',
    fallback: 'off',
    example: '/run/postern/serve.sock',
  }),
  'doors.jwt': setting({
    kind: listKind(jwtIssuerKind),
    doc: 'Issuers whose tokens are accepted: `issuer`, `audience`, `algorithms`, `tenantClaim` {name, value}, and if wanted `jwksUrl`, `loginClaim`, `groupsClaim`.',
    fallback: 'none',
    example:
      '[{"issuer": "https://token.actions.githubusercontent.com", "audience": "postern", "algorithms": ["RS256"], "tenantClaim": {"name": "repository_owner_id", "value": "12345"}}]',
  }),
  'signIn.providers': setting({
    kind: listKind(signInProviderKind),
    doc: "OpenID providers by which people sign their devices in to Postern's own tailnets: `id`, `issuer`, `clientId`, and if wanted `title`, `clientSecretFile`, `scopes`, `groupsClaim`. Needs `publicUrl`; each tailnet says whom it admits.",
    fallback: 'none',
    example:
      '[{"id": "acme", "title": "Acme", "issuer": "https://login.example.com", "clientId": "postern", "clientSecretFile": "/run/secrets/acme", "groupsClaim": "groups"}]',
  }),
  caFiles: setting({
    kind: listKind(pathKind),
    flag: '--ca-file',
    env: 'POSTERN_CA_FILES',
    doc: 'PEM files of authorities that are trusted for upstreams besides the public ones.',
    fallback: 'none',
    example: '/etc/ssl/corp-ca.pem',
  }),
  'tls.certFile': setting({
    kind: pathKind,
    flag: '--tls-cert',
    env: 'POSTERN_TLS_CERT',
    doc: 'Certificate chain (PEM) of the listeners beyond loopback; needs `tls.keyFile`. Both files are read again when they change.',
    fallback:
      "the tailnet's on tailnet addresses; a self-signed one from the state folder on the public listener",
    example: '/etc/postern/tls.crt',
  }),
  'tls.keyFile': setting({
    kind: pathKind,
    flag: '--tls-key',
    env: 'POSTERN_TLS_KEY',
    doc: 'Private key (PEM) of that certificate.',
    fallback: 'none',
    example: '/etc/postern/tls.key',
  }),
  dangerouslyAllowPlainHttp: setting({
    kind: booleanKind,
    doc: 'The public listener speaks HTTP without TLS: tokens and prompts can be read and altered on the way. Only for a proxy in front of it that ends TLS on the same host or link.',
    fallback: 'false',
    example: 'true',
  }),
  'limits.bodyMaxBytes': setting({
    kind: integerKind(1024, 1024 * MIB),
    env: 'POSTERN_BODY_MAX_BYTES',
    doc: 'Largest request body.',
    unit: 'bytes',
    fallback: '67108864 (64 MiB)',
    example: '134217728',
  }),
  'limits.headerMaxBytes': setting({
    kind: integerKind(4096, MIB),
    doc: 'Largest head of a request.',
    unit: 'bytes',
    fallback: '32768 (32 KiB)',
    example: '65536',
  }),
  'limits.connectionsMax': setting({
    kind: integerKind(1, 1_000_000),
    doc: 'Open connections of one listener.',
    fallback: '10000',
    example: '20000',
  }),
  'timeouts.headersMs': setting({
    kind: integerKind(100, 600_000),
    doc: 'Time for a caller to send the head of a request, and for how long a connection may stay silent before its first.',
    unit: 'ms',
    fallback: '15000',
    example: '5000',
  }),
  'timeouts.requestMs': setting({
    kind: integerKind(1000, 3_600_000),
    doc: 'Time for a caller to send a whole request with its body.',
    unit: 'ms',
    fallback: '300000 (5 minutes)',
    example: '60000',
  }),
  'timeouts.connectMs': setting({
    kind: integerKind(100, 120_000),
    doc: 'Time to connect to an upstream, TLS included.',
    unit: 'ms',
    fallback: '10000',
    example: '5000',
  }),
  'timeouts.firstByteMs': setting({
    kind: integerKind(1000, 3_600_000),
    doc: 'Time from the end of a request to the first byte of its answer; thinking models take minutes.',
    unit: 'ms',
    fallback: '600000 (10 minutes)',
    example: '900000',
  }),
  'timeouts.idleMs': setting({
    kind: integerKind(1000, 3_600_000),
    doc: 'Longest silence within an answer; a caller that reads nothing of it for as long is cut off.',
    unit: 'ms',
    fallback: '300000 (5 minutes)',
    example: '120000',
  }),
  'mail.host': setting({
    kind: mailHostKind,
    doc: 'Mail server (SMTP) for notices about approvals and budgets. Reached through the guarded dialer: a private address must be one of `allowUpstream`.',
    fallback: 'none: no mail is sent',
    example: 'smtp.example.net',
  }),
  'mail.port': setting({
    kind: integerKind(1, 65_535),
    doc: 'Port of the mail server.',
    fallback: '465, or 587 with `starttls`, or 25 with `none`',
    example: '587',
  }),
  'mail.tls': setting({
    kind: choiceKind(['implicit', 'starttls', 'none'] as const),
    doc: 'TLS from the first byte (`implicit`), or required before anything is said (`starttls`). `none` only for a relay on this machine.',
    fallback: 'implicit',
    example: 'starttls',
  }),
  'mail.from': setting({
    kind: mailAddressKind,
    doc: 'Sender of the mails; needed with `mail.host`.',
    fallback: 'none',
    example: 'postern@example.net',
  }),
  'mail.user': setting({
    kind: mailUserKind,
    doc: 'Name to log in with; needs `mail.password`.',
    fallback: 'none: no login',
    example: 'postern',
  }),
  'mail.password': setting({
    kind: secretKind,
    env: 'POSTERN_MAIL_PASSWORD',
    envFile: true,
    inFile: false,
    doc: 'Password of `mail.user`; better in a file that only Postern reads.',
    fallback: 'none',
    example: '(in a file that POSTERN_MAIL_PASSWORD_FILE names)',
  }),
  'log.level': setting({
    kind: choiceKind(['debug', 'info', 'warn', 'error'] as const),
    flag: '--log-level',
    env: 'POSTERN_LOG_LEVEL',
    doc: 'Least important events that are logged.',
    fallback: 'info',
    example: 'debug',
  }),
  'log.format': setting({
    kind: choiceKind(['text', 'json'] as const),
    flag: '--log-format',
    env: 'POSTERN_LOG_FORMAT',
    doc: 'Form of the log.',
    fallback: 'text',
    example: 'json',
  }),
} as const;

/** Settings that weaken security begin so, at the last level of their name. */
export const DANGEROUS_PREFIX = 'dangerously';
