import type { SandboxEvent } from './sandbox-state.ts';

const ANSWER_WITHIN_MS = 10_000;

/** Posts events to the app as a provider does: with retries until the app accepts them, but not for ever. */
export interface SandboxDeliveries {
  /** Sends an event, and retries after each of the delays until the app replies 2xx. Resolves after the first attempt. */
  send(event: SandboxEvent): Promise<void>;
  /** Resolves when no event is being sent or waits for a retry. */
  settled(): Promise<void>;
  /** Gives up events that wait for a retry, and waits for those being sent. */
  close(): Promise<void>;
}

/** @param post - makes one attempt; returns whether the app accepted the event */
export function createSandboxDeliveries(
  post: (event: SandboxEvent, signal: AbortSignal) => Promise<boolean>,
  onTaken: (event: SandboxEvent) => void,
  retryDelaysMs: readonly number[],
): SandboxDeliveries {
  const running = new Map<Promise<void>, () => void>();
  const closing = new AbortController();

  async function attempt(event: SandboxEvent): Promise<boolean> {
    try {
      const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(ANSWER_WITHIN_MS)]);
      const taken = await post(event, signal);
      if (taken) onTaken(event);
      return taken;
    } catch {
      return false;
    }
  }

  async function keepTrying(event: SandboxEvent, pause: (ms: number) => Promise<void>): Promise<void> {
    for (const delay of retryDelaysMs) {
      await pause(delay);
      if (closing.signal.aborted || (await attempt(event))) return;
    }
  }

  /** Retries in the background. Its timer does not keep the process alive, and `close` ends it early. */
  function inBackground(event: SandboxEvent): void {
    let wake = () => {};
    const pause = (ms: number) =>
      new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        timer.unref();
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    const run = keepTrying(event, pause).finally(() => running.delete(run));
    running.set(run, () => wake());
  }

  return {
    async send(event) {
      if (closing.signal.aborted) return;
      const first = attempt(event);
      const noted = first.then(() => undefined);
      running.set(noted, () => {});
      const taken = await first;
      if (!taken && !closing.signal.aborted) inBackground(event);
      running.delete(noted);
    },
    async settled() {
      while (running.size > 0) await Promise.all(running.keys());
    },
    async close() {
      closing.abort();
      for (const wake of running.values()) wake();
      await Promise.all(running.keys());
    },
  };
}
