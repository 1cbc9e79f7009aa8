/** Waits for a number of ms. Passed to the services, so that tests need not really wait. */
export type Wait = (ms: number) => Promise<void>;

/** Waits on a real timer. */
export const wait: Wait = async (ms) => {
  await new Promise<void>((resolve) => setTimeout(resolve, ms));
};
