import type { IncomingMessage } from 'node:http';
import { isUint8Array } from 'node:util/types';

/** Bodies larger than this are not recorded beside the host's own parser. */
const MAX_RECORDED_BYTES = 8 * 1024 * 1024;

const KEPT = Symbol.for('@tollgate/raw-body');

type Keeping = IncomingMessage & { [KEPT]?: Uint8Array | Recording };

interface Recording {
  readonly chunks: Uint8Array[];
  size: number;
}

/** Keeps a body's raw bytes on its request, for webhooks that are verified after the host's parser ran. */
export function keepBytes(message: IncomingMessage, bytes: Uint8Array): void {
  (message as Keeping)[KEPT] = bytes;
}

/**
 * Records the bytes that anything reads from the request from now on. Reads nothing itself: a body that nobody reads stays
 * untouched.
 */
export function recordBytes(message: IncomingMessage): void {
  const keeping = message as Keeping;
  if (keeping[KEPT] !== undefined) return;
  const recording: Recording = { chunks: [], size: 0 };
  keeping[KEPT] = recording;
  const emit = message.emit;
  message.emit = function record(this: IncomingMessage, event: string | symbol, ...args: unknown[]): boolean {
    if (event === 'data') add(recording, args[0], message);
    return Reflect.apply(emit, this, [event, ...args]);
  };
}

function add(recording: Recording, chunk: unknown, message: IncomingMessage): void {
  const bytes =
    typeof chunk === 'string' ? Buffer.from(chunk, message.readableEncoding ?? 'utf8') : (chunk as Buffer);
  recording.size += bytes.length;
  if (recording.size <= MAX_RECORDED_BYTES) recording.chunks.push(bytes);
  else recording.chunks.length = 0;
}

/** The whole body as kept or recorded; null if there is none, or only a part of it. */
export function keptBytes(message: IncomingMessage): Uint8Array | null {
  const kept = (message as Keeping)[KEPT];
  if (kept === undefined) return null;
  if (isUint8Array(kept)) return kept;
  const whole = message.readableEnded && kept.size > 0 && kept.size <= MAX_RECORDED_BYTES;
  return whole ? Buffer.concat(kept.chunks) : null;
}
