import type { TestProject } from 'vitest/node';
import { locateProgram, say } from './find-program.ts';
import { postgresProgram, startPostgres } from './postgres.ts';
import { redisProgram, startRedis } from './redis.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A Redis shared by all test files: use keys of your own. */
    redisUrl: string;
    /** A PostgreSQL shared by all test files: use a schema or database of your own. */
    databaseUrl: string;
  }
}

interface Service {
  readonly url: string;
  stop(): Promise<void>;
}

interface Services {
  readonly redis: Service;
  readonly postgres: Service;
  users: number;
}

const keepRunning = async () => {};

async function provideRedis(): Promise<Service> {
  const given = process.env.REDIS_URL;
  if (given) {
    say('Redis is the one REDIS_URL names');
    return { url: given, stop: keepRunning };
  }
  const server = await startRedis();
  say(`Redis started from ${locateProgram(redisProgram)} on ${server.url}`);
  return server;
}

async function providePostgres(): Promise<Service> {
  const given = process.env.DATABASE_URL;
  if (given) {
    say('PostgreSQL is the one DATABASE_URL names');
    return { url: given, stop: keepRunning };
  }
  const server = await startPostgres();
  say(`PostgreSQL started from ${locateProgram(postgresProgram)} on ${server.url}`);
  return server;
}

async function startServices(): Promise<Services> {
  const [redis, postgres] = await Promise.allSettled([provideRedis(), providePostgres()]);
  if (redis.status === 'fulfilled' && postgres.status === 'fulfilled') {
    return { redis: redis.value, postgres: postgres.value, users: 0 };
  }
  const failures: unknown[] = [];
  for (const result of [redis, postgres]) {
    if (result.status === 'fulfilled') await result.value.stop();
    else failures.push(result.reason);
  }
  throw failures.length === 1 ? failures[0] : new AggregateError(failures, failures.map(String).join('\n'));
}

// Several Vitest projects load this file, each as a separate module. A global lets them share one set of services.
const shared = globalThis as { tollgateServices?: Promise<Services> | undefined };

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  shared.tollgateServices ??= startServices();
  const services = await shared.tollgateServices;
  services.users += 1;
  project.provide('redisUrl', services.redis.url);
  project.provide('databaseUrl', services.postgres.url);
  return async () => {
    services.users -= 1;
    if (services.users > 0) return;
    shared.tollgateServices = undefined;
    await Promise.all([services.redis.stop(), services.postgres.stop()]);
  };
}
