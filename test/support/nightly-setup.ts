import { configureGlobal, readConfigureGlobal } from 'fast-check';

/** Properties that do not fix their own number of runs get many more of them at night. */
configureGlobal({ ...readConfigureGlobal(), numRuns: 5_000 });
