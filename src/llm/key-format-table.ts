/**
 * The shapes of services' keys, as they publish them for secret scanning, e.g.
 * https://docs.github.com/en/code-security/secret-scanning/introduction/supported-secret-scanning-patterns and
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html. `key-formats.ts` looks for them.
 * Every quantifier is bounded.
 */
import { crc32 } from 'node:zlib';

/** The shape of one kind of key. */
export interface KeyFormat {
  readonly service: string;
  readonly kind: string;
  /** Literals of which one begins the key, with their case. */
  readonly prefixes: readonly string[];
  /** What follows the prefix, sticky. */
  readonly rest: RegExp;
  /** Whether a checksum agrees. Disagreement says nothing: services change their ways. */
  readonly check?: (key: string) => boolean;
}

/** Prefixes that begin others come later: the first that fits wins. */
export const KEY_FORMATS: readonly KeyFormat[] = [
  { service: 'anthropic', kind: 'anthropic_key', prefixes: ['sk-ant-'], rest: /[\w-]{20,200}/y },
  { service: 'openrouter', kind: 'openrouter_key', prefixes: ['sk-or-'], rest: /v\d-[0-9a-f]{32,80}/y },
  {
    service: 'openai',
    kind: 'openai_key',
    prefixes: ['sk-proj-', 'sk-svcacct-', 'sk-admin-', 'sk-None-'],
    rest: /[\w-]{20,220}/y,
  },
  {
    service: 'openai',
    kind: 'openai_legacy_key',
    prefixes: ['sk-'],
    rest: /[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}/y,
  },
  {
    service: 'openai_compatible',
    kind: 'llm_key',
    prefixes: ['sk-'],
    rest: /(?=[\w-]{0,80}\d)[A-Za-z0-9][\w-]{31,127}/y,
  },
  { service: 'google', kind: 'google_api_key', prefixes: ['AIza'], rest: /[\w-]{35}/y },
  { service: 'google', kind: 'google_oauth_token', prefixes: ['ya29.'], rest: /[\w-]{30,400}/y },
  { service: 'google', kind: 'google_refresh_token', prefixes: ['1//0'], rest: /[\w-]{30,200}/y },
  { service: 'google', kind: 'google_client_secret', prefixes: ['GOCSPX-'], rest: /[\w-]{24,40}/y },
  {
    service: 'aws',
    kind: 'aws_access_key_id',
    prefixes: ['AKIA', 'ASIA', 'ABIA', 'ACCA'],
    rest: /[A-Z2-7]{16}(?![A-Za-z0-9])/y,
  },
  {
    service: 'aws',
    kind: 'aws_bedrock_key',
    prefixes: ['ABSK', 'bedrock-api-key-'],
    rest: /[\w+/=-]{60,2000}/y,
  },
  {
    service: 'github',
    kind: 'github_token',
    prefixes: ['ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_'],
    rest: /[A-Za-z0-9]{36,255}/y,
    check: (key) => hasBase62Crc(key, 4),
  },
  {
    service: 'github',
    kind: 'github_fine_grained_token',
    prefixes: ['github_pat_'],
    rest: /[A-Za-z0-9]{22}_[A-Za-z0-9]{40,100}/y,
  },
  {
    service: 'gitlab',
    kind: 'gitlab_token',
    prefixes: [
      'glpat-',
      'gldt-',
      'glrt-',
      'glcbt-',
      'glptt-',
      'glsoat-',
      'glagent-',
      'glft-',
      'glimt-',
      'gloas-',
    ],
    rest: /[\w-]{20,300}(?:\.[\w-]{2,20}){0,3}/y,
  },
  {
    service: 'slack',
    kind: 'slack_token',
    prefixes: [
      'xoxb-',
      'xoxp-',
      'xoxa-',
      'xoxr-',
      'xoxs-',
      'xoxo-',
      'xoxe-',
      'xoxc-',
      'xoxd-',
      'xoxe.xoxp-',
      'xoxe.xoxb-',
    ],
    rest: /[\w%-]{10,300}/y,
  },
  {
    service: 'slack',
    kind: 'slack_app_token',
    prefixes: ['xapp-'],
    rest: /\d-[A-Z0-9]{8,20}-\d{8,20}-[a-f0-9]{32,80}/y,
  },
  {
    service: 'stripe',
    kind: 'stripe_key',
    prefixes: ['sk_live_', 'sk_test_', 'rk_live_', 'rk_test_', 'sk_prod_', 'rk_prod_'],
    rest: /[A-Za-z0-9]{10,250}/y,
  },
  { service: 'stripe', kind: 'stripe_webhook_secret', prefixes: ['whsec_'], rest: /[A-Za-z0-9+/=]{24,100}/y },
  {
    service: 'npm',
    kind: 'npm_token',
    prefixes: ['npm_'],
    rest: /[A-Za-z0-9]{36}(?![A-Za-z0-9])/y,
    check: (key) => hasBase62Crc(key, 4),
  },
  {
    service: 'pypi',
    kind: 'pypi_token',
    prefixes: ['pypi-AgEIcHlwaS5vcmc', 'pypi-AgENdGVzdC5weXBpLm9yZ'],
    rest: /[\w-]{50,1000}/y,
  },
  {
    service: 'huggingface',
    kind: 'huggingface_token',
    prefixes: ['hf_', 'api_org_'],
    rest: /[A-Za-z]{34}(?![A-Za-z0-9])/y,
  },
  { service: 'azure', kind: 'azure_storage_key', prefixes: ['AccountKey='], rest: /[A-Za-z0-9+/]{86}==/y },
  { service: 'groq', kind: 'groq_key', prefixes: ['gsk_'], rest: /[A-Za-z0-9]{40,80}/y },
  { service: 'xai', kind: 'xai_key', prefixes: ['xai-'], rest: /[A-Za-z0-9_]{60,100}/y },
  { service: 'perplexity', kind: 'perplexity_key', prefixes: ['pplx-'], rest: /[A-Za-z0-9]{40,80}/y },
  { service: 'replicate', kind: 'replicate_token', prefixes: ['r8_'], rest: /[A-Za-z0-9]{37,40}/y },
  {
    service: 'fireworks',
    kind: 'fireworks_key',
    prefixes: ['fw_'],
    rest: /[A-Za-z0-9]{22,40}(?![A-Za-z0-9])/y,
  },
  { service: 'nvidia', kind: 'nvidia_key', prefixes: ['nvapi-'], rest: /[\w-]{40,100}/y },
  { service: 'cerebras', kind: 'cerebras_key', prefixes: ['csk-'], rest: /[a-z0-9]{40,60}/y },
  {
    service: 'tailscale',
    kind: 'tailscale_key',
    prefixes: ['tskey-'],
    rest: /[a-z]{2,12}-[A-Za-z0-9-]{10,100}/y,
  },
  { service: 'postern', kind: 'postern_token', prefixes: ['pst_'], rest: /[\w-]{20,200}/y },
  {
    service: 'digitalocean',
    kind: 'digitalocean_token',
    prefixes: ['dop_v1_', 'doo_v1_', 'dor_v1_'],
    rest: /[a-f0-9]{64}/y,
  },
  { service: 'sendgrid', kind: 'sendgrid_key', prefixes: ['SG.'], rest: /[\w-]{22}\.[\w-]{43}/y },
  { service: 'docker', kind: 'docker_token', prefixes: ['dckr_pat_', 'dckr_oat_'], rest: /[\w-]{27,60}/y },
  { service: 'hashicorp', kind: 'vault_token', prefixes: ['hvs.', 'hvb.'], rest: /[\w-]{24,300}/y },
  {
    service: 'databricks',
    kind: 'databricks_token',
    prefixes: ['dapi'],
    rest: /[a-f0-9]{32}(?:-\d)?(?![A-Za-z0-9])/y,
  },
  {
    service: 'shopify',
    kind: 'shopify_token',
    prefixes: ['shpat_', 'shpca_', 'shppa_', 'shpss_'],
    rest: /[a-fA-F0-9]{32}/y,
  },
  { service: 'linear', kind: 'linear_key', prefixes: ['lin_api_'], rest: /[A-Za-z0-9]{40}/y },
  {
    service: 'notion',
    kind: 'notion_token',
    prefixes: ['ntn_', 'secret_'],
    rest: /[A-Za-z0-9]{43,50}(?![A-Za-z0-9])/y,
  },
  { service: 'age', kind: 'age_secret_key', prefixes: ['AGE-SECRET-KEY-1'], rest: /[0-9A-Z]{58}/y },
  {
    service: 'jwt',
    kind: 'jwt',
    prefixes: ['eyJ', 'ewog', 'ewoJ'],
    rest: /[\w-]{12,4000}={0,2}\.[\w-]{4,8000}={0,2}\.[\w-]{0,2000}/y,
  },
];

/** Formats without a prefix, told by what stands within. */
export const AZURE_OPENAI: KeyFormat = {
  service: 'azure',
  kind: 'azure_openai_key',
  prefixes: [],
  rest: /[A-Za-z0-9]{52}JQQJ99[A-Z0-9]{4}AC[A-Za-z0-9]{12,20}/y,
};
export const AZURE_KEY_MIN = 76;
export const AZURE_CLIENT: KeyFormat = {
  service: 'azure',
  kind: 'azure_client_secret',
  prefixes: [],
  rest: /[\w.-]{3}[78]Q~[\w~.-]{31,34}/y,
};
export const TELEGRAM: KeyFormat = {
  service: 'telegram',
  kind: 'telegram_token',
  prefixes: [],
  rest: /\d{8,10}:AA[\w-]{33}(?![\w-])/y,
};

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const CRC_LENGTH = 6;

/** Whether the last six signs are the CRC-32 of those between prefix and them, in base 62. */
function hasBase62Crc(key: string, prefixLength: number): boolean {
  let rest = crc32(key.slice(prefixLength, -CRC_LENGTH));
  let digits = '';
  for (let i = 0; i < CRC_LENGTH; i += 1) {
    digits = BASE62.charAt(rest % 62) + digits;
    rest = Math.floor(rest / 62);
  }
  return key.endsWith(digits);
}
