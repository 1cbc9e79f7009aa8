import { CHANGE, OPERATION, PLACE, RESULT, STATES } from '../protocol.ts';

/** The numbers that the Lua source refers to by names in capitals. */
const CONSTANTS: Readonly<Record<string, number>> = {
  ...prefixed('OP', OPERATION),
  ...prefixed('SAID', RESULT),
  ...prefixed('PLACE', PLACE),
  ...prefixed('CHANGE', CHANGE),
  ...Object.fromEntries(STATES.map((state, index) => [`STATE_${state.toUpperCase()}`, index])),

  MOST: Number.MAX_SAFE_INTEGER,
  NEVER: 2 ** 53,

  // A counter: msgpack, in this order. Written only as far as there is something to say: an idle one ends at ADDED.
  COMMITTED: 1,
  STAMP: 2,
  EPOCH: 3,
  ADDED: 4,
  REMOVED: 5,
  UNCERTAIN: 6,
  HELD: 7,
  INCARNATION: 8,
  FORGET_AT: 9,
  // The stamp before the last recount and the ADDED its token showed, if units were added after that token; else nil.
  PREVIOUS: 10,
  BEGUN: 11,
  MARK_ENDS: 12,
  // Its first stamp, if there were remembered reservations at its birth; else nil.
  BIRTH: 13,

  // A live reservation: these, then the stamp of each charge's counter.
  DEADLINE: 1,
  REMEMBER: 2,
  CORE: 3,

  // A remembered one: these. One that lapsed continues, for each charge: its stamp, place, stamp and ADDED at the lapse, and birth.
  PAST_ENDS: 1,
  PAST_STATE: 2,
  PAST_REMEMBER: 3,
  PAST_CORE: 4,
  LAPSE_FIELDS: 5,

  MARK_MS: 600_000,
  // Longer than any period's counters are kept: a counter with held units is unknown without the lease hash.
  LEASES_GRACE_MS: 40 * 86_400_000,
  TTL_GRACE_MS: 60_000,
  MOST_TTL_MS: 1e12,
};

function prefixed(prefix: string, names: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(names).map(([name, value]) => [
      `${prefix}_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`,
      value,
    ]),
  );
}

/**
 * Replaces the names by their numbers: Lua 5.1 has no constants, and a local that functions capture makes each run of a script slower.
 * @throws Error for a name in capitals that is not known
 */
export function withConstants(lua: string): string {
  return lua.replace(/--[^\n]*|'[^'\n]*'|\b[A-Z][A-Z_]+\b/g, (match) => {
    if (!/^[A-Z]/.test(match)) return match.startsWith('--') ? '' : match;
    const value = CONSTANTS[match];
    if (value === undefined) throw new Error(`The script has no constant ${match}.`);
    return String(value);
  });
}
