/** What shows that a client disconnected: a `ServerResponse`, or anything else that emits `close`. */
export interface Leaving {
  readonly destroyed: boolean;
  once(event: 'close', listener: () => void): unknown;
  off(event: 'close', listener: () => void): unknown;
}

/** Holds requests for a while, at most a fixed number at once. */
export interface WaitingRoom {
  /** Waits `ms`. Returns `full` immediately if that many are waiting already, and `left` as soon as the client disconnects. */
  wait(ms: number, client: Leaving): Promise<'waited' | 'full' | 'left'>;
  /** How many are waiting now. */
  readonly waiting: number;
}

export function createWaitingRoom(maxWaiting: number): WaitingRoom {
  let waiting = 0;
  return {
    get waiting() {
      return waiting;
    },
    wait(ms, client) {
      if (client.destroyed) return Promise.resolve('left');
      if (waiting >= maxWaiting) return Promise.resolve('full');
      waiting += 1;
      return new Promise((resolve) => {
        const end = (how: 'waited' | 'left') => {
          waiting -= 1;
          clearTimeout(timer);
          client.off('close', leave);
          resolve(how);
        };
        const leave = () => end('left');
        const timer = setTimeout(() => end('waited'), ms);
        client.once('close', leave);
      });
    },
  };
}
