/** The program: `HOOK_SECRET=whs_… CERBOS_URL=http://127.0.0.1:3592 node main.ts`, on port 8283 unless `PORT` says otherwise. */
import { createReceiver } from '../receiver.ts';
import { askCerbos } from './decide.ts';

const {
  HOOK_SECRET: secret = '',
  CERBOS_URL: url = 'http://127.0.0.1:3592',
  PORT: port = '8283',
} = process.env;
if (secret === '') {
  process.stderr.write('set HOOK_SECRET to the signing secret that Postern shows for the hook\n');
  process.exitCode = 2;
} else {
  createReceiver({ secret, decide: askCerbos(url) }).listen(Number(port), '127.0.0.1');
}
