declare module 'koa-ratelimit' {
  import type { Context, Middleware } from 'koa';

  // biome-ignore lint/style/noDefaultExport: the package has a default export
  export default function koaRatelimit(options: {
    readonly driver: 'redis';
    readonly db: object;
    readonly duration: number;
    readonly max: number;
    readonly id: (ctx: Context) => string;
  }): Middleware;
}
