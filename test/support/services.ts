export { findChromium, launchChromium } from './chromium.ts';
export { freePort, isPortFree } from './free-port.ts';
export {
  backUp,
  type PostgresOptions,
  type PostgresServer,
  startPostgres,
  startStandby,
} from './postgres.ts';
export { type RedisOptions, type RedisServer, startRedis } from './redis.ts';
export { type RedisCluster, startRedisCluster } from './redis-cluster.ts';
export { type TcpProxy, tcpProxy } from './tcp-proxy.ts';
export { type WaitOptions, waitUntil } from './wait-until.ts';
