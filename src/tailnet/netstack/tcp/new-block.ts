/** Makes a connection's control block. */
import { type TcpBlock, type TcpHost, type TcpState, NEVER } from './block.ts';
import { Cubic } from './cubic.ts';
import { InFlight } from './in-flight.ts';
import { ReceiveQueue } from './receive-queue.ts';
import { RoundTrip } from './round-trip.ts';
import { SendBuffer } from './send-buffer.ts';
import { advance } from './sequence.ts';

/** RFC 9293 section 3.7.1: until the peer's SYN says more. */
const FIRST_MSS = 536;

export interface NewBlock {
  readonly host: TcpHost;
  readonly localAddress: Buffer;
  readonly remoteAddress: Buffer;
  readonly localPort: number;
  readonly remotePort: number;
  readonly state: Extract<TcpState, 'syn-sent' | 'syn-received'>;
  /** RFC 6528. */
  readonly initialSequence: number;
  readonly timestampOffset: number;
}

/** A block before its SYN leaves. */
export function createBlock(options: NewBlock): TcpBlock {
  const { host, initialSequence } = options;
  const roundTrip = new RoundTrip();
  const next = advance(initialSequence, 1);
  return {
    ...options,
    isPassive: options.state === 'syn-received',
    handlers: null,
    isOrphan: false,
    sendBuffer: new SendBuffer(host.memory, host.limits.sendBufferBytes),
    inFlight: new InFlight(roundTrip, initialSequence),
    roundTrip,
    congestion: new Cubic(FIRST_MSS),
    sendUnacknowledged: initialSequence,
    sendNext: next,
    bufferSequence: next,
    sendWindow: 0,
    sendWindowMax: 0,
    windowSequence: 0,
    windowAcknowledgment: 0,
    sendScale: -1,
    mss: FIRST_MSS,
    finQueued: false,
    finSent: false,
    noDelay: false,
    wantsWritable: false,
    receiveQueue: new ReceiveQueue(host.memory, host.limits.receiveBufferBytes),
    receiveNext: 0,
    receiveEdge: 0,
    receiveScale: scaleFor(host.limits.receiveBufferBytes),
    receiveMss: FIRST_MSS,
    unacknowledgedBytes: 0,
    heldFin: null,
    finReceived: false,
    ackNow: false,
    duplicateLeft: 0,
    duplicateRight: 0,
    sackPermitted: false,
    timestamps: false,
    timestampRecent: 0,
    timestampRecentAt: 0,
    lastAckSent: 0,
    recovery: 'none',
    recoveryPoint: initialSequence,
    duplicateAcks: 0,
    mustRetransmit: false,
    windowLimited: false,
    undoCount: -1,
    probeEnd: null,
    probeRepeated: false,
    retransmitAt: NEVER,
    probeAt: NEVER,
    reorderAt: NEVER,
    persistAt: NEVER,
    delayedAckAt: NEVER,
    keepAliveAt: NEVER,
    closeAt: NEVER,
    attempts: 0,
    troubleSince: -1,
    lastHeardAt: 0,
    lastSentAt: 0,
    keepAliveMs: 0,
    keepAliveProbes: 0,
    challengeAllowedAt: 0,
    tellConnected: false,
    tellReadable: false,
    tellFailure: null,
    wakeAt: NEVER,
    wakeIndex: -1,
  };
}

/** The least shift with which the window field can say the whole buffer: RFC 7323 section 2.3. */
function scaleFor(bufferBytes: number): number {
  let scale = 0;
  while (bufferBytes >> scale > 0xffff) scale += 1;
  return scale;
}
