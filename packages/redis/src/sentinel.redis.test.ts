import { createServer, type Socket } from 'node:net';
import { Redis } from 'ioredis';
import { expect, it } from 'vitest';
import { freePort } from '../../../test/support/services.ts';
import { read, timed } from './faults.test-support.ts';
import { answers, endings, server, store } from './outage-scene.test-support.ts';

/** Tells clients where the master is, as a Sentinel does; a silent one takes their connections and says nothing. */
async function sentinel(port: number, masterPort: number, isSilent = false): Promise<void> {
  const address = `*2\r\n$9\r\n127.0.0.1\r\n$${`${masterPort}`.length}\r\n${masterPort}\r\n`;
  const sockets = new Set<Socket>();
  const listener = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (data) => {
      if (isSilent) return;
      for (const command of data.toString().split(/(?=\*\d+\r\n)/)) {
        if (/get-master-addr/i.test(command)) socket.write(address);
        else socket.write(/sentinels/i.test(command) ? '*0\r\n' : '+OK\r\n');
      }
    });
  });
  await new Promise<void>((resolve) => listener.listen(port, '127.0.0.1', resolve));
  endings.push(() => {
    listener.close();
    for (const socket of sockets) socket.destroy();
  });
}

function clientOf(ports: readonly number[], role: 'master' | 'slave' = 'master'): Redis {
  const sentinels = ports.map((port) => ({ host: '127.0.0.1', port }));
  const sentinelRetryStrategy = () => null;
  const client = new Redis({ sentinels, name: 'main', role, lazyConnect: true, sentinelRetryStrategy });
  endings.push(() => client.disconnect());
  return client;
}

it('waits for a Sentinel where the client of the host gives up (F17)', async () => {
  const redis = await server();
  const port = await freePort();
  const counters = store({ client: clientOf([port]), timeoutMs: 200 });
  expect((await timed(() => read(counters))).result).toBe('quota_unavailable');
  await sentinel(port, redis.port);
  await answers(counters);
});

it('asks the next Sentinel where one is silent (F11)', async () => {
  const redis = await server();
  const ports = [await freePort(), await freePort()] as const;
  await sentinel(ports[0], redis.port, true);
  await sentinel(ports[1], redis.port);
  await answers(store({ client: clientOf(ports), timeoutMs: 200 }));
});

it('counts on the master though the client of the host reads from replicas (F17)', async () => {
  const redis = await server();
  const port = await freePort();
  await sentinel(port, redis.port);
  await answers(store({ client: clientOf([port], 'slave'), timeoutMs: 200 }));
});
