import { createServer, type RequestListener } from 'node:http';
import { Duplex } from 'node:stream';
import { parseResponse, type RawResponse } from '@tollgate/testing';

/** Sends a request's bytes to a server and reads its answer. */
export type Exchange = (bytes: Uint8Array) => Promise<RawResponse>;

/** A server without a port: Node's own HTTP parser over a connection that never leaves the process. */
export function inProcess(handler: RequestListener): Exchange {
  const server = createServer(handler);
  return (bytes) =>
    new Promise((resolve, reject) => {
      const answered: Buffer[] = [];
      const connection = new Duplex({
        read() {},
        write(chunk: Buffer, _encoding, written) {
          answered.push(chunk);
          written();
        },
        final(ended) {
          ended();
          const response = parseResponse(Buffer.concat(answered));
          if (response === null) reject(new Error('The server closed the connection without an answer.'));
          else resolve(response);
        },
      });
      server.emit('connection', connection);
      connection.push(bytes);
    });
}
