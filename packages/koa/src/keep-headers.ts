import type { Context } from 'koa';

/**
 * Koa answers an error with the headers that the error carries, and drops all others. So the error carries ours while Koa answers it, but
 * no longer: a host may throw the same one for many requests. Call it before the handler: middleware around it may fail at any time.
 */
export function keepHeaders(ctx: Context, ours: Readonly<Record<string, string>>): void {
  const { onerror, res } = ctx;
  const answering: typeof onerror = (error) => {
    // Koa calls it without an error at the end of every answer.
    if (error == null) return onerror.call(ctx, error);
    const carrier = Object(error);
    const own = Object.getOwnPropertyDescriptor(carrier, 'headers');
    const headers: Record<string, unknown> = {};
    for (const name of Object.keys(ours)) if (res.hasHeader(name)) headers[name] = res.getHeader(name);
    const value = { ...headers, ...carrier.headers };
    // Writable, since listeners to `error` may set others.
    Reflect.defineProperty(carrier, 'headers', { value, configurable: true, writable: true });
    try {
      onerror.call(ctx, error);
    } finally {
      if (own === undefined) Reflect.deleteProperty(carrier, 'headers');
      else Reflect.defineProperty(carrier, 'headers', own);
    }
  };
  // Not assigned: that throws if a host made its own read-only, and the units are taken by now.
  Reflect.set(ctx, 'onerror', answering);
}
