import type { Context } from 'koa';

/**
 * Koa itself answers an error with the headers that the error carries, and drops all others. It carries ours for that moment alone:
 * a host may throw the same one for many requests. To be called before the handler: middleware around may fail when it has returned, or before.
 */
export function keepHeaders(ctx: Context, ours: Readonly<Record<string, string>>): void {
  const { onerror, res } = ctx;
  const answering: typeof onerror = (error) => {
    // Koa tells the end of every answer so.
    if (error == null) return onerror.call(ctx, error);
    const carrier = Object(error);
    const own = Object.getOwnPropertyDescriptor(carrier, 'headers');
    const headers: Record<string, unknown> = {};
    for (const name of Object.keys(ours)) if (res.hasHeader(name)) headers[name] = res.getHeader(name);
    const value = { ...headers, ...carrier.headers };
    // Listeners to `error` may set others.
    Reflect.defineProperty(carrier, 'headers', { value, configurable: true, writable: true });
    try {
      onerror.call(ctx, error);
    } finally {
      if (own === undefined) Reflect.deleteProperty(carrier, 'headers');
      else Reflect.defineProperty(carrier, 'headers', own);
    }
  };
  // Not assigned: where a host made its own read-only that throws, and the units are taken by now.
  Reflect.set(ctx, 'onerror', answering);
}
