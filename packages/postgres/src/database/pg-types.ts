/** The part of a `pg` client that is used here, spelled out so that nobody needs the types of a driver they do not use. */
export interface PgClient {
  /** From the pool's option: whether results come in binary. Not in the types of `pg`. */
  binary?: boolean;
  /** Only on a client on libpq (`pg.native`). Not in the types of `pg`. */
  readonly native?: unknown;
  query(config: {
    text: string;
    values?: unknown[];
    // biome-ignore lint/suspicious/noExplicitAny: pg's own signature
    types?: { getTypeParser: (oid: number, format?: any) => any };
  }): Promise<{ rows: unknown[] }>;
}

/** A client taken from a pool. */
export interface PgPoolClient extends PgClient {
  release(destroy?: boolean): void;
  on(event: 'error', listener: (error: Error) => void): unknown;
  removeListener(event: 'error', listener: (error: Error) => void): unknown;
}

/** The part of a `pg.Pool` that is used here. */
export interface PgPool {
  connect(): Promise<PgPoolClient>;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'connect', listener: (client: PgPoolClient) => void): unknown;
  removeListener(event: 'error', listener: (error: Error) => void): unknown;
  removeListener(event: 'connect', listener: (client: PgPoolClient) => void): unknown;
}
