/** Waits for the service that an environment variable names to open. @throws Error naming the variable if that fails */
export async function opened<T>(variable: string, opening: Promise<T>): Promise<T> {
  try {
    return await opening;
  } catch (error) {
    throw new Error(`${variable} cannot be used: ${reasonOf(error)}`, { cause: error });
  }
}

/** The root cause of an error, as the system or the server reported it. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.cause !== undefined) return reasonOf(error.cause);
  // A name with several addresses yields an error for each.
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join('; ');
  return error.message;
}
