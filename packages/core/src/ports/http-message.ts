/** A request as every adapter passes it on: free of any framework, except for `native`. */
export interface HttpRequest {
  /** Upper case. */
  readonly method: string;
  /** The raw path the client sent (not decoded, no query), from the host's root. */
  readonly path: string;
  /** The first value of a query parameter, decoded; undefined when absent. */
  query(name: string): string | undefined;
  /** A header by name, in any case; repeated headers are joined with `, `. */
  header(name: string): string | undefined;
  /**
   * The body's raw bytes, read at most once and then kept.
   * @throws TollgateError `body_too_large`, `body_timeout`, `unsupported_encoding`, `invalid_request` if the client disconnected before
   * its end, or `raw_body_unavailable` if the host's parser consumed the bytes and kept none.
   */
  bytes(): Promise<Uint8Array>;
  /**
   * The body as parsed JSON: what the host's parser left, else the parsed `bytes()`.
   * @throws TollgateError `invalid_request` if it is not JSON, and what `bytes` throws.
   */
  json(): Promise<unknown>;
  /** The framework's own request: Express' `req`, Koa's `ctx`. */
  readonly native: unknown;
}

/** A response as every adapter sends it, byte for byte. */
export interface HttpReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The finished body; empty for none. */
  readonly body: string;
}
