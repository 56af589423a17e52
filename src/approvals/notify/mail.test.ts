/** Against `smtp-server`, which is not ours, over real sockets. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { Secret } from '../../base/secret.ts';
import { createSelfSignedCertificate } from '../../crypto/index.ts';
import { createDialer } from '../../net/index.ts';
import { createMailer, type MailSettings } from './mail.ts';
import type { Notice } from './notice.ts';

const NOTICE: Notice = {
  event: 'approval.requested',
  title: 'alice asks\r\nBcc: eve@example.com\r\n for the tool Bäsh',
  lines: ['Who: alice', 'What: ls\n.\nQUIT'],
  link: { url: 'http://localhost:8080/approvals/apr_1', text: 'Look at it' },
  data: {},
};
const certificate = createSelfSignedCertificate({
  commonName: 'localhost',
  names: ['localhost'],
  addresses: [],
  notBefore: Date.now() - 60_000,
  notAfter: Date.now() + 3_600_000,
});

interface Taken {
  readonly user: string | null;
  readonly to: readonly string[];
  readonly secure: boolean;
  readonly text: string;
}

/** Sends the notice to a server with these options. */
async function sendTo(
  server: SMTPServerOptions,
  settings: Partial<MailSettings>,
  trust: 'the certificate' | 'public ones' = 'the certificate',
): Promise<readonly Taken[]> {
  const taken: Taken[] = [];
  const smtp = new SMTPServer({
    key: certificate.key,
    cert: certificate.cert,
    logger: false,
    onAuth({ username, password }, _session, callback) {
      if (password === 'right') callback(null, { user: username });
      else callback(new Error('no'));
    },
    onData(stream, session, callback) {
      let text = '';
      stream.setEncoding('utf8');
      stream.on('data', (chunk: string) => (text += chunk));
      stream.on('end', () => {
        taken.push({
          user: typeof session.user === 'string' ? session.user : null,
          to: session.envelope.rcptTo.map(({ address }) => address),
          secure: session.secure,
          text,
        });
        callback();
      });
    },
    ...server,
  });
  smtp.on('error', () => undefined);
  await new Promise<void>((resolve) => smtp.listen(0, '127.0.0.1', resolve));
  const address = smtp.server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const dialer = createDialer({
    allow: [],
    exact: [{ address: '127.0.0.1', port }],
    ownAddresses: () => [],
    lookup: async () => [{ address: '127.0.0.1' }],
  });
  const mailer = createMailer({
    settings: {
      host: 'localhost',
      port,
      tls: 'implicit',
      from: 'Postern <postern@example.com>',
      user: null,
      password: null,
      ...settings,
    },
    dial: (target) => dialer.dial(target),
    ca: trust === 'the certificate' ? [certificate.cert] : null,
  });
  try {
    await mailer.send(['bob@example.com', 'carol@example.com'], NOTICE, 'ntf_1');
    return taken;
  } catch (error) {
    // What the server took all the same is what the test must know.
    assert.deepEqual(taken, []);
    throw error;
  } finally {
    await new Promise<void>((resolve) => smtp.close(resolve));
  }
}

const OPEN = { authOptional: true } as const;

describe('mail (RFC 5321, RFC 3207, RFC 8314)', () => {
  test('goes to every address with its text and link; a stranger’s text makes no header, line or command', async () => {
    const taken = await sendTo({ ...OPEN, secure: true }, {});
    const [mail] = taken;
    assert.ok(mail !== undefined);
    assert.deepEqual(mail.to, ['bob@example.com', 'carol@example.com']);
    assert.equal(mail.secure, true);
    const [head = '', body = ''] = mail.text.split('\r\n\r\n');
    assert.doesNotMatch(head, /^Bcc:/im);
    assert.match(head, /^Auto-Submitted: auto-generated$/im);
    assert.match(body, /What: ls \. QUIT/);
    assert.match(mail.text, /Look at it: http:\/\/localhost:8080\/approvals\/apr_1/);
  });

  test('is encrypted by STARTTLS before anything is said, and logs in', async () => {
    const settings = { tls: 'starttls', user: 'postern', password: new Secret('right') } as const;
    const taken = await sendTo({ secure: false }, settings);
    assert.deepEqual([taken[0]?.secure, taken[0]?.user], [true, 'postern']);
  });

  test('is not sent where STARTTLS is missing, and no password either', async () => {
    const settings = { tls: 'starttls', user: 'postern', password: new Secret('right') } as const;
    let commands: readonly string[] = [];
    await assert.rejects(
      sendTo(
        {
          secure: false,
          hideSTARTTLS: true,
          disabledCommands: ['STARTTLS'],
          allowInsecureAuth: true,
          onAuth: (_auth, _session, callback) => {
            commands = ['AUTH'];
            callback(null, { user: 'x' });
          },
        },
        settings,
      ),
      { code: 'mail_failed' },
    );
    assert.deepEqual(commands, []);
  });

  test('is not sent to a server whose certificate nobody vouches for', async () => {
    for (const tls of ['implicit', 'starttls'] as const) {
      await assert.rejects(sendTo({ ...OPEN, secure: tls === 'implicit' }, { tls }, 'public ones'), {
        code: 'mail_failed',
      });
    }
  });

  test('is not sent with a wrong password, and the failure tells neither password nor address', async () => {
    const settings = { user: 'postern', password: new Secret('wrong-secret') };
    await assert.rejects(sendTo({ secure: true }, settings), (error: Error) => {
      assert.match(error.message, /mail server did not take the message: EAUTH 535/);
      assert.ok(!error.message.includes('wrong-secret') && !error.message.includes('bob@'));
      return true;
    });
  });

  test('is not sent to an address that the operator did not allow, and says why', async () => {
    const dialer = createDialer({ allow: [], exact: [], ownAddresses: () => [] });
    const mailer = createMailer({
      settings: {
        host: '127.0.0.1',
        port: 25,
        tls: 'none',
        from: 'a@example.com',
        user: null,
        password: null,
      },
      dial: (target) => dialer.dial(target),
      ca: null,
    });
    await assert.rejects(mailer.send(['a@example.com'], NOTICE, 'ntf_1'), { code: 'mail_failed' });
  });
});
