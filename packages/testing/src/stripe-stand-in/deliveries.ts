import type { EventObject } from './objects.ts';

/** What to do with an event when it happens. */
export type DeliveryRule = (event: EventObject) => 'send' | 'twice' | 'hold' | 'drop';

/** The app's response to one delivery; status 0 if there was none. */
export interface DeliveryAnswer {
  readonly eventId: string;
  readonly status: number;
  /** The `X-Webhook-Outcome` header, if present. */
  readonly outcome: string | null;
}

/** Posts events to the app one at a time, in the order in which they happened unless told otherwise. */
export interface Deliveries {
  happened(event: EventObject): void;
  setRule(rule: DeliveryRule): void;
  /** Events that were held, oldest first. */
  held(): readonly EventObject[];
  /** Posts events now, one after another in the given order. An event listed twice is posted twice. */
  deliver(events: readonly EventObject[]): Promise<readonly DeliveryAnswer[]>;
  /** All responses of the app so far. */
  answers(): readonly DeliveryAnswer[];
  /** Resolves when no delivery is in flight and none is waiting for a retry. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

/** @param post - makes one attempt. @param retryDelaysMs - delays before an event that the app did not accept is posted again */
export function createDeliveries(
  post: (event: EventObject, signal: AbortSignal) => Promise<DeliveryAnswer>,
  retryDelaysMs: readonly number[],
): Deliveries {
  const closing = new AbortController();
  const answered: DeliveryAnswer[] = [];
  const waiting = new Map<Promise<void>, () => void>();
  let onHold: EventObject[] = [];
  let rule: DeliveryRule = () => 'send';
  let tail: Promise<void> = Promise.resolve();

  async function attempt(event: EventObject): Promise<DeliveryAnswer> {
    const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(20_000)]);
    const answer = await post(event, signal).catch(() => ({ eventId: event.id, status: 0, outcome: null }));
    answered.push(answer);
    return answer;
  }

  function queue(event: EventObject, tries = 0): void {
    tail = tail.then(async () => {
      if (closing.signal.aborted) return;
      const { status } = await attempt(event);
      const delay = retryDelaysMs[tries];
      if ((status >= 200 && status < 300) || delay === undefined) return;
      later(delay, () => queue(event, tries + 1));
    });
  }

  function later(ms: number, then: () => void): void {
    let wake = () => {};
    const pause = new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      timer.unref();
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    const run: Promise<void> = pause.then(() => {
      waiting.delete(run);
      if (!closing.signal.aborted) then();
    });
    waiting.set(run, () => wake());
  }

  return {
    happened(event) {
      const decision = rule(event);
      if (decision === 'hold') onHold.push(event);
      if (decision === 'send' || decision === 'twice') queue(event);
      if (decision === 'twice') queue(event);
    },
    setRule(next) {
      rule = next;
    },
    held: () => onHold,
    async deliver(events) {
      onHold = onHold.filter((event) => !events.includes(event));
      const answers: DeliveryAnswer[] = [];
      for (const event of events) answers.push(await attempt(event));
      return answers;
    },
    answers: () => answered,
    async settled() {
      for (;;) {
        const before = tail;
        await before;
        if (waiting.size > 0) await Promise.all(waiting.keys());
        else if (before === tail) return;
      }
    },
    async close() {
      closing.abort();
      for (const wake of waiting.values()) wake();
      await Promise.all(waiting.keys());
      await tail;
    },
  };
}
