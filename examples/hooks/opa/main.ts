/** The program: `HOOK_SECRET=whs_… OPA_URL=http://127.0.0.1:8181 node main.ts`, on port 8282 unless `PORT` says otherwise. */
import { createReceiver } from '../receiver.ts';
import { askOpa } from './decide.ts';

const { HOOK_SECRET: secret = '', OPA_URL: url = 'http://127.0.0.1:8181', PORT: port = '8282' } = process.env;
if (secret === '') {
  process.stderr.write('set HOOK_SECRET to the signing secret that Postern shows for the hook\n');
  process.exitCode = 2;
} else {
  createReceiver({ secret, decide: askOpa(url) }).listen(Number(port), '127.0.0.1');
}
