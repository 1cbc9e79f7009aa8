import type { Charge } from '../ports/counter-store.ts';

/** One charge of an unsettled reservation. */
export interface OpenCharge extends Charge {
  /** Where its units are counted now. */
  place: 'held' | 'committed' | 'uncertain' | 'nowhere';
  /** Whether a recount of the counter was finished since it was reserved. */
  straddled: boolean;
  /** The counter's `added` when the lease ran out: a token with at least this value was made after it. */
  lapsedAt: bigint;
}

/** A charge at the time of its reserve. */
export function openCharge({ key, window, amount, limit, onUnknown, forgetAt }: Charge): OpenCharge {
  return { key, window, amount, limit, onUnknown, forgetAt, place: 'held', straddled: false, lapsedAt: 0n };
}

/** Where units go if nobody knows how their handler ended. */
export function placeWhenUnknown({ onUnknown }: Charge): OpenCharge['place'] {
  return onUnknown === 'uncertain' ? 'uncertain' : onUnknown === 'commit' ? 'committed' : 'nowhere';
}

/** A count taken while the reservation was open may or may not include its rows: then its units become uncertain. */
export function placeWhenCommitted({ onUnknown, straddled }: OpenCharge): OpenCharge['place'] {
  return onUnknown === 'uncertain' && straddled ? 'uncertain' : 'committed';
}

/** A string that two lists of charges share only if they have the same counters and amounts, in the same order. */
export function fingerprintOf(charges: readonly Charge[]): string {
  let text = '';
  for (const { key, window, amount } of charges) {
    text += `${key.length}:${key}${window.length}:${window}${amount};`;
  }
  return text;
}
