/** Programs of other OS users; needs root. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';

/** A program that becomes `uid` before it opens any socket; gives its lines of output. */
export function runAs(
  t: TestContext,
  uid: number,
  program: string,
): { readonly child: ChildProcess; line(): Promise<string> } {
  const become = `process.setgroups([]); process.setgid(${uid}); process.setuid(${uid});`;
  const child = spawn(process.execPath, ['-e', `${become}\n${program}`], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    async line() {
      const next = await lines.next();
      assert.ok(next.done !== true, 'the program ended early');
      return next.value;
    },
  };
}

/** Defines `get(port, host)`, which resolves with the body of an answer, for such a program. */
export const GET = `const http = require('node:http');
function get(port, host) {
  return new Promise((resolve, reject) => http.get({ host, port, agent: false }, (res) => {
    let body = '';
    res.on('data', (chunk) => (body += chunk)).on('end', () => resolve(body));
  }).on('error', reject));
}`;
