declare module 'koa-ratelimit' {
  import type { Context, Middleware } from 'koa';

  // biome-ignore lint/style/noDefaultExport: so it is
  export default function koaRatelimit(options: {
    readonly driver: 'redis';
    readonly db: object;
    readonly duration: number;
    readonly max: number;
    readonly id: (ctx: Context) => string;
  }): Middleware;
}
