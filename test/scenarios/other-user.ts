/** Requests of another user of this machine, whom the `local` door tells from the one that runs the tests. */
import { execFile } from 'node:child_process';
import type { CallOptions, Postern, Reply } from './harness.ts';

/** A user without a name here; 65534 stands for users that a namespace cannot tell, so it is nobody. */
const OTHER_UID = 61_234;

/** Only root may act as somebody else. */
export const MAY_BE_OTHER = process.platform === 'linux' && process.getuid?.() === 0;
export const OTHER_PRINCIPAL = `local:${OTHER_UID}`;

/**
 * Reads one request as JSON from its arguments and writes what came back. It becomes the other user by
 * itself: who that is may have no right to start a program from this folder.
 */
const SCRIPT = `
process.setgroups([]);
process.setgid(${OTHER_UID});
process.setuid(${OTHER_UID});
const { url, method, headers, body } = JSON.parse(process.argv[1]);
require('node:http').request(url, { method, headers, agent: false }, (res) => {
  const chunks = [];
  res.on('data', (chunk) => chunks.push(chunk));
  res.on('end', () => process.stdout.write(JSON.stringify({
    status: res.statusCode, headers: res.headers, base64: Buffer.concat(chunks).toString('base64'),
  })));
}).end(body);
`;

/** The same Postern, asked by the other user. Only where `MAY_BE_OTHER`. */
export function asOtherUser(postern: Postern): Postern {
  return { ...postern, announced: postern.announced, call: (path, options) => call(postern, path, options) };
}

async function call({ url }: Postern, path: string, options: CallOptions = {}): Promise<Reply> {
  const body = options.body === undefined ? undefined : JSON.stringify(options.body);
  const request = {
    url: `${url}${path}`,
    method: options.method ?? (body === undefined ? 'GET' : 'POST'),
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...options.headers },
    body,
  };
  const printed = await new Promise<string>((resolve, reject) => {
    execFile(
      process.execPath,
      ['-e', SCRIPT, JSON.stringify(request)],
      { cwd: '/', env: {}, timeout: 20_000, maxBuffer: 8 * 1024 * 1024 },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(new Error(`the other user's request failed: ${stderr}`, { cause: error }));
      },
    );
  });
  const answer = JSON.parse(printed) as {
    status: number;
    headers: Reply['headers'];
    base64: string;
  };
  const bytes = Buffer.from(answer.base64, 'base64');
  const text = bytes.toString('utf8');
  return { ...answer, bytes, text, json: () => JSON.parse(text) as Record<string, unknown> };
}
