import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { EventStreamCodec } from '@smithy/eventstream-codec';
import {
  createEventStreamDecoder,
  encodeEventStreamMessage,
  eventStreamText,
} from '../../../src/wire/aws-event-stream.ts';
import { Secret } from '../../../src/base/secret.ts';
import { startFakeCloud } from './server.ts';
import type { FakeCloud } from './server.ts';
import { createMovableClock, createPlainFetch, createTestProviders, inputOf, send, until } from './send.ts';
import type { Call, TestProviders } from './send.ts';

let cloud: FakeCloud;
const clock = createMovableClock(Date.now());

before(async () => {
  cloud = await startFakeCloud({ now: () => clock.now() });
});
after(() => cloud.close());

const MESSAGE = {
  anthropic_version: 'bedrock-2023-05-31',
  max_tokens: 10,
  messages: [{ role: 'user', content: 'hi' }],
};

/** A call with signing keys; the fake's host names no region, so the credential does. */
function call(target: string, body: unknown = MESSAGE, keys: object = cloud.awsKeys): Call {
  const key = JSON.stringify({ ...keys, region: 'us-east-1' });
  return { kind: 'bedrock', baseUrl: cloud.origin, key: ['authorization', key], target, body };
}

function providers(
  operator: TestProviders['operator'] = {},
  fetchSmall = createPlainFetch(),
): ReturnType<typeof createTestProviders> {
  return createTestProviders({ clock, fetchSmall, operator });
}

test('Bedrock: SigV4 signatures hold before AWS code, for every way to write a model id', async () => {
  const arn =
    'arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0';
  const ids = ['anthropic.claude-3-5-sonnet-20241022-v2:0', 'us.amazon.nova-lite-v1:0', 'plain', arn];
  for (const id of ids) {
    for (const written of [id, encodeURIComponent(id)]) {
      for (const prefix of ['/bedrock', '']) {
        const reply = await send(providers(), call(`${prefix}/model/${written}/invoke`));
        assert.equal(reply.status, 200, reply.body.toString());
        assert.match(reply.body.toString(), new RegExp(`bedrock:${id.replaceAll('.', '\\.')}"`));
      }
    }
  }
  assert.equal(cloud.requests.at(-1)?.path, `/model/${encodeURIComponent(arn)}/invoke`);
});

test('Bedrock: the routed model replaces the one in the path, the body keeps its bytes', async () => {
  const body = '{ "anthropic_version":"bedrock-2023-05-31",\n "messages":[], "unknown": 1.50 }';
  const reply = await send(providers(), {
    ...call('/model/alias/converse'),
    model: 'us.amazon.nova-pro-v1:0',
    body,
  });
  assert.equal(reply.status, 200, reply.body.toString());
  assert.match(reply.body.toString(), /bedrock:us\.amazon\.nova-pro-v1:0/);
  assert.equal(cloud.requests.at(-1)?.body.toString(), body);
});

test('Bedrock: session tokens, the names of `aws sts`, and repeated or spaced x-amz headers are signed', async () => {
  const session = {
    accessKeyId: 'ASIASESSION01',
    secretAccessKey: 'session/secret',
    sessionToken: 'token//with+signs==',
  };
  cloud.aws.keys.set(session.accessKeyId, session);
  const names = {
    Credentials: {
      AccessKeyId: session.accessKeyId,
      SecretAccessKey: session.secretAccessKey,
      SessionToken: session.sessionToken,
      region: 'us-east-1',
    },
  };
  for (const keys of [session, names]) {
    const headers = ['content-type', 'application/json', 'X-Amz-Meta-Note', '  two   words '];
    const reply = await send(providers(), { ...call('/model/m/converse', { messages: [] }, keys), headers });
    assert.equal(reply.status, 200, reply.body.toString());
  }
});

test('Bedrock: query strings are signed in canonical order', async () => {
  const reply = await send(providers(), call('/model/m/invoke?b=2&a=1&c=%2Fx&d'));
  assert.equal(reply.status, 200, reply.body.toString());
});

test('Bedrock: a body beyond 1 MiB is hashed off the loop and signed all the same', async () => {
  const big = { ...MESSAGE, messages: [{ role: 'user', content: 'x'.repeat(1_200_000) }] };
  const prepared = providers().prepareUpstream(inputOf(call('/model/m/invoke', big)));
  assert.ok(prepared instanceof Promise);
  assert.equal((await send(providers(), call('/model/m/invoke', big))).status, 200);
  assert.ok(!(providers().prepareUpstream(inputOf(call('/model/m/invoke'))) instanceof Promise));
});

test('Bedrock: what the caller sent as a signature or credential does not reach AWS', async () => {
  const headers = [
    'authorization',
    'AWS4-HMAC-SHA256 Credential=AKIACALLER',
    'X-Amz-Date',
    '20200101T000000Z',
    'x-amz-security-token',
    't',
    'x-api-key',
    'k',
    'content-type',
    'application/json',
  ];
  const reply = await send(providers(), { ...call('/model/m/invoke'), headers });
  assert.equal(reply.status, 200, reply.body.toString());
});

test('Bedrock: an API key goes as a bearer token', async () => {
  const reply = await send(providers(), {
    ...call('/model/m/converse', { messages: [] }),
    key: ['bearer', cloud.aws.bedrockApiKey],
  });
  assert.equal(reply.status, 200, reply.body.toString());
  assert.equal(
    (await send(providers(), { ...call('/model/m/converse'), key: ['bearer', 'wrong'] })).status,
    403,
  );
});

test('Bedrock: streamed frames of AWS code are read, and ours by AWS code', async () => {
  for (const target of ['/model/m/invoke-with-response-stream', '/model/m/converse-stream']) {
    const reply = await send(providers(), call(target));
    assert.equal(reply.contentType, 'application/vnd.amazon.eventstream');
    const decoder = createEventStreamDecoder();
    const frames = decoder.push(reply.body);
    decoder.finish();
    assert.ok(
      frames.length >= 5 && frames.every((frame) => eventStreamText(frame, ':message-type') === 'event'),
    );
    const codec = new EventStreamCodec(
      (bytes) => Buffer.from(bytes).toString('utf8'),
      (text) => Buffer.from(text),
    );
    for (const frame of frames) assert.ok(codec.decode(encodeEventStreamMessage(frame)).body.length > 0);
  }
});

test('Bedrock: the compatible routes lie under /openai/v1 and /anthropic/v1', async () => {
  const chat = await send(providers(), {
    ...call('/v1/chat/completions', { model: 'm', messages: [] }),
    baseUrl: `${cloud.origin}/openai/v1`,
  });
  assert.equal(chat.status, 200, chat.body.toString());
  assert.equal(cloud.requests.at(-1)?.path, '/openai/v1/chat/completions');
  const messages = await send(providers(), call('/v1/messages', { model: 'm', messages: [] }));
  assert.equal(messages.status, 200, messages.body.toString());
  assert.equal(cloud.requests.at(-1)?.path, '/anthropic/v1/messages');
});

test('Bedrock: the region comes from the host, else from the credential, else the call is refused', () => {
  const keys = JSON.stringify(cloud.awsKeys);
  const scopeAt = (host: string): string => {
    const prepared = providers().prepareUpstream(
      inputOf({ ...call('/model/m/invoke'), baseUrl: `https://${host}`, key: ['bearer', keys] }),
    );
    assert.ok(!(prepared instanceof Promise));
    return /Credential=\w+\/\d+\/([\w-]+\/[\w-]+)\//.exec(prepared.headers.join(' '))?.[1] ?? '';
  };
  assert.equal(scopeAt('bedrock-runtime.eu-central-1.amazonaws.com'), 'eu-central-1/bedrock');
  assert.equal(scopeAt('bedrock-runtime-fips.us-gov-west-1.amazonaws.com'), 'us-gov-west-1/bedrock');
  assert.equal(scopeAt('bedrock-runtime.cn-north-1.amazonaws.com.cn'), 'cn-north-1/bedrock');
  assert.equal(scopeAt('vpce-0a1b.bedrock-runtime.us-east-1.vpce.amazonaws.com'), 'us-east-1/bedrock');
  assert.equal(scopeAt('bedrock-mantle.us-east-2.api.aws'), 'us-east-2/bedrock-mantle');
  assert.throws(() => scopeAt('proxy.example.com'), { code: 'upstream_place_unknown' });
});

test('Bedrock: a malformed credential is refused without being quoted', () => {
  for (const text of [
    '{',
    '{}',
    '{"accessKeyId":"AKIAFAKELONGTERM"}',
    '{"accessKeyId":"a b","secretAccessKey":"topsecret\\n"}',
    `{"accessKeyId":"AKIAFAKELONGTERM","secretAccessKey":"x\\u0000topsecret"}`,
  ]) {
    const prepare = (): unknown =>
      providers().prepareUpstream(inputOf({ ...call('/model/m/invoke'), key: ['bearer', text] }));
    assert.throws(
      prepare,
      (error: Error & { code?: string }) =>
        error.code === 'upstream_credential_invalid' && !error.message.includes('topsecret'),
    );
  }
});

// The operator's own credentials.

const ENV_KEYS = (): Record<string, string> => ({
  AWS_ACCESS_KEY_ID: cloud.awsKeys.accessKeyId,
  AWS_SECRET_ACCESS_KEY: cloud.awsKeys.secretAccessKey,
  AWS_REGION: 'us-east-1',
});

/** A call without a credential of its own, to a host that the operator trusts. */
function ownCall(): Call {
  return { kind: 'bedrock', baseUrl: cloud.origin, target: '/model/m/invoke', body: MESSAGE };
}

const trusted = (): ReadonlySet<string> => new Set([cloud.origin]);

test('AWS chain: the environment is used, cached and never sent to a host that is not AWS', async () => {
  const own = providers({ env: ENV_KEYS(), trustedOrigins: trusted() });
  assert.equal((await send(own, ownCall())).status, 200);
  assert.ok(!(own.prepareUpstream(inputOf(ownCall())) instanceof Promise), 'the second call is synchronous');
  const strangers = [
    'https://evil.example',
    'https://bedrock-runtime.us-east-1.amazonaws.com.evil.example',
    'http://bedrock-runtime.us-east-1.amazonaws.com',
    'https://x.execute-api.us-east-1.amazonaws.com',
    'https://bedrock-runtime.us-east-1.amazonaws.com:8443',
  ];
  for (const baseUrl of strangers) {
    assert.throws(() => own.prepareUpstream(inputOf({ ...ownCall(), baseUrl })), {
      code: 'upstream_credential_missing',
    });
  }
  const real = { ...ownCall(), baseUrl: 'https://bedrock-runtime.us-east-1.amazonaws.com' };
  assert.ok(!(own.prepareUpstream(inputOf(real)) instanceof Promise));
  const byEndpoint = providers({
    env: { ...ENV_KEYS(), AWS_ENDPOINT_URL_BEDROCK_RUNTIME: `${cloud.origin}/` },
  });
  assert.equal((await send(byEndpoint, ownCall())).status, 200);
});

test('AWS chain: AWS_BEARER_TOKEN_BEDROCK comes first', async () => {
  const own = providers({
    env: { ...ENV_KEYS(), AWS_BEARER_TOKEN_BEDROCK: cloud.aws.bedrockApiKey },
    trustedOrigins: trusted(),
  });
  assert.equal((await send(own, ownCall())).status, 200);
});

const FILES = (): Record<string, string> => ({
  '/home/operator/.aws/credentials': `[default]\naws_access_key_id = ${cloud.awsKeys.accessKeyId}\naws_secret_access_key=${cloud.awsKeys.secretAccessKey}  # kept\n\n[base]\naws_access_key_id=${cloud.awsKeys.accessKeyId}\naws_secret_access_key=${cloud.awsKeys.secretAccessKey}\n`,
  '/home/operator/.aws/config': `[default]\nregion = us-east-1\ns3 =\n  max = 1\n[profile team]\nregion=us-east-1\nrole_arn = arn:aws:iam::123456789012:role/gateway\nsource_profile = base\nexternal_id = x\n[profile circle]\nrole_arn = arn:aws:iam::123456789012:role/gateway\nsource_profile = circle\n[profile proc]\ncredential_process = /bin/keys\n[profile web]\nregion=us-east-1\nrole_arn = arn:aws:iam::123456789012:role/gateway\nweb_identity_token_file = /token\n[profile sso]\nregion = us-east-1\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = dev\n[sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://corp.awsapps.com/start\n`,
  '/token': `${cloud.aws.webIdentityToken}\n`,
});

function withFiles(
  env: Record<string, string>,
  fetchSmall = createPlainFetch(cloud.origin),
): ReturnType<typeof createTestProviders> {
  const files = FILES();
  return providers(
    {
      env,
      trustedOrigins: trusted(),
      readFile: (path) => {
        const text = files[path];
        return text === undefined ? Promise.reject(new Error('ENOENT')) : Promise.resolve(text);
      },
    },
    fetchSmall,
  );
}

test('AWS chain: the shared files give keys and region; a profile wins over keys in the environment', async () => {
  assert.equal((await send(withFiles({}), ownCall())).status, 200);
  const wrong = { AWS_ACCESS_KEY_ID: 'AKIAUNKNOWN000', AWS_SECRET_ACCESS_KEY: 'x', AWS_PROFILE: 'default' };
  assert.equal((await send(withFiles(wrong), ownCall())).status, 200);
});

test('AWS chain: a role is assumed with a signed STS call, by profile and by web identity', async () => {
  const fetchSmall = createPlainFetch(cloud.origin);
  assert.equal((await send(withFiles({ AWS_PROFILE: 'team' }, fetchSmall), ownCall())).status, 200);
  assert.deepEqual(fetchSmall.urls, ['https://sts.us-east-1.amazonaws.com/']);
  assert.equal((await send(withFiles({ AWS_PROFILE: 'web' }), ownCall())).status, 200);
  const irsa = {
    AWS_CONFIG_FILE: '/none',
    AWS_SHARED_CREDENTIALS_FILE: '/none',
    AWS_REGION: 'us-east-1',
    AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/pod',
    AWS_WEB_IDENTITY_TOKEN_FILE: '/token',
  };
  assert.equal((await send(withFiles(irsa), ownCall())).status, 200);
});

test('AWS chain: temporary keys are got once for all who wait, and renewed before they end', async () => {
  const fetchSmall = createPlainFetch(cloud.origin);
  const own = withFiles({ AWS_PROFILE: 'team' }, fetchSmall);
  const replies = await Promise.all(Array.from({ length: 20 }, () => send(own, ownCall())));
  assert.ok(replies.every(({ status }) => status === 200));
  assert.equal(fetchSmall.urls.length, 1);
  clock.move(56 * 60_000);
  assert.ok(!(own.prepareUpstream(inputOf(ownCall())) instanceof Promise), 'the old keys still serve');
  await until(() => fetchSmall.urls.length === 2);
  await until(() => cloud.requests.at(-1)?.path === '/');
  assert.equal((await send(own, ownCall())).status, 200);
  clock.move(30_000);
  own.noteRejected({ provider: inputOf(ownCall()).provider, credential: null });
  assert.equal((await send(own, ownCall())).status, 200);
  assert.equal(fetchSmall.urls.length, 3);
});

test('AWS chain: no process is started, circles end, missing profiles and logins are named', async () => {
  const cases: [Record<string, string>, RegExp][] = [
    [{ AWS_PROFILE: 'proc' }, /credential_process, which is never run/],
    [{ AWS_PROFILE: 'circle' }, /source_profile circle, which has no credentials/],
    [{ AWS_PROFILE: 'absent' }, /profile absent has no credentials/],
    [{ AWS_PROFILE: 'sso' }, /aws sso login/],
    [{ AWS_CONFIG_FILE: '/none', AWS_SHARED_CREDENTIALS_FILE: '/none' }, /--ambient-credentials aws/],
  ];
  for (const [env, message] of cases) {
    await assert.rejects(send(withFiles(env), ownCall()), { code: 'upstream_credential_missing', message });
  }
});

test('AWS chain: a live SSO login is used', async () => {
  const files = FILES();
  const answered: string[] = [];
  const own = createTestProviders({
    clock,
    fetchSmall: (url, { headers }) => {
      answered.push(url);
      assert.equal(headers['x-amz-sso_bearer_token'], 'sso-token');
      const roleCredentials = { ...cloud.awsKeys, sessionToken: '', expiration: clock.now() + 3_600_000 };
      return Promise.resolve({ status: 200, body: Buffer.from(JSON.stringify({ roleCredentials })) });
    },
    operator: {
      env: { AWS_PROFILE: 'sso' },
      trustedOrigins: trusted(),
      // The name is the SHA-1 of `corp`.
      readFile: (path) =>
        path === '/home/operator/.aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json'
          ? Promise.resolve(
              JSON.stringify({
                accessToken: 'sso-token',
                expiresAt: new Date(clock.now() + 1_000).toISOString(),
              }),
            )
          : Promise.resolve(files[path] ?? ''),
    },
  });
  assert.equal((await send(own, ownCall())).status, 200);
  assert.match(
    answered[0] ?? '',
    /^https:\/\/portal\.sso\.eu-west-1\.amazonaws\.com\/federation\/credentials\?account_id=123456789012&role_name=dev$/,
  );
});

test('AWS chain: metadata only if the operator enabled it; instances by version 2, containers by token', async () => {
  const bare = { AWS_REGION: 'us-east-1' };
  const instance = createPlainFetch(cloud.origin);
  assert.equal(
    (await send(providers({ env: bare, trustedOrigins: trusted(), fetchAwsMetadata: instance }), ownCall()))
      .status,
    200,
  );
  assert.deepEqual(
    instance.urls.map((url) => new URL(url).host),
    ['169.254.169.254', '169.254.169.254', '169.254.169.254'],
  );

  const container = createPlainFetch(cloud.origin);
  const task = {
    ...bare,
    AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '/v2/credentials/task',
    AWS_CONTAINER_AUTHORIZATION_TOKEN: 'container-token',
  };
  assert.equal(
    (await send(providers({ env: task, trustedOrigins: trusted(), fetchAwsMetadata: container }), ownCall()))
      .status,
    200,
  );
  assert.deepEqual(container.urls, ['http://169.254.170.2/v2/credentials/task']);

  const elsewhere = { ...bare, AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://intranet.example/keys' };
  await assert.rejects(
    send(providers({ env: elsewhere, trustedOrigins: trusted(), fetchAwsMetadata: container }), ownCall()),
    { code: 'upstream_credential_missing' },
  );
  const disabled = { ...bare, AWS_EC2_METADATA_DISABLED: 'TRUE' };
  await assert.rejects(
    send(providers({ env: disabled, trustedOrigins: trusted(), fetchAwsMetadata: container }), ownCall()),
    /AWS_EC2_METADATA_DISABLED/,
  );
});

test('AWS chain: a refusal is told from silence, and not asked again at once', async () => {
  let asked = 0;
  const answering = (status: number): ReturnType<typeof createTestProviders> => {
    const own = withFiles(
      { AWS_PROFILE: 'team' },
      Object.assign(
        () => {
          asked += 1;
          return status === 0
            ? Promise.reject(new Error('down'))
            : Promise.resolve({ status, body: Buffer.from('<Error><Code>AccessDenied</Code></Error>') });
        },
        { urls: [] },
      ),
    );
    return own;
  };
  await assert.rejects(send(answering(403), ownCall()), {
    code: 'upstream_credential_rejected',
    detail: 'AccessDenied',
  });
  await assert.rejects(send(answering(503), ownCall()), { code: 'upstream_credential_unavailable' });
  const down = answering(0);
  asked = 0;
  await assert.rejects(send(down, ownCall()), { code: 'upstream_credential_unavailable' });
  await assert.rejects(send(down, ownCall()), { code: 'upstream_credential_unavailable' });
  assert.equal(asked, 1);
  clock.move(2_001);
  await assert.rejects(send(down, ownCall()), { code: 'upstream_credential_unavailable' });
  assert.equal(asked, 2);
});

test('Bedrock: one Secret is parsed once and its keys are not printed', () => {
  const secret = new Secret(JSON.stringify({ ...cloud.awsKeys, region: 'us-east-1' }));
  const prepared = providers().prepareUpstream(
    inputOf({ ...call('/model/m/invoke'), key: ['bearer', secret] }),
  );
  assert.ok(!(prepared instanceof Promise));
  assert.ok(!JSON.stringify(prepared).includes(cloud.awsKeys.secretAccessKey));
});
