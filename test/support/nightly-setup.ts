import { configureGlobal, readConfigureGlobal } from 'fast-check';

/** In the nightly run, properties that do not set their own number of runs get many more. */
configureGlobal({ ...readConfigureGlobal(), numRuns: 5_000 });
