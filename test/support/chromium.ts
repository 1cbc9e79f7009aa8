import { type Browser, chromium } from 'playwright-core';
import { findProgram, type Program } from './find-program.ts';

export const chromiumProgram: Program = {
  title: 'Chromium',
  names: ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'],
  // Without a font a browser cannot lay out text.
  debianPackages: ['chromium', 'fonts-dejavu-core'],
  variable: 'CHROMIUM_PATH',
};

/** Resolves with the path of a Chromium, installing one if necessary. */
export async function findChromium(): Promise<string> {
  return process.env.CHROMIUM_PATH ?? (await findProgram(chromiumProgram));
}

/** Starts a headless Chromium; the caller closes it. */
export async function launchChromium(): Promise<Browser> {
  const isRoot = process.getuid?.() === 0;
  return chromium.launch({
    executablePath: await findChromium(),
    // Chromium's sandbox refuses to run as root; small /dev/shm mounts crash its renderer.
    args: ['--disable-dev-shm-usage', ...(isRoot ? ['--no-sandbox'] : [])],
  });
}
