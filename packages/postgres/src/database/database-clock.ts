/** The SQL expression of the database's own clock, in the whole ms that callers are given and hand back. */
export const DATABASE_CLOCK = `date_trunc('milliseconds', clock_timestamp())`;
