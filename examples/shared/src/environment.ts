import { plans } from './plans.ts';

/** The example's configuration, from environment variables. */
export interface Environment {
  /** @default 3000 */
  readonly port: number;
  /** @default '127.0.0.1' */
  readonly host: string;
  readonly redisUrl: string | null;
  readonly databaseUrl: string | null;
  readonly dataDir: string | null;
  /** Null: payments go through the sandbox. */
  readonly stripe: StripeEnvironment | null;
  /** The durations of the over-capacity lifecycle, ms; null for the library's defaults. */
  readonly warnedMs: number | null;
  readonly degradedMs: number | null;
  readonly maxDelayMs: number | null;
  /** The interval between lifecycle sweeps, ms; null for one minute. */
  readonly sweepMs: number | null;
}

/** What the example needs to know of Stripe. */
export interface StripeEnvironment {
  readonly secretKey: string;
  readonly webhookSecret: string;
  /** Null: Stripe's own. */
  readonly apiBase: string | null;
  /** Tier slug -> monthly price id, from `STRIPE_PRICE_<TIER>`. */
  readonly prices: Readonly<Record<string, string>>;
}

const HOSTS = ['127.0.0.1', 'localhost', '::1', '0.0.0.0', '::'];

/** @throws Error whose message names every variable at fault */
export function readEnvironment(variables: Readonly<Record<string, string | undefined>>): Environment {
  const faults: string[] = [];
  const text = (name: string) => {
    const value = variables[name]?.trim();
    return value === undefined || value === '' ? null : value;
  };
  const number = (name: string, most: number, least = 0) => {
    const value = text(name);
    if (value === null) return null;
    const parsed = Number(value);
    if (!/^\d+$/.test(value) || parsed > most || parsed < least)
      faults.push(`${name} must be a whole number from ${least} to ${most}, not "${value}".`);
    return parsed;
  };
  const url = (name: string, form: RegExp, example: string) => {
    const value = text(name);
    // The value is not quoted, because it may contain a password.
    if (value !== null && !(form.test(value) && URL.canParse(value)))
      faults.push(`${name} must be an address such as ${example}.`);
    return value;
  };
  const tenYears = 315_360_000_000;
  const environment: Environment = {
    port: number('PORT', 65_535, 1) ?? 3000,
    host: hostOf(text, faults),
    redisUrl: url('REDIS_URL', /^rediss?:\/\//, 'redis://127.0.0.1:6379'),
    databaseUrl: url('DATABASE_URL', /^postgres(?:ql)?:\/\//, 'postgres://user@127.0.0.1:5432/name'),
    dataDir: text('DATA_DIR'),
    stripe: stripeOf(text, faults),
    warnedMs: number('TOLLGATE_WARNED_MS', tenYears),
    degradedMs: number('TOLLGATE_DEGRADED_MS', tenYears),
    sweepMs: number('TOLLGATE_SWEEP_MS', 2_147_483_647, 10),
    maxDelayMs: number('TOLLGATE_MAX_DELAY_MS', 60_000),
  };
  if (environment.databaseUrl !== null && environment.dataDir !== null) {
    faults.push('DATABASE_URL and DATA_DIR are both set. Choose one: a Postgres server, or a folder.');
  }
  if (faults.length > 0) throw new Error(`The environment has faults:\n  - ${faults.join('\n  - ')}`);
  return environment;
}

/** The sandbox and the portal accept plain HTTP only on loopback, so the example is reached there whatever it listens on. */
function hostOf(text: (name: string) => string | null, faults: string[]): string {
  const host = text('HOST') ?? '127.0.0.1';
  if (!HOSTS.includes(host)) faults.push(`HOST must be one of ${HOSTS.join(', ')}, not "${host}".`);
  return host;
}

function stripeOf(text: (name: string) => string | null, faults: string[]): StripeEnvironment | null {
  const secretKey = text('STRIPE_SECRET_KEY');
  if (secretKey === null) return null;
  const webhookSecret = text('STRIPE_WEBHOOK_SECRET');
  if (webhookSecret === null) faults.push('STRIPE_WEBHOOK_SECRET is missing beside STRIPE_SECRET_KEY.');
  const prices: Record<string, string> = {};
  for (const { slug, isPublished, isDefaultForPersonal } of plans) {
    const price = text(`STRIPE_PRICE_${slug.toUpperCase()}`);
    if (price !== null && isDefaultForPersonal !== true && isPublished !== false) prices[slug] = price;
  }
  if (Object.keys(prices).length === 0)
    faults.push('No STRIPE_PRICE_<TIER> is set, such as STRIPE_PRICE_PRO: nothing could be sold.');
  return { secretKey, webhookSecret: webhookSecret ?? '', apiBase: text('STRIPE_API_BASE'), prices };
}
