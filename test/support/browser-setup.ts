import { findChromium } from './chromium.ts';
import { say } from './find-program.ts';

/** Makes sure a browser exists before the first browser test's clock runs. */
export default async function setup(): Promise<void> {
  say(`Chromium is ${await findChromium()}`);
}
