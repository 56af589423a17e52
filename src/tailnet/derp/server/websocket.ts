/**
 * The server side of WebSocket (RFC 6455) for a stream of bytes in binary messages, as browsers need it
 * to reach a relay. Where messages begin and end means nothing, so no message is ever gathered: payload
 * is unmasked where it lies and handed on as it comes. No extensions.
 *
 *   offset  bytes    what
 *   0       1        FIN (1 bit), reserved (3), opcode (4)
 *   1       1        MASK (1 bit; always from clients, never to them), length (7)
 *   2       0, 2, 8  the length if those 7 bits are 126 or 127
 *   ..      4        the mask, from clients
 */

/** Of a control frame's payload (RFC 6455 section 5.5). */
const CONTROL_MAX_BYTES = 125;
/** 2, then 8 for the length, then 4 for the mask. */
const HEADER_MAX_BYTES = 14;
const OPCODE = { continuation: 0x0, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa } as const;
/** RFC 6455 section 1.3. */
const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** 16 bytes in base64 (RFC 6455 section 4.2.1). */
const KEY_TEXT = /^[A-Za-z0-9+/]{22}==$/;

/** True for a `Sec-WebSocket-Key` that is one. */
export function isWebsocketKey(text: string | undefined): text is string {
  return text !== undefined && KEY_TEXT.test(text);
}

/** `Sec-WebSocket-Accept`: it shows that the server speaks WebSocket; nothing is protected by it. */
export async function websocketAccept(key: string): Promise<string> {
  const digest = await globalThis.crypto.subtle.digest('SHA-1', Buffer.from(key + ACCEPT_SUFFIX));
  return Buffer.from(digest).toString('base64');
}

/** The header of an unmasked binary frame that is a whole message. */
export function websocketHeader(payloadBytes: number, opcode: number = OPCODE.binary): Buffer {
  if (payloadBytes <= 125) return Buffer.from([0x80 | opcode, payloadBytes]);
  if (payloadBytes <= 0xffff)
    return Buffer.from([0x80 | opcode, 126, payloadBytes >> 8, payloadBytes & 0xff]);
  const header = Buffer.alloc(10);
  header[0] = 0x80 | opcode;
  header[1] = 127;
  header.writeUInt32BE(payloadBytes, 6);
  return header;
}

/** A close frame with a status (RFC 6455 section 7.4). */
export function websocketClose(status: number): Buffer {
  return Buffer.concat([websocketHeader(2, OPCODE.close), Buffer.from([status >> 8, status & 0xff])]);
}

export interface WebsocketHandlers {
  /** Bytes of the stream: a view into the chunk. */
  onBytes(bytes: Buffer): void;
  /** What has to be written in answer to the last ping of a chunk; it answers those before it too (section 5.5.3). */
  onAnswer(frame: Buffer): void;
}

/** What became of a chunk: to go on; the client says farewell; a status that refuses it. */
export type WebsocketPushed = 'open' | 'closed' | 1002 | 1003 | 1009;

/** Reads what the client sends. */
export class WebsocketReader {
  readonly #handlers: WebsocketHandlers;
  readonly #header = Buffer.alloc(HEADER_MAX_BYTES);
  #headerFilled = 0;
  #headerBytes = 2;
  /** Of the payload that is being read. */
  #left = 0;
  #maskAt = 0;
  #opcode: number = OPCODE.binary;
  #isInMessage = false;
  #control: Buffer[] = [];
  #pong: Buffer | null = null;

  constructor(handlers: WebsocketHandlers) {
    this.#handlers = handlers;
  }

  /** Alters the chunk: its masks are taken off. */
  push(chunk: Buffer): WebsocketPushed {
    const pushed = this.#read(chunk);
    if (this.#pong !== null && pushed === 'open') this.#handlers.onAnswer(this.#pong);
    this.#pong = null;
    return pushed;
  }

  #read(chunk: Buffer): WebsocketPushed {
    let at = 0;
    while (at < chunk.length || (this.#headerFilled === this.#headerBytes && this.#left === 0)) {
      if (this.#headerFilled < this.#headerBytes) {
        const taken = chunk.copy(
          this.#header,
          this.#headerFilled,
          at,
          at + this.#headerBytes - this.#headerFilled,
        );
        this.#headerFilled += taken;
        at += taken;
        if (this.#headerFilled < this.#headerBytes) break;
        const found = this.#readHeader();
        if (found !== null) return found;
        continue;
      }
      const payload = chunk.subarray(at, at + Math.min(this.#left, chunk.length - at));
      this.#unmask(payload);
      at += payload.length;
      this.#left -= payload.length;
      if (this.#opcode <= OPCODE.binary) {
        if (payload.length > 0) this.#handlers.onBytes(payload);
      } else if (payload.length > 0) this.#control.push(Buffer.from(payload));
      if (this.#left > 0) break;
      this.#headerFilled = 0;
      this.#headerBytes = 2;
      if (this.#endFrame() === 'closed') return 'closed';
    }
    return 'open';
  }

  /** Null: the header is sound so far, and perhaps longer than was thought. */
  #readHeader(): WebsocketPushed | null {
    const first = this.#header[0] ?? 0;
    const second = this.#header[1] ?? 0;
    const short = second & 0x7f;
    const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
    if (this.#headerBytes === 2) {
      const refused = this.#checkStart(first, second);
      if (refused !== null) return refused;
      this.#headerBytes = 2 + lengthBytes + 4;
      return null;
    }
    if (lengthBytes === 8 && this.#header.readUInt32BE(2) !== 0) return 1009;
    this.#left =
      lengthBytes === 0
        ? short
        : lengthBytes === 2
          ? this.#header.readUInt16BE(2)
          : this.#header.readUInt32BE(6);
    this.#maskAt = 0;
    this.#opcode = first & 0x0f;
    return null;
  }

  /** The two bytes that every frame has (RFC 6455 sections 5.1, 5.2, 5.4, 5.5). */
  #checkStart(first: number, second: number): 1002 | 1003 | null {
    const isFinal = (first & 0x80) !== 0;
    const opcode = first & 0x0f;
    if ((first & 0x70) !== 0 || (second & 0x80) === 0) return 1002;
    if (opcode >= OPCODE.close) {
      const isKnown = opcode <= OPCODE.pong;
      return isKnown && isFinal && (second & 0x7f) <= CONTROL_MAX_BYTES ? null : 1002;
    }
    if (opcode !== OPCODE.continuation && opcode !== OPCODE.binary) return opcode === 1 ? 1003 : 1002;
    if ((opcode === OPCODE.continuation) !== this.#isInMessage) return 1002;
    this.#isInMessage = !isFinal;
    return null;
  }

  #unmask(payload: Buffer): void {
    const maskStart = this.#headerBytes - 4;
    const header = this.#header;
    let index = this.#maskAt;
    for (let i = 0; i < payload.length; i += 1) {
      payload[i] = (payload[i] ?? 0) ^ (header[maskStart + (index & 3)] ?? 0);
      index += 1;
    }
    this.#maskAt = index & 3;
  }

  #endFrame(): WebsocketPushed {
    if (this.#opcode === OPCODE.close) return 'closed';
    const body = this.#control.length === 0 ? Buffer.alloc(0) : Buffer.concat(this.#control);
    this.#control = [];
    if (this.#opcode === OPCODE.ping)
      this.#pong = Buffer.concat([websocketHeader(body.length, OPCODE.pong), body]);
    return 'open';
  }
}
