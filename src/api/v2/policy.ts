/** The policy file in the API v2: HuJSON as it was written, with an entity tag (RFC 9110 section 8.8.3). */
import { z } from '@hono/zod-openapi';
import { sha256 } from '../../crypto/index.ts';
import { DEFAULT_NETWORK_POLICY } from '../../policy/network/index.ts';
import type { Tailnet } from '../../tailnet/control/index.ts';
import { HujsonError, parseHujson } from '../../wire/hujson.ts';
import { badRequest, V2Failure } from './failure.ts';
import type { V2Answer, V2Parts, V2Request, V2Route } from './routes.ts';

/** `If-Match: "ts-default"`: only while nobody has written a policy. */
const UNTOUCHED = '"ts-default"';

export const POLICY_ROUTES: readonly V2Route[] = [
  {
    method: 'GET',
    path: '/tailnet/{tailnet}/acl',
    scope: 'policy_file:read',
    handle(request) {
      const text = textOf(request.tailnet);
      if (request.query.get('details') !== '1') return written(request, text);
      const acl = Buffer.from(text).toString('base64');
      return { body: { acl, warnings: [], errors: [] }, headers: { etag: tagOf(text) } };
    },
  },
  {
    method: 'POST',
    path: '/tailnet/{tailnet}/acl',
    scope: 'policy_file',
    async handle(request, parts) {
      const { tailnet, change } = request;
      const policy = policyIn(request.body);
      const stated = request.headers['if-match'];
      if (typeof stated === 'string' && !isCurrent(stated, tailnet))
        throw new V2Failure(412, 'precondition failed, invalid old hash');
      refuseFaults(request, parts, policy);
      const action = {
        action: 'tailnet.change',
        target: tailnet.record.name,
        facts: { policy: tagOf(policy) },
      };
      await change(action, () => parts.admin.changeTailnet(tailnet, { policy }));
      return written(request, policy);
    },
  },
  {
    method: 'POST',
    path: '/tailnet/{tailnet}/acl/validate',
    scope: 'policy_file:read',
    handle(request, parts) {
      const text = policyIn(request.body);
      try {
        refuseFaults(request, parts, text.trimStart().startsWith('[') ? withTests(request, text) : text);
      } catch (error) {
        /* What is wrong with a policy is the answer, not a failure of the question. */
        if (error instanceof V2Failure) return { body: { message: error.message, data: error.data ?? [] } };
        throw error;
      }
      return {};
    },
  },
];

function textOf({ record }: Tailnet): string {
  return record.policy ?? DEFAULT_NETWORK_POLICY;
}

function tagOf(text: string): string {
  return `"${Buffer.from(sha256(Buffer.from(text))).toString('hex')}"`;
}

function isCurrent(stated: string, tailnet: Tailnet): boolean {
  if (stated === UNTOUCHED) return tailnet.record.policy === null;
  return stated === '*' || stated === tagOf(textOf(tailnet));
}

function written({ headers }: V2Request, text: string): V2Answer {
  const etag = tagOf(text);
  if (headers['accept']?.includes('application/hujson') === true)
    return { text: { type: 'application/hujson', value: text }, headers: { etag } };
  return { body: parseHujson(text).value, headers: { etag } };
}

function policyIn(body: Buffer): string {
  const text = body.toString('utf8');
  try {
    parseHujson(text);
  } catch (error) {
    if (error instanceof HujsonError) throw badRequest(error.message);
    throw error;
  }
  return text;
}

/** The policy in force, with these tests in the place of its own. */
function withTests({ tailnet }: V2Request, text: string): string {
  const policy = z.record(z.string(), z.unknown()).parse(parseHujson(textOf(tailnet)).value);
  return JSON.stringify({ ...policy, tests: parseHujson(text).value, sshTests: [] });
}

/** Throws 400 with every fault, or with what the policy's own tests found. */
function refuseFaults({ tailnet }: V2Request, { deps }: V2Parts, text: string): void {
  const found = deps.tailnetReach?.check(tailnet.id, text);
  if (found === undefined) return;
  const errors = found.problems.filter(({ severity }) => severity === 'error');
  const [first] = errors;
  if (first !== undefined) throw badRequest(`line ${first.line}, column ${first.column}: ${first.message}`);
  if (found.failures.length === 0) return;
  throw new V2Failure(
    400,
    'test(s) failed',
    found.failures.map(({ path, line, message }) => ({ user: path, errors: [`line ${line}: ${message}`] })),
  );
}
