/** So many orgs in a row whose counters cannot be read or written: it is the store, and the others need not be tried. */
export const MOST_FAILURES = 3;
