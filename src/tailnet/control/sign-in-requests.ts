/**
 * HTTP of the sign-in pages: `GET /a/<code>`, `POST /a/<code>/sign-in`, `GET /a/-/callback`, `POST /a/<code>/decide`. Reading
 * changes nothing but spends the provider's answer; what lets a device in is a form of this very origin, from the
 * browser that signed in. The listener's guard has looked at `Host` and `Origin` already.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { AppError, describeError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import {
  confirmPage,
  goneLoginPage,
  LOGIN_PAGE_HEADERS,
  loginPage,
  onwardPage,
  sentencePage,
  type SignInChoice,
} from './login-page.ts';
import type { SignIns } from './sign-in.ts';

export interface SignInPagesOptions {
  readonly signIns: SignIns;
  /** The origin that providers send people back to: the operator's public URL. */
  readonly origin: string;
  readonly logger: Logger;
}

const ADDRESS = /^\/a\/([0-9a-z]{1,40})(?:\/(sign-in|decide))?$/;
const CALLBACK_PATH = '/a/-/callback';
const BODY_MAX_BYTES = 4096;
const BODY_TIMEOUT_MS = 10_000;
const FORM = 'application/x-www-form-urlencoded';
const COOKIE_SECONDS = 600;

export class SignInPages {
  readonly #options: SignInPagesOptions;
  readonly #host: string;
  readonly #isSecure: boolean;

  constructor(options: SignInPagesOptions) {
    this.#options = options;
    const { host, protocol } = new URL(options.origin);
    this.#host = host;
    this.#isSecure = protocol === 'https:';
  }

  /** True: it was ours and is, or will be, answered. */
  handleRequest(request: IncomingMessage, response: ServerResponse): boolean {
    const url = request.url ?? '';
    const [path = ''] = url.split('?', 1);
    const [, code = '', step] = ADDRESS.exec(path) ?? [];
    if (code === '' && path !== CALLBACK_PATH) return false;
    const answer = this.#answer(request, {
      code,
      step: path === CALLBACK_PATH ? 'callback' : (step ?? 'show'),
    });
    answer.catch((error: unknown) => this.#fail(error)).then((page) => send(response, page), ignore);
    return true;
  }

  async #answer(
    request: IncomingMessage,
    { code, step }: { readonly code: string; readonly step: string },
  ): Promise<Page> {
    const isHere = request.headers.host?.toLowerCase() === this.#host;
    const wanted = step === 'show' || step === 'callback' ? 'GET' : 'POST';
    if (request.method !== wanted)
      return { status: 405, html: sentencePage('Not so', `this address takes ${wanted} only`) };
    if (step === 'show') return this.#show(code, isHere);
    if (!isHere)
      return {
        status: 421,
        html: sentencePage('Not here', 'sign-in has another address; begin again at the device'),
      };
    if (step === 'callback') return this.#callback(request);
    const form = await readForm(request);
    if (form === null)
      return { status: 400, html: sentencePage('Not so', 'this address takes a short form') };
    return step === 'sign-in' ? this.#begin(request, code, form) : this.#decide(request, code, form);
  }

  #show(code: string, isHere: boolean): Page {
    const { signIns, origin } = this.#options;
    const login = signIns.login(code);
    if (login === null) return GONE;
    const choice: SignInChoice = isHere
      ? { type: 'here', providers: signIns.providers }
      : { type: 'elsewhere', url: `${origin}/a/${code}` };
    return { status: 200, html: loginPage(login, choice) };
  }

  async #begin(request: IncomingMessage, loginId: string, form: URLSearchParams): Promise<Page> {
    const { signIns, origin } = this.#options;
    const provider = form.get('provider') ?? '';
    const begun = await signIns.begin({
      loginId,
      provider,
      address: request.socket.remoteAddress ?? '',
      redirectUri: `${origin}${CALLBACK_PATH}`,
    });
    if (begun.type === 'unknown') return GONE;
    if (begun.type === 'busy')
      return {
        status: 429,
        html: sentencePage('Too many', 'too many sign-ins wait at once; try again in ten minutes'),
      };
    const title = signIns.providers.find(({ id }) => id === provider)?.title ?? provider;
    return {
      status: 200,
      html: onwardPage(title, begun.url),
      cookie: this.#cookie(begun.cookie, COOKIE_SECONDS),
    };
  }

  async #callback(request: IncomingMessage): Promise<Page> {
    const { signIns, origin } = this.#options;
    const finished = await signIns.finish(new URL(request.url ?? '', origin), this.#cookieOf(request));
    if (finished.type === 'unknown') return GONE;
    if (finished.type === 'forbidden')
      return {
        status: 403,
        html: sentencePage(
          'No network for you here',
          'no network of this Postern lets you join by this sign-in; ask its admin',
        ),
      };
    const { person, ...rest } = finished;
    return { status: 200, html: confirmPage({ ...rest, person: person.email ?? person.name }) };
  }

  async #decide(request: IncomingMessage, loginId: string, form: URLSearchParams): Promise<Page> {
    const decided = await this.#options.signIns.decide({
      loginId,
      token: form.get('token') ?? '',
      cookie: this.#cookieOf(request),
      tailnet: form.get('tailnet') ?? '',
      isTheirs: form.get('answer') === 'mine',
    });
    const cookie = this.#cookie('', 0);
    if (decided.type === 'unknown') return GONE;
    if (decided.type === 'refused')
      return { status: 403, html: sentencePage('The device was not let in', decided.why), cookie };
    if (decided.type === 'turned_away') {
      const sentence = 'the device was turned away; whoever sent you the link gets nothing';
      return { status: 200, html: sentencePage('Turned away', sentence), cookie };
    }
    const when = decided.waits ? ' as soon as an admin approves it' : '';
    const sentence = `it is in the network ${decided.tailnet}${when}; you may close this page`;
    return { status: 200, html: sentencePage('The device is in', sentence), cookie };
  }

  /** Of this host alone, unreadable by pages; Lax, for the provider leads the browser back. */
  #cookie(value: string, seconds: number): string {
    return `${this.#cookieName()}=${value}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${seconds}${this.#isSecure ? '; Secure' : ''}`;
  }

  /** Browsers take the prefix over TLS only. */
  #cookieName(): string {
    return this.#isSecure ? '__Host-postern-sign-in' : 'postern-sign-in';
  }

  #cookieOf({ headers }: IncomingMessage): string {
    const start = `${this.#cookieName()}=`;
    const found = headers.cookie?.split(/; */).find((part) => part.startsWith(start));
    return found?.slice(start.length, start.length + 200) ?? '';
  }

  #fail(error: unknown): Page {
    const { logger } = this.#options;
    const isExpected = error instanceof AppError;
    logger[isExpected ? 'warn' : 'error']('a sign-in did not come to its end', {
      error: describeError(error),
    });
    return {
      status: isExpected ? 403 : 500,
      html: sentencePage(
        'That did not work',
        isExpected ? error.message : 'something failed here; the log says what',
      ),
    };
  }
}

interface Page {
  readonly status: number;
  readonly html: string;
  readonly cookie?: string;
}

const GONE: Page = { status: 404, html: goneLoginPage() };

function ignore(): void {}

function send(response: ServerResponse, { status, html, cookie }: Page): void {
  response.writeHead(status, {
    ...LOGIN_PAGE_HEADERS,
    ...(cookie === undefined ? {} : { 'set-cookie': cookie }),
  });
  response.end(html);
}

/** Null if it is none, too long, or did not come in time. */
async function readForm(request: IncomingMessage): Promise<URLSearchParams | null> {
  if (request.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase() !== FORM) return null;
  const timer = setTimeout(() => request.destroy(), BODY_TIMEOUT_MS);
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request) {
      bytes += chunk.length;
      if (bytes > BODY_MAX_BYTES) return null;
      chunks.push(chunk);
    }
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
  return new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
}
