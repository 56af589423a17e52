/** A passkey in software, for tests: answers as a browser would (Web Authentication Level 3, sections 5.2, 6.1, 6.5). */

/** Signs in the browser's place; `counter` counts up as real authenticators do. */
export interface TestAuthenticator {
  readonly id: string;
  register(options: unknown, origin: string): Promise<Record<string, unknown>>;
  assert(options: unknown, origin: string): Promise<Record<string, unknown>>;
}

export async function createTestAuthenticator(): Promise<TestAuthenticator> {
  const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ]);
  const jwk = await crypto.subtle.exportKey('jwk', keys.publicKey);
  const credentialId = Buffer.from(crypto.getRandomValues(new Uint8Array(16)));
  const id = credentialId.toString('base64url');
  let counter = 0;

  const authenticatorData = async (rpId: string, attested: Buffer): Promise<Buffer> => {
    counter += 1;
    const rpIdHash = Buffer.from(await crypto.subtle.digest('SHA-256', Buffer.from(rpId)));
    const flags = 0x01 | (attested.length > 0 ? 0x40 : 0);
    const count = Buffer.alloc(4);
    count.writeUInt32BE(counter);
    return Buffer.concat([rpIdHash, Buffer.from([flags]), count, attested]);
  };
  const clientData = (type: string, options: unknown, origin: string): Buffer =>
    Buffer.from(
      JSON.stringify({ type, challenge: textAt(options, 'challenge'), origin, crossOrigin: false }),
    );

  return {
    id,
    async register(options, origin) {
      // COSE_Key: kty EC2, alg ES256, crv P-256, x, y (RFC 9053 section 7.1.1).
      const key = Buffer.concat([
        Buffer.from([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20]),
        Buffer.from(jwk.x ?? '', 'base64url'),
        Buffer.from([0x22, 0x58, 0x20]),
        Buffer.from(jwk.y ?? '', 'base64url'),
      ]);
      const attested = Buffer.concat([
        Buffer.alloc(16),
        Buffer.from([0, credentialId.length]),
        credentialId,
        key,
      ]);
      const data = await authenticatorData(new URL(origin).hostname, attested);
      const attestation = Buffer.concat([
        Buffer.from([0xa3, 0x63]),
        Buffer.from('fmt'),
        Buffer.from([0x64]),
        Buffer.from('none'),
        Buffer.from([0x67]),
        Buffer.from('attStmt'),
        Buffer.from([0xa0]),
        Buffer.from([0x68]),
        Buffer.from('authData'),
        Buffer.from([0x59, data.length >> 8, data.length & 255]),
        data,
      ]);
      return {
        id,
        rawId: id,
        type: 'public-key',
        clientExtensionResults: {},
        response: {
          clientDataJSON: clientData('webauthn.create', options, origin).toString('base64url'),
          attestationObject: attestation.toString('base64url'),
          transports: ['internal'],
        },
      };
    },
    async assert(options, origin) {
      const data = await authenticatorData(new URL(origin).hostname, Buffer.alloc(0));
      const client = clientData('webauthn.get', options, origin);
      const clientHash = Buffer.from(await crypto.subtle.digest('SHA-256', new Uint8Array(client)));
      const raw = await crypto.subtle.sign(
        { name: 'ECDSA', hash: 'SHA-256' },
        keys.privateKey,
        Buffer.concat([data, clientHash]),
      );
      return {
        id,
        rawId: id,
        type: 'public-key',
        clientExtensionResults: {},
        response: {
          clientDataJSON: client.toString('base64url'),
          authenticatorData: data.toString('base64url'),
          signature: derSignature(Buffer.from(raw)).toString('base64url'),
        },
      };
    },
  };
}

/** ECDSA-Sig-Value of RFC 3279 section 2.2.3 from the two halves that Web Crypto gives. */
function derSignature(raw: Buffer): Buffer {
  const integer = (half: Buffer): Buffer => {
    let start = 0;
    while (start < half.length - 1 && half[start] === 0) start += 1;
    const digits = half.subarray(start);
    const padded = (digits[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), digits]) : digits;
    return Buffer.concat([Buffer.from([0x02, padded.length]), padded]);
  };
  const body = Buffer.concat([integer(raw.subarray(0, 32)), integer(raw.subarray(32))]);
  return Buffer.concat([Buffer.from([0x30, body.length]), body]);
}

function textAt(value: unknown, name: string): string {
  const found: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
  return typeof found === 'string' ? found : '';
}
