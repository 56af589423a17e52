/**
 * A small DNS answerer (RFC 1035): it knows the node's own names and nothing else. Another name is
 * REFUSED, so that a resolver asks elsewhere; what is no query gets no answer at all.
 */
import {
  DNS_CLASS_IN,
  DNS_RCODE,
  DNS_TYPE,
  DNS_UDP_MAX_BYTES,
  encodeDnsAnswer,
  parseDnsMessage,
} from '../../wire/dns.ts';
import { parseIp } from '../../wire/ip.ts';

/** Seconds: short, since addresses of a node may change. */
const TTL_SEC = 60;
/** An answer that fits every tunnel's packet. */
const ANSWER_MAX_BYTES = 1_200;

/** The answer to a datagram, or null for silence. `names` are lower-case, without the last dot. */
export function answerDns(datagram: Buffer, names: ReadonlyMap<string, readonly string[]>): Buffer | null {
  const query = parseDnsMessage(datagram);
  const question = query?.questions[0];
  if (query === null || query.isAnswer || question === undefined) return null;
  const maxBytes = Math.min(query.udpMaxBytes ?? DNS_UDP_MAX_BYTES, ANSWER_MAX_BYTES);
  const bare = (rcode: number): Buffer | null =>
    encodeDnsAnswer(query, { rcode, isAuthoritative: false, answers: [] }, maxBytes);
  if (query.opcode !== 0) return bare(DNS_RCODE.notImplemented);
  const addresses = names.get(question.name);
  if (addresses === undefined || question.class !== DNS_CLASS_IN) return bare(DNS_RCODE.refused);
  const answers = addresses.flatMap((address) => {
    const ip = parseIp(address);
    if (ip === null) return [];
    const type = ip.family === 4 ? DNS_TYPE.a : DNS_TYPE.aaaa;
    const isAsked = question.type === type || question.type === DNS_TYPE.any;
    return isAsked ? [{ type, ttlSec: TTL_SEC, data: { kind: 'address', ip } as const }] : [];
  });
  return encodeDnsAnswer(query, { rcode: DNS_RCODE.ok, isAuthoritative: true, answers }, maxBytes);
}
