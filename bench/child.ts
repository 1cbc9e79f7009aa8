import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { apps } from './apps.ts';
import { type LoadOrder, runLoad } from './load.ts';

/** A process of the bench: `server <framework> <app> <redisUrl>` serves one contender, `load` makes requests. Controlled by messages. */
const [role, framework = '', name = '', redisUrl = ''] = process.argv.slice(2);
const tell = (message: unknown) => process.send?.(message);

if (role === 'load') {
  process.on('message', (order: LoadOrder) => runLoad(order).then(tell));
  tell({ port: 0 });
} else {
  const make = apps[framework]?.[name];
  if (make === undefined) throw new Error(`There is no contender ${framework} ${name}.`);
  const server = createServer(await make(redisUrl));
  let before = process.cpuUsage();
  process.on('message', () => {
    const { user, system } = process.cpuUsage(before);
    before = process.cpuUsage();
    tell(user + system);
  });
  server.listen(0, '127.0.0.1', () => tell({ port: (server.address() as AddressInfo).port }));
}
process.on('disconnect', () => process.exit(0));
