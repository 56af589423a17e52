import fc from 'fast-check';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSharedConfig } from './aws-profile.ts';

test('profiles of both files are joined, the credentials file wins, nested settings are left out', () => {
  const config =
    '# c\n[default]\nregion = eu-west-1\nS3 =\n  region = nested\n[profile "two words"]\nrole_arn=arn ; why\n[sso-session corp]\nsso_region=x\n[services s]\nregion=no\n[bare]\nregion=no\n';
  const credentials =
    '[default]\r\naws_access_key_id = A\r\nregion=us-east-1\r\n[two words]\naws_secret_access_key = a=b==\n';
  const { profiles, ssoSessions } = parseSharedConfig(config, credentials);
  assert.deepEqual([...profiles.keys()], ['default', 'two words']);
  assert.deepEqual(Object.fromEntries(profiles.get('default') ?? []), {
    region: 'us-east-1',
    s3: '',
    aws_access_key_id: 'A',
  });
  assert.deepEqual(Object.fromEntries(profiles.get('two words') ?? []), {
    role_arn: 'arn',
    aws_secret_access_key: 'a=b==',
  });
  assert.equal(ssoSessions.get('corp')?.get('sso_region'), 'x');
});

test('any text is survived', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('[', ']', '=', '\n', ' ', 'a', '#', 'profile ') }),
      (text) => {
        parseSharedConfig(text, text);
      },
    ),
  );
});
