import type { Express, RequestHandler } from 'express';
import type { Cluster, Redis } from 'ioredis';
import type Koa from 'koa';
import type { Middleware } from 'koa';

export interface AppOptions {
  /** The server's address, or a client of a server or Cluster. */
  readonly redisUrl?: string;
  readonly redisClient?: Redis | Cluster;
  /** Creates per org and day. */
  readonly limit: number;
  /** `memory` counts in the process. */
  readonly variant?: 'memory';
  readonly redisOptions?: object;
}

export function makeExpressApp(options: AppOptions): Express;
export function makeKoaApp(options: AppOptions): Koa;

/** The handler of every contender's app. */
export const expressHandler: RequestHandler;
export const koaHandler: Middleware;
