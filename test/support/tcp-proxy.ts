import { connect, createServer, type Socket } from 'node:net';

export interface TcpProxy {
  readonly host: string;
  readonly port: number;
  /** Resets every open connection, and every new one, until `restore`. */
  cut(): void;
  /** Ends `cut`, `delay` and `dropReplies`; connections that were reset stay closed. */
  restore(): void;
  /** Delays every byte by this many milliseconds in both directions; Infinity makes the peer seem hung. */
  delay(ms: number): void;
  /** While on, requests reach the target but its replies are dropped, and connections stay open. */
  dropReplies(on: boolean): void;
  /** Sends new connections to another port; open ones stay as they are. */
  redirect(port: number): void;
  /** How many connections are open right now. */
  readonly connectionCount: number;
  close(): Promise<void>;
}

/** Stands between a client and a service on loopback, and disturbs their connections as a test asks. */
export async function tcpProxy(targetPort: number, targetHost = '127.0.0.1'): Promise<TcpProxy> {
  const clients = new Set<Socket>();
  let isCut = false;
  let delayMs = 0;
  let dropsReplies = false;
  let currentPort = targetPort;

  const forward = (from: Socket, to: Socket, isReply: boolean) => {
    // Keeps chunks in order even if the delay shrinks between them.
    let notBefore = 0;
    const timers = new Set<NodeJS.Timeout>();
    const later = (act: () => void) => {
      if (delayMs === Number.POSITIVE_INFINITY) return;
      const now = performance.now();
      notBefore = Math.max(notBefore, now + delayMs);
      if (notBefore <= now) {
        act();
        return;
      }
      const timer = setTimeout(() => {
        timers.delete(timer);
        act();
      }, notBefore - now);
      timers.add(timer);
    };
    from.on('data', (chunk) => {
      if (isReply && dropsReplies) return;
      later(() => to.writable && to.write(chunk));
    });
    from.on('end', () => later(() => to.end()));
    from.on('error', () => to.destroy());
    to.on('close', () => {
      for (const timer of timers) clearTimeout(timer);
      from.destroy();
    });
  };

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    client.on('error', () => {});
    if (isCut) {
      client.resetAndDestroy();
      return;
    }
    const target = connect({ port: currentPort, host: targetHost, allowHalfOpen: true, noDelay: true });
    clients.add(client);
    client.once('close', () => clients.delete(client));
    forward(client, target, false);
    forward(target, client, true);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;

  const resetAll = () => {
    for (const client of clients) client.resetAndDestroy();
    clients.clear();
  };
  return {
    host: '127.0.0.1',
    port,
    get connectionCount() {
      return clients.size;
    },
    cut() {
      isCut = true;
      resetAll();
    },
    restore() {
      isCut = false;
      delayMs = 0;
      dropsReplies = false;
    },
    delay(ms) {
      delayMs = ms;
    },
    dropReplies(on) {
      dropsReplies = on;
    },
    redirect(next) {
      currentPort = next;
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      resetAll();
      await closed;
    },
  };
}
