const SECRET = /\b(?:whsec|sk|rk)_[A-Za-z0-9_]+/g;

/** What a log may hold of an error: its name, message and stack with secrets blotted out; never its other properties. */
export function describeError(error: unknown): Readonly<Record<string, unknown>> {
  if (!(error instanceof Error)) return { error: `a thrown ${error === null ? 'null' : typeof error}` };
  const facts: Record<string, unknown> = { error: blot(error.stack ?? `${error.name}: ${error.message}`) };
  if (error.cause instanceof Error) facts.cause = blot(`${error.cause.name}: ${error.cause.message}`);
  return facts;
}

function blot(text: string): string {
  return text.replace(SECRET, '[secret]');
}
