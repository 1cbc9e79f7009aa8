import { Cluster, Redis } from 'ioredis';

/** A client of the bench's Redis: the server at one URL, or the Cluster whose nodes are several URLs joined by commas. */
export function openClient(target: string): Redis | Cluster {
  const urls = target.split(',');
  if (urls.length === 1) return new Redis(target);
  return new Cluster(urls.map((url) => ({ host: new URL(url).hostname, port: Number(new URL(url).port) })));
}

export interface RedisUse {
  /** Processor time of all servers, µs. */
  readonly micros: number;
  /** The number of script and function calls. */
  readonly scripts: number;
}

/** What the bench reads from the servers. */
export interface Servers {
  empty(): Promise<void>;
  use(): Promise<RedisUse>;
  /** The median of idle round trips, ms. */
  pingMs(): Promise<number>;
  close(): void;
}

export function watchServers(
  urls: readonly string[],
  median: (values: readonly number[]) => number,
): Servers {
  const clients = urls.map((url) => new Redis(url));

  async function useOf(client: Redis): Promise<RedisUse> {
    const [cpu, commands] = [await client.info('cpu'), await client.info('commandstats')];
    const of = (text: string, pattern: RegExp) => Number(pattern.exec(text)?.[1] ?? 0);
    const calls = (name: string) => of(commands, new RegExp(`cmdstat_${name}:calls=(\\d+)`));
    return {
      micros: (of(cpu, /used_cpu_user:([\d.]+)/) + of(cpu, /used_cpu_sys:([\d.]+)/)) * 1e6,
      scripts: calls('evalsha') + calls('eval') + calls('fcall'),
    };
  }

  return {
    async empty() {
      for (const client of clients) await client.flushdb();
    },
    async use() {
      const all = await Promise.all(clients.map(useOf));
      return {
        micros: all.reduce((sum, { micros }) => sum + micros, 0),
        scripts: all.reduce((sum, { scripts }) => sum + scripts, 0),
      };
    },
    async pingMs() {
      const times: number[] = [];
      for (let turn = 0; turn < 500; turn += 1) {
        const startedAt = performance.now();
        await clients[0]?.ping();
        times.push(performance.now() - startedAt);
      }
      return median(times);
    },
    close() {
      for (const client of clients) client.disconnect();
    },
  };
}
