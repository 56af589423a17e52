/**
 * The body of a map answer: messages one after the other.
 *
 *   offset  bytes  what
 *   0       4      L, little-endian
 *   4       L      zstd (RFC 8878) of JSON, or JSON, as `Compress` of the request asked
 */
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { constants, zstdDecompress } from 'node:zlib';
import { controlError } from './errors.ts';
import { type FrameShape, FrameSplitter } from './frame-splitter.ts';

/** Of one message as it is sent: a network of 50,000 devices, compressed. */
export const MAP_MESSAGE_MAX_BYTES = 16 << 20;
/** Of one message unpacked. */
export const MAP_JSON_MAX_BYTES = 64 << 20;
/** 32 MiB, the largest window that a common compressor uses; without a limit the sender chooses our memory. */
const WINDOW_LOG_MAX = 25;
/** `28 b5 2f fd`: so that a server that ignores `Compress` is understood too. */
const ZSTD_MAGIC = 0xfd2fb528;

const MAP_FRAME: FrameShape = {
  headerBytes: 4,
  bodyBytes(header) {
    const length = header.readUInt32LE(0);
    return length > MAP_MESSAGE_MAX_BYTES ? null : length;
  },
};

const decompress = promisify(zstdDecompress);

/**
 * The JSON of each message, in order. `onHeard` runs for every piece that arrives: for a watchdog.
 * @throws AppError<ControlErrorCode>; and what the stream throws
 */
export async function* readMapMessages(stream: Readable, onHeard: () => void): AsyncGenerator<Buffer, void> {
  const splitter = new FrameSplitter(MAP_FRAME);
  for await (const chunk of stream) {
    onHeard();
    const messages: Buffer[] = [];
    const isWhole = splitter.push(chunk, (_header, body) => messages.push(body) > 0);
    for (const message of messages) yield await unpack(message);
    if (!isWhole) {
      throw controlError('control_protocol', `a map message is longer than ${MAP_MESSAGE_MAX_BYTES} bytes`);
    }
  }
  if (!splitter.isBetweenFrames) {
    throw controlError('control_unreachable', 'the map stream ended within a message');
  }
}

async function unpack(message: Buffer): Promise<Buffer> {
  if (message.length < 4 || message.readUInt32LE(0) !== ZSTD_MAGIC) return message;
  try {
    return await decompress(message, {
      maxOutputLength: MAP_JSON_MAX_BYTES,
      params: { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG_MAX },
    });
  } catch (cause) {
    throw controlError('control_protocol', 'a map message cannot be decompressed, or is too large', {
      cause,
    });
  }
}
