import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { RunningServer } from '@tollgate/testing';

export interface ListeningServer extends RunningServer {
  readonly server: Server;
}

/** Puts a handler on a free port of loopback. */
export function listen(handler: RequestListener, basePath: string): Promise<ListeningServer> {
  const server = createServer(handler);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      resolve({ server, basePath, port: (server.address() as AddressInfo).port });
    });
  });
}

export function unlisten({ server }: ListeningServer): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
