/** Names of this machine's users by uid, from /etc/passwd (passwd(5)); other sources of names are not asked. */
import { readFile } from 'node:fs/promises';
import { isPlainIdentityText } from '../identity/principal.ts';

export interface LocalUser {
  readonly login: string;
  readonly displayName: string | null;
}

export interface LocalUsers {
  /** A uid without an entry is called `uid:<n>`. Never rejects. */
  userOf(uid: number): Promise<LocalUser>;
}

export interface LocalUsersOptions {
  /** Text of the passwd file; default reads /etc/passwd. */
  readonly readPasswd?: () => Promise<string>;
  /** The user of this process, known without the file. */
  readonly self?: { readonly uid: number; readonly login: string };
}

/** Names remembered; uids beyond are looked up again. */
const REMEMBERED_MAX = 10_000;

export function createLocalUsers(options: LocalUsersOptions = {}): LocalUsers {
  const readPasswd = options.readPasswd ?? (() => readFile('/etc/passwd', 'utf8'));
  const known = new Map<number, LocalUser>();
  if (options.self !== undefined)
    known.set(options.self.uid, { login: options.self.login, displayName: null });
  return {
    async userOf(uid) {
      const user = known.get(uid);
      if (user !== undefined) return user;
      const found = findUser(await readPasswd().catch(() => ''), uid) ?? {
        login: `uid:${uid}`,
        displayName: null,
      };
      if (known.size < REMEMBERED_MAX) known.set(uid, found);
      return found;
    },
  };
}

function findUser(passwd: string, uid: number): LocalUser | null {
  for (const line of passwd.split('\n')) {
    const [login = '', , id, , comment = ''] = line.split(':');
    if (id !== String(uid) || !isPlainIdentityText(login, 255)) continue;
    /* GECOS: the full name, then office and telephone numbers. */
    const name = (comment.split(',')[0] ?? '').trim();
    return { login, displayName: isPlainIdentityText(name, 255) ? name : null };
  }
  return null;
}
