import type { Express } from 'express';
import type Koa from 'koa';

export interface AppOptions {
  readonly redisUrl: string;
  /** Creates of one org a day. */
  readonly limit: number;
  /** `memory` counts in the process. */
  readonly variant?: 'memory';
  readonly redisOptions?: object;
}

export function makeExpressApp(options: AppOptions): Express;
export function makeKoaApp(options: AppOptions): Koa;
