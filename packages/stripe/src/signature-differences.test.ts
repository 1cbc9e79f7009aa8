import { readFileSync } from 'node:fs';
import { TollgateError } from '@tollgate/core';
import { Stripe } from 'stripe';
import { expect, it } from 'vitest';
import {
  bytesOf,
  event,
  hmac,
  NOW,
  OTHER_SECRET,
  SECRET,
  webhookProvider,
} from './webhook-rig.test-support.ts';

const RUNS = Number(process.env.TOLLGATE_FUZZ_RUNS ?? 10_000);
const SECONDS = NOW / 1_000;

interface Delivery {
  readonly bytes: Uint8Array;
  readonly header: string;
}

/** A small generator of numbers, so that a run can be repeated by its seed. */
function numbers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const parts = (header: string) => header.split(',');
const values = (header: string, name: string) =>
  parts(header)
    .filter((part) => part === name || part.startsWith(`${name}=`))
    .map((part) => part.slice(name.length + 1));
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const parsed = (bytes: Uint8Array): unknown => {
  try {
    return JSON.parse(text(bytes));
  } catch {
    return undefined;
  }
};
const hasBom = (bytes: Uint8Array) => bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;

/** Every way in which our verdict may differ from the SDK's. The names stand in docs/stripe.md. */
const DIFFERENCES: Readonly<Record<string, (delivery: Delivery) => boolean>> = {
  'a `t` of the future': ({ header }) =>
    Number.parseInt(values(header, 't').at(-1) ?? '', 10) > SECONDS + 300,
  'a `t` that is not 1 to 12 plain digits': ({ header }) =>
    values(header, 't').some((t) => !/^\d{1,12}$/.test(t)),
  'a `t` with leading zeros': ({ header }) => values(header, 't').some((t) => /^0\d/.test(t)),
  'more than one `t`': ({ header }) => values(header, 't').length > 1,
  'a `v1` that is not 64 lower-case hex digits': ({ header }) =>
    values(header, 'v1').some((v1) => !/^[0-9a-f]{64}$/.test(v1)),
  'more than 16 `v1`': ({ header }) => values(header, 'v1').length > 16,
  'a header of more than 4,096 characters': ({ header }) => header.length > 4_096,
  'a byte order mark': ({ bytes }) => hasBom(bytes),
  'a body that is no event': ({ bytes }) => {
    const body = parsed(bytes) as { object?: unknown; id?: unknown; data?: unknown } | null | undefined;
    if (body?.object === 'v2.core.event') return false;
    return (
      typeof body !== 'object' ||
      body === null ||
      body.object !== 'event' ||
      body.id === undefined ||
      body.data === undefined
    );
  },
  'a name twice in one object': ({ bytes }) => text(bytes).split('"livemode"').length > 2,
  'nesting deeper than 64': ({ bytes }) => text(bytes).includes('['.repeat(64)),
  'a thin event': ({ bytes }) =>
    (parsed(bytes) as { object?: unknown } | undefined)?.object === 'v2.core.event',
};

function sdkAccepts({ bytes, header }: Delivery): boolean {
  try {
    Stripe.webhooks.constructEvent(Buffer.from(bytes), header, SECRET, 300, undefined, NOW);
    return true;
  } catch {
    return false;
  }
}

const provider = webhookProvider();
async function weAccept({ bytes, header }: Delivery): Promise<boolean> {
  try {
    await provider.readWebhook({ bytes, header: () => header, now: NOW });
    return true;
  } catch (error) {
    if (error instanceof TollgateError && ['invalid_signature', 'invalid_event'].includes(error.code))
      return false;
    throw error;
  }
}

const whole = JSON.stringify(event());
const thin = {
  id: 'evt_thin',
  object: 'v2.core.event',
  type: 'v1.x',
  created: '2026-04-09T12:00:00Z',
  livemode: false,
};
const BODIES: readonly (string | Uint8Array)[] = [
  whole,
  whole,
  whole,
  JSON.stringify(event(), null, 2),
  `\ufeff${whole}`,
  'null',
  '[]',
  '{}',
  '{"object":"event"}',
  '',
  whole.replace('"livemode":false', '"livemode":true,"livemode":false'),
  whole.replace('"request":null', `"request":${'['.repeat(70)}${']'.repeat(70)}`),
  JSON.stringify(thin),
  whole.replace('active', 'activé ✓'),
  Uint8Array.of(...bytesOf('{"a":"'), 0xff, ...bytesOf('"}')),
];

/** One delivery, often nearly right: the header is mostly made for the body, then parts of either are spoilt. */
function delivery(random: (below: number) => number): Delivery {
  const pick = <T>(list: readonly T[]): T => list[random(list.length)] as T;
  const body = pick(BODIES);
  let bytes = typeof body === 'string' ? bytesOf(body) : body;
  const t = pick([
    SECONDS,
    SECONDS,
    SECONDS,
    SECONDS - 300,
    SECONDS - 301,
    SECONDS + 300,
    SECONDS + 301,
    SECONDS + 9_999,
  ]);
  // The SDK signs what it decoded, without a byte order mark; both ways are tried.
  const signed = hasBom(bytes) && random(2) === 0 ? bytes.slice(3) : bytes;
  const mac = hmac(signed, t, random(8) === 0 ? OTHER_SECRET : SECRET);
  let times = [`t=${t}`];
  let signatures = [`v1=${mac}`];
  switch (random(16)) {
    case 0:
      times = [`t=${pick(['0', '00', '+', ' ', '-'])}${t}`];
      break;
    case 1:
      times = [`t=${t}${pick(['abc', '.5', ' ', '=1', 'e3', ''])}`];
      break;
    case 2:
      times = pick([
        [`t=${t}`, `t=${t}`],
        [`t=1`, `t=${t}`],
        [`t=${t}`, 't=1'],
        [],
        ['t'],
        ['t='],
        ['t=abc'],
      ]);
      break;
    case 3:
      signatures = Array(pick([2, 16, 17, 40])).fill(`v1=${mac}`);
      break;
    case 4:
      signatures = pick([
        ['v1='],
        ['v1'],
        [],
        [`v1=${mac}`, 'v1=short'],
        ['v1=short', `v1=${mac}`],
        [`v1=${mac}=x`],
      ]);
      break;
    case 5:
      signatures = [
        pick([
          `v1=${mac.toUpperCase()}`,
          `v0=${mac}`,
          ` v1=${mac}`,
          `V1=${mac}`,
          `v1=${mac} `,
          `v1=0x${mac}`,
        ]),
      ];
      break;
    case 6:
      signatures = [`v1=${'0'.repeat(64)}`, `v1=${mac}`, `v0=${'a'.repeat(pick([4, 5_000]))}`];
      break;
    default:
  }
  let header = (random(8) === 0 ? [...signatures, ...times] : [...times, ...signatures]).join(
    pick([',', ',', ',', ',', ', ', ',,']),
  );
  for (let left = random(4) === 0 ? 1 + random(2) : 0; left > 0; left -= 1) {
    const at = random(Math.max(1, header.length));
    const letter = pick(['0', 'a', '=', ',', ' ', 't', 'v1=', '\u00a0', '%', '"']);
    header = pick([
      header.slice(0, at) + header.slice(at + 1),
      header.slice(0, at) + letter + header.slice(at),
    ]);
  }
  if (random(6) === 0 && bytes.length > 0) {
    const at = random(bytes.length);
    bytes = Uint8Array.from(bytes);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8));
  }
  return { bytes, header };
}

it(
  `T1, T3, T5: differs from the SDK's verdict only as the written list says, in ${RUNS} deliveries right and wrong`,
  async () => {
    const random = numbers(Number(process.env.TOLLGATE_FUZZ_SEED ?? 20_260_409));
    const seen = new Map<string, number>();
    const unexplained: unknown[] = [];
    const agreed = { accepted: 0, refused: 0 };
    for (let run = 0; run < RUNS; run += 1) {
      const made = delivery(random);
      const ours = await weAccept(made);
      if (ours === sdkAccepts(made)) {
        agreed[ours ? 'accepted' : 'refused'] += 1;
        continue;
      }
      const reasons = Object.keys(DIFFERENCES).filter((name) => DIFFERENCES[name]?.(made));
      if (reasons.length === 0)
        unexplained.push({ ours, header: made.header, body: text(made.bytes).slice(0, 200) });
      // A reason counts where it is the only one: such a delivery shows that the difference is real.
      if (reasons.length === 1) seen.set(reasons[0] ?? '', (seen.get(reasons[0] ?? '') ?? 0) + 1);
    }
    expect(unexplained).toEqual([]);
    expect(agreed.accepted).toBeGreaterThan(RUNS / 20);
    expect(agreed.refused).toBeGreaterThan(RUNS / 20);
    expect([...seen.keys()].sort()).toEqual(Object.keys(DIFFERENCES).sort());
  },
  Math.max(60_000, RUNS),
);

it('tells every difference in the guide', () => {
  const guide = readFileSync(new URL('../../../docs/stripe.md', import.meta.url), 'utf8');
  for (const name of Object.keys(DIFFERENCES)) expect(guide).toContain(name);
});
