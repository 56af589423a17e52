import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import '../../test/property-seed.ts';
import { findKeys } from './key-formats.ts';

const MIXED = 'aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0fG';

/** Stands for the random part of a key; put together here, so that no key-like text is in the tree. */
function random(length: number, signs = MIXED): string {
  return signs.repeat(Math.ceil(length / signs.length)).slice(0, length);
}

const HEX = '0a1b2c3d4e5f6789';
const UPPER = 'A2B3C4D5E6F7G2H3';
const LETTERS = 'abcdefghijABCDEFGHIJ';

/** Each kind with a text of its published shape. */
const EXAMPLES: Readonly<Record<string, string>> = {
  anthropic_key: `sk-ant-api03-${random(93)}AA`,
  openrouter_key: `sk-or-v1-${random(64, HEX)}`,
  openai_key: `sk-proj-${random(120)}`,
  openai_legacy_key: `sk-${random(20)}T3BlbkFJ${random(20)}`,
  llm_key: `sk-${random(48)}`,
  google_api_key: `AIza${random(35)}`,
  google_oauth_token: `ya29.${random(60)}`,
  google_refresh_token: `1//0${random(50)}`,
  google_client_secret: `GOCSPX-${random(28)}`,
  aws_access_key_id: `AKIA${random(16, UPPER)}`,
  aws_bedrock_key: `ABSK${random(100)}`,
  github_token: `ghp_${random(36)}`,
  github_fine_grained_token: `github_pat_${random(22)}_${random(59)}`,
  gitlab_token: `glpat-${random(20)}`,
  slack_token: `xoxb-${random(12, '1234567890')}-${random(12, '1234567890')}-${random(24)}`,
  slack_app_token: `xapp-1-${random(11, UPPER)}-${random(13, '1234567890')}-${random(64, HEX)}`,
  stripe_key: `sk_live_${random(24)}`,
  stripe_webhook_secret: `whsec_${random(32)}`,
  npm_token: `npm_${random(36)}`,
  pypi_token: `pypi-AgEIcHlwaS5vcmc${random(100)}`,
  huggingface_token: `hf_${random(34, LETTERS)}`,
  azure_openai_key: `${random(52)}JQQJ99BAACAC${random(16)}`,
  azure_storage_key: `AccountKey=${random(86)}==`,
  azure_client_secret: `abc8Q~${random(34)}`,
  groq_key: `gsk_${random(52)}`,
  xai_key: `xai-${random(80)}`,
  perplexity_key: `pplx-${random(48)}`,
  replicate_token: `r8_${random(37)}`,
  fireworks_key: `fw_${random(24)}`,
  nvidia_key: `nvapi-${random(64)}`,
  cerebras_key: `csk-${random(48, 'a1b2c3d4e5f6')}`,
  tailscale_key: `tskey-auth-${random(17)}-${random(32)}`,
  postern_token: `pst_${random(40)}`,
  digitalocean_token: `dop_v1_${random(64, HEX)}`,
  sendgrid_key: `SG.${random(22)}.${random(43)}`,
  docker_token: `dckr_pat_${random(27)}`,
  vault_token: `hvs.${random(90)}`,
  databricks_token: `dapi${random(32, HEX)}`,
  shopify_token: `shpat_${random(32, HEX)}`,
  telegram_token: `1234567890:AA${random(33)}`,
  linear_key: `lin_api_${random(40)}`,
  notion_token: `ntn_${random(46)}`,
  age_secret_key: `AGE-SECRET-KEY-1${random(58, UPPER)}`,
  jwt: `eyJ${random(17)}.eyJ${random(40)}.${random(43)}`,
  private_key: `-----BEGIN RSA PRIVATE KEY-----\n${random(64)}\n-----END RSA PRIVATE KEY-----`,
};

const AROUND = [
  ['', ''],
  ['key ', ' and'],
  ['"', '"'],
  ['KEY=', '\n'],
  ['{"a":"x\\n', '\\n"}'],
  ['?key%3D', '&b'],
  ['\\u003d', ' '],
  ['日本', '語'],
] as const;

test('every kind of key is found whole, whatever stands around it', () => {
  for (const [kind, key] of Object.entries(EXAMPLES)) {
    for (const [before, after] of AROUND) {
      const text = before + key + after;
      const [found, ...more] = findKeys(text);
      assert.deepEqual(
        [found?.kind, text.slice(found?.start, found?.end), more],
        [kind, key, []],
        text.slice(0, 40),
      );
    }
  }
});

test('a checksum that agrees is said, one that does not keeps the find', () => {
  const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  let rest = crc32(random(30));
  let check = '';
  for (let i = 0; i < 6; i += 1) {
    check = digits.charAt(rest % 62) + check;
    rest = Math.floor(rest / 62);
  }
  assert.equal(findKeys(`ghp_${random(30)}${check}`)[0]?.confidence, 'checked');
  assert.equal(findKeys(`ghp_${random(36)}`)[0]?.confidence, 'format');
});

test('a value of much entropy behind the name of a secret is a heuristic find', () => {
  for (const text of [
    `api_key = "${random(32)}"`,
    `"client_secret": "${random(24)}"`,
    `PASSWORD=${random(20)}`,
    `Authorization: Bearer ${random(40)}`,
    `export MY_ACCESS_KEY=${random(20)}/${random(18)}+x`,
  ]) {
    const found = findKeys(text);
    assert.deepEqual(
      found.map(({ kind, confidence }) => [kind, confidence]),
      [['secret', 'heuristic']],
      text,
    );
  }
});

test('what only looks like a key is left alone', () => {
  for (const text of [
    'sk-learn-contrib-is-a-long-name-without-numbers-in-it',
    'const veryLongFunctionNameThatDoesNothing = getTokenFromEnvironment();',
    'token = process.env.SOME_VERY_LONG_VARIABLE_NAME',
    'api_key: aaaaaaaaaaaaaaaaaaaa1',
    'password = <PASSWORD_0123456789ab>',
    'sha512-' + random(86) + '==',
    'commit 0123456789abcdef0123456789abcdef01234567',
    '550e8400-e29b-41d4-a716-446655440000',
    '"-----BEGIN PRIVATE KEY-----" is how it begins',
    `-----BEGIN CERTIFICATE-----\n${random(64)}\n-----END CERTIFICATE-----`,
    'AKIAlowercaseletters',
    'the_hf_model_name_is_longer_than_this',
    'task_live_' + 'x'.repeat(5),
  ])
    assert.deepEqual(findKeys(text), [], text);
});

test('a private key that is cut is found to the end of its lines', () => {
  const text = `-----BEGIN PRIVATE KEY-----\n${random(64)}\n${random(50)}`;
  assert.deepEqual(
    findKeys(`x ${text}`).map(({ start, end }) => [start, end]),
    [[2, 2 + text.length]],
  );
});

test('finds are in order and do not overlap; several in one text are all found', () => {
  const keys = Object.values(EXAMPLES);
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.constantFrom(...keys), fc.string(), fc.constantFrom(' ', '\n', '", "')), {
        maxLength: 20,
      }),
      (pieces) => {
        const text = pieces.join(' ');
        const found = findKeys(text);
        let at = 0;
        for (const { start, end } of found) {
          assert.ok(start >= at && end > start && end <= text.length);
          at = end;
        }
        assert.ok(found.length >= pieces.filter((piece) => keys.includes(piece)).length);
      },
    ),
    { numRuns: 500 },
  );
});
