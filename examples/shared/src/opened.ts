/** Waits for what a variable of the environment names. @throws Error that names the variable, when it cannot be had */
export async function opened<T>(variable: string, opening: Promise<T>): Promise<T> {
  try {
    return await opening;
  } catch (error) {
    throw new Error(`${variable} cannot be used: ${reasonOf(error)}`, { cause: error });
  }
}

/** What lies at the bottom of an error: what the system or the server said. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.cause !== undefined) return reasonOf(error.cause);
  // Where a name has several addresses, there is an error for each.
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join('; ');
  return error.message;
}
