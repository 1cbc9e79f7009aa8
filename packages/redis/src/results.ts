import type { CounterReading, ReservationState } from '@tollgate/core';
import type { NumberReader } from './number-reader.ts';
import { RESULT, STATES } from './protocol.ts';
import { unavailable } from './unavailable.ts';

/** @throws TollgateError `quota_unavailable` when the script could not do the operation; the result has no more numbers then */
export function readResult(numbers: NumberReader): number {
  const result = numbers.next();
  if (result === RESULT.refused) throw unavailable(new Error('Redis is over its maxmemory.'));
  if (result === RESULT.unreadable) {
    throw unavailable(
      new Error(
        'A key of this org cannot be read: it is damaged or of a foreign type, or its slot is being moved.',
      ),
    );
  }
  return result;
}

function readReading(numbers: NumberReader): CounterReading {
  return {
    committed: numbers.next(),
    held: numbers.next(),
    uncertain: numbers.next(),
    countAgeMs: numbers.next(),
  };
}

export function readReadings(numbers: NumberReader, count: number): readonly CounterReading[] {
  const readings = [readReading(numbers)];
  while (readings.length < count) readings.push(readReading(numbers));
  return readings;
}

/** Null if the store has no count. */
export function readCount(numbers: NumberReader): CounterReading | null {
  return numbers.next() === 1 ? readReading(numbers) : null;
}

export function readList(numbers: NumberReader): readonly number[] {
  return Array.from({ length: numbers.next() }, () => numbers.next());
}

export function readState(numbers: NumberReader): ReservationState {
  const state = STATES[numbers.next()];
  if (state === undefined) throw unexpected(-1);
  return state;
}

export function unexpected(result: number): Error {
  return unavailable(new Error(`The batch script answered ${result}, which this operation does not know.`));
}
