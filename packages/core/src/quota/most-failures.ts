/** If the counters of this many orgs in a row cannot be read or written, the store is at fault, and the other orgs are not tried. */
export const MOST_FAILURES = 3;
