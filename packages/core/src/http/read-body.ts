import type { IncomingMessage } from 'node:http';
import { TollgateError } from '../errors/tollgate-error.ts';

export interface BodyLimits {
  readonly maxBodyBytes: number;
  readonly bodyTimeoutMs: number;
}

/**
 * Reads a request's body. Never holds more than `maxBodyBytes` of it, and never waits longer than `bodyTimeoutMs`.
 *
 * @throws TollgateError `body_too_large`, `body_timeout`, or `invalid_request` if the client disconnects before its end.
 */
export function readBody(message: IncomingMessage, limits: BodyLimits): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;

    const stop = () => {
      clearTimeout(timer);
      message.off('data', onData);
      message.off('end', onEnd);
      message.off('error', onBroken);
      message.off('close', onBroken);
      // A late error on a stream without a listener would end the process.
      message.on('error', () => {});
    };
    const fail = (error: TollgateError) => {
      stop();
      // The rest of the body is read and dropped, so that the client can read its response.
      message.resume();
      reject(error);
    };
    const onData = (chunk: Buffer | string) => {
      const bytes =
        typeof chunk === 'string' ? Buffer.from(chunk, message.readableEncoding ?? 'utf8') : chunk;
      size += bytes.length;
      if (size > limits.maxBodyBytes) fail(new TollgateError('body_too_large'));
      else chunks.push(bytes);
    };
    const onEnd = () => {
      stop();
      resolve(Buffer.concat(chunks, size));
    };
    const onBroken = (cause?: Error) => {
      fail(new TollgateError('invalid_request', { message: 'The request body ended early.', cause }));
    };

    const timer = setTimeout(() => fail(new TollgateError('body_timeout')), limits.bodyTimeoutMs);
    message.on('data', onData);
    message.on('end', onEnd);
    message.on('error', onBroken);
    message.on('close', onBroken);
  });
}
