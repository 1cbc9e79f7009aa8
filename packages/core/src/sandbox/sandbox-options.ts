import { checkNamesOf } from '../check-parts.ts';
import { TollgateError } from '../errors/tollgate-error.ts';
import type { Clock } from '../ports/clock.ts';

/** The options of `sandboxProvider`. */
export interface SandboxOptions {
  /**
   * The app's own webhook route, such as `http://127.0.0.1:3000/api/v1/billing/webhooks/sandbox`; a function if the app learns its port
   * late; null to post nothing (take events from `signed`).
   */
  readonly webhookUrl: string | null | (() => string | null);
  /** The secret that signs webhooks. @default a random one, kept in `file` if there is one */
  readonly secret?: string;
  /** Where its pages listen: a loopback host, or `0.0.0.0` inside a container. @default '127.0.0.1' */
  readonly host?: string;
  /** @default the port of the last run kept in `file`, else a free one */
  readonly port?: number;
  /**
   * A JSON file that keeps everything across restarts. Processes on one machine may share it, and those of one app (`node:cluster`) must:
   * a page that one of them opened may be requested from another.
   * @default none: everything is lost with the process
   */
  readonly file?: string;
  /** The host's page to return to; `checkout` (`success` or `canceled`) and `session_id` are added. @default a page of the sandbox */
  readonly returnUrl?: string;
  /** What ending a subscription does. @default 'at_once' */
  readonly cancel?: 'at_once' | 'at_period_end';
  /** The tiers that can be bought; the portal has a button for each. @default every tier, and a text field */
  readonly tiers?: readonly string[];
  /** Delays before an event is resent, ms. @default [250, 1_000, 5_000, 30_000, 120_000, 600_000] */
  readonly retryDelaysMs?: readonly number[];
  /** Its name in URLs and in storage. @default 'sandbox' */
  readonly name?: string;
  /** @default the real one */
  readonly clock?: Clock;
}

const OPTION_NAMES = {
  webhookUrl: true,
  secret: true,
  host: true,
  port: true,
  file: true,
  returnUrl: true,
  cancel: true,
  tiers: true,
  retryDelaysMs: true,
  name: true,
  clock: true,
} as const satisfies { readonly [P in keyof Required<SandboxOptions>]: true };

const HOSTS = /^(localhost|127(\.\d{1,3}){3}|::1|0\.0\.0\.0|::)$/;
const NAME = /^[a-z0-9][a-z0-9_-]{0,31}$/;

/** @throws TollgateError `invalid_configuration`, with one sentence per option at fault */
export function checkSandboxOptions(options: SandboxOptions): void {
  const given: Partial<SandboxOptions> = options ?? {};
  const { webhookUrl, secret, host, port, returnUrl, cancel, retryDelaysMs, name } = given;
  const faults: string[] = [];
  if (typeof webhookUrl === 'string' && !isWebUrl(webhookUrl))
    faults.push('webhookUrl must be an http or https address.');
  if (webhookUrl === undefined)
    faults.push('webhookUrl is missing: give the address of the webhook route, or null to post nothing.');
  if (secret !== undefined && !isUsableSecret(secret))
    faults.push('secret must not be blank: give some random text, or leave it out.');
  if (host !== undefined && !HOSTS.test(host))
    faults.push('host must be a loopback host, or 0.0.0.0 inside a container.');
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65_535))
    faults.push('port must be from 0 to 65535.');
  if (returnUrl !== undefined && !isWebUrl(returnUrl))
    faults.push('returnUrl must be an http or https address.');
  if (cancel !== undefined && cancel !== 'at_once' && cancel !== 'at_period_end') {
    faults.push("cancel must be 'at_once' or 'at_period_end'.");
  }
  if (retryDelaysMs?.some((ms) => !(Number.isInteger(ms) && ms >= 0)) === true)
    faults.push('retryDelaysMs must be whole numbers of ms.');
  if (name !== undefined && !NAME.test(name))
    faults.push('name must be 1 to 32 of a-z, 0-9, _ and -, and begin with a letter or a digit.');
  checkNamesOf(given, OPTION_NAMES, '', faults);
  if (faults.length > 0) {
    throw new TollgateError('invalid_configuration', {
      message: `The sandbox is misconfigured: ${faults.join(' ')}`,
    });
  }
}

function isWebUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}

/** At least one visible ASCII character: white space of any kind is not a secret. */
function isUsableSecret(secret: unknown): boolean {
  return typeof secret === 'string' && /[\x21-\x7e]/.test(secret);
}
