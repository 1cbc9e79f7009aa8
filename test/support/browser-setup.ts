import { findChromium } from './chromium.ts';
import { say } from './find-program.ts';

/** Makes sure that a browser is installed before the time-out of the first browser test starts. */
export default async function setup(): Promise<void> {
  say(`Chromium is ${await findChromium()}`);
}
