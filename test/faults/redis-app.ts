import {
  type Billing,
  type BillingOptions,
  type CounterReading,
  type CounterStore,
  capacity,
  createBilling,
  metered,
  reservationOf,
} from '@tollgate/core';
import { type RedisCounterStoreOptions, redisCounterStore } from '@tollgate/redis';
import { expect, onTestFinished } from 'vitest';
import { type Framework, type Handler, serveGuarded } from '../guard/guarded-app.ts';
import { waitUntil } from '../support/services.ts';
import { type HostRows, hostRows } from './redis-host-rows.ts';

export { frameworks } from '../guard/guarded-app.ts';

const quotas = { devices: capacity(), zones: capacity(), door_opens: metered({ periods: ['day'] }) };
type Key = keyof typeof quotas;

export interface CreateOptions {
  /** @default 'acme' */
  readonly org?: string;
  /** @default ['devices'] */
  readonly keys?: readonly Key[];
  /** The guard's `onStoreError`. @default 'closed' */
  readonly policy?: 'closed' | 'open' | 'recount';
  /** What the handler answers; it writes rows for a 2xx alone. @default 201 */
  readonly answer?: number;
  /** The handler writes and answers when this has resolved. @default at once */
  readonly until?: Promise<void>;
  /** @default none */
  readonly idempotencyKey?: string;
}

/** What a client saw of one create. */
export interface Outcome {
  readonly status: number;
  readonly code: string | undefined;
  readonly retryAfter: string | null;
  readonly ms: number;
}

/** One process of a host: guarded routes on a real server, counters in Redis. */
export interface RedisApp {
  readonly billing: Billing;
  readonly host: HostRows;
  /** What the counter store warned of. */
  readonly warnings: readonly string[];
  /** How many handlers were let run. */
  readonly started: () => number;
  create(options?: CreateOptions): Promise<Outcome>;
  /** Starts a create, again after a 503; resolves, with its answer still to come, when its handler runs. */
  begin(options: CreateOptions & { readonly until: Promise<void> }): Promise<{ answer: Promise<Outcome> }>;
  /** Creates one after the other until so many were let in; a 503 is tried again. */
  fill(creates: number, options?: CreateOptions): Promise<void>;
  /** Creates in parallel until all are told that the quota is used up; answers how many were let in. */
  fillUp(options?: CreateOptions): Promise<number>;
  /** What this process' store says of a capacity key. It is asked after whatever the store still had to say. */
  reading(org?: string, key?: Key): Promise<Reading>;
  /** Waits until the store counts exactly the host's rows, with nothing held or in doubt. */
  countsTheRows(org?: string, key?: Key): Promise<void>;
}

export interface RedisAppOptions extends Pick<BillingOptions, 'leaseMs'> {
  /** Limits other than 1,000. */
  readonly limits?: Partial<Record<Key, number>>;
  /** Shared with other processes. @default rows of its own */
  readonly host?: HostRows;
}

const NOTHING: Outcome = { status: 0, code: undefined, retryAfter: null, ms: 0 };
let requests = 0;

export const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** Serves an app until the test ends. */
export async function redisApp(
  framework: Framework,
  store: RedisCounterStoreOptions,
  options: RedisAppOptions = {},
): Promise<RedisApp> {
  const warnings: string[] = [];
  const logger = { ...silent, warn: (message: string) => void warnings.push(message) };
  const app = await appOn(framework, redisCounterStore({ logger, ...store }), options);
  return { ...app, warnings };
}

/** The same on any counter store. */
export async function appOn(
  framework: Framework,
  counters: CounterStore,
  { limits, host = hostRows(), ...options }: RedisAppOptions = {},
): Promise<Omit<RedisApp, 'warnings'>> {
  const billing = createBilling({
    quotas,
    tiers: [
      {
        slug: 'free',
        name: 'Free',
        isDefaultForPersonal: true,
        sortOrder: 1,
        limits: { devices: 1_000, zones: 1_000, door_opens: 1_000, ...limits },
      },
    ],
    inventory: {
      count: ({ org, key }) => host.count(org, key),
      async *list() {},
      find: async () => null,
    },
    access: () => null,
    provider: null,
    counters,
    logger: silent,
    ...options,
  }) as Billing;

  const underWay = new Map<string, { readonly until: Promise<void>; readonly start: () => void }>();
  let started = 0;
  const handler: Handler = async ({ native, answer }) => {
    const header = headerOf(native);
    started += 1;
    const request = underWay.get(header('x-request') ?? '');
    request?.start();
    await request?.until;
    const status = Number(header('x-answer'));
    const isRepeat = reservationOf(native)?.repeated === true;
    if (status < 300 && !isRepeat) {
      for (const key of keysOf(header)) host.add(header('x-org') ?? '', key);
    }
    answer(status);
  };
  const app = await serveGuarded(framework, {
    billing,
    guards: [[{ key: fromHeaders(keysOf), ...guardOptions }]],
    handler,
  });
  onTestFinished(async () => {
    await app.close();
    await billing.close();
  });

  async function post(
    { org = 'acme', keys = ['devices'], policy = 'closed', answer = 201, ...more }: CreateOptions,
    onStart = () => {},
  ): Promise<Outcome> {
    requests += 1;
    const id = String(requests);
    underWay.set(id, { until: more.until ?? Promise.resolve(), start: onStart });
    const startedAt = performance.now();
    const response = await fetch(`${app.url}/api/things`, {
      method: 'POST',
      headers: {
        'x-request': id,
        'x-org': org,
        'x-keys': keys.join(),
        'x-policy': policy,
        'x-answer': String(answer),
        ...(more.idempotencyKey === undefined ? {} : { 'idempotency-key': more.idempotencyKey }),
      },
      // What hangs fails here, by name, and not as the time-out of a test.
      signal: AbortSignal.timeout(15_000),
    });
    const ms = performance.now() - startedAt;
    const body = (await response.json()) as { error_code?: string };
    underWay.delete(id);
    const retryAfter = response.headers.get('retry-after');
    return { status: response.status, code: body.error_code, retryAfter, ms };
  }

  const reading = readingsOf(counters);
  return {
    billing,
    host,
    started: () => started,
    create: (create = {}) => post(create),
    begin: (create) =>
      waitUntil('a create runs', async () => {
        let answer = Promise.resolve(NOTHING);
        const isRunning = await new Promise<boolean>((resolve, reject) => {
          answer = post(create, () => resolve(true));
          answer.then(() => resolve(false), reject);
        });
        if (!isRunning) expectUnavailable(await answer);
        return isRunning && { answer };
      }),
    async fill(creates, create = {}) {
      for (let made = 0; made < creates; made += 1) {
        await waitUntil(`create ${made + 1} of ${creates} is let in`, async () => {
          const outcome = await post(create);
          if (outcome.status !== 201) expectUnavailable(outcome);
          return outcome.status === 201;
        });
      }
    },
    async fillUp(create = {}) {
      let admitted = 0;
      await waitUntil(
        'all creates are refused',
        async () => {
          const outcomes = await Promise.all(Array.from({ length: 8 }, () => post(create)));
          admitted += outcomes.filter(({ status }) => status === 201).length;
          const refused = outcomes.filter(({ code }) => code === 'quota_exceeded').length;
          if (refused < outcomes.length) throw new Error(`The last answers: ${JSON.stringify(outcomes)}`);
          return true;
        },
        { everyMs: 1 },
      );
      return admitted;
    },
    reading,
    async countsTheRows(org, key) {
      await waitUntil('the count is that of the rows', async () => {
        expect(await reading(org, key)).toEqual({ committed: host.of(org, key), held: 0, uncertain: 0 });
        return true;
      });
    },
  };
}

export type Reading = Omit<CounterReading, 'countAgeMs'> | null;

function readingsOf(counters: CounterStore) {
  return async (org = 'acme', key: Key = 'devices'): Promise<Reading> => {
    const [found] = await counters.read({ org, counters: [{ key, window: 'lifetime' }] });
    if (found == null) return null;
    const { committed, held, uncertain } = found;
    return { committed, held, uncertain };
  };
}

/** Reads what a server has stored, apart from any app. */
export function witnessOf(redis: { readonly url: string }): (org?: string, key?: Key) => Promise<Reading> {
  const counters = redisCounterStore({ url: redis.url, timeoutMs: 2_000 });
  onTestFinished(() => counters.close());
  return readingsOf(counters);
}

type Header = (name: string) => string | undefined;

/** Express' `req` and Koa's `ctx` alike have `get`. */
function headerOf(native: object): Header {
  return (name) => (native as { get(name: string): string | undefined }).get(name);
}

function fromHeaders<T>(read: (header: Header) => T) {
  return (native: object) => read(headerOf(native));
}

function keysOf(header: Header): readonly string[] {
  return header('x-keys')?.split(',') ?? [];
}

const guardOptions = {
  org: fromHeaders((header) => header('x-org')),
  onStoreError: fromHeaders((header) => header('x-policy')),
  idempotencyKey: fromHeaders((header) => header('idempotency-key')),
};

/** "Could not decide", in the one way a client is told so. */
export function expectUnavailable(outcome: Outcome): void {
  expect(outcome).toMatchObject({
    status: 503,
    code: 'quota_unavailable',
    retryAfter: expect.stringMatching(/^[1-9]\d*$/),
  });
}

export function median(outcomes: readonly Outcome[]): number {
  return outcomes.map(({ ms }) => ms).sort((a, b) => a - b)[Math.floor(outcomes.length / 2)] ?? Number.NaN;
}

export function slowest(outcomes: readonly Outcome[]): number {
  return Math.max(...outcomes.map(({ ms }) => ms));
}
