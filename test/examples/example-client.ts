import type { Example } from './start-example.ts';

/** An answer, read to its end. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it
  readonly body: any;
}

/** Calls the API of an example as one of its demo credentials. */
export function clientOf(example: Pick<Example, 'api'>, credential: string | null, org = 'acme') {
  return async (method: string, path: string, body?: unknown): Promise<Answer> => {
    const response = await fetch(`${example.api}${path}`, {
      method,
      redirect: 'manual',
      headers: {
        'X-Org': org,
        ...(credential === null ? {} : { 'X-API-Key': credential }),
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      body: text === '' ? null : JSON.parse(text),
    };
  };
}

/** Presses a button of the sandbox's confirm page. */
export async function press(page: string, action: 'confirm' | 'decline' | 'cancel'): Promise<Response> {
  return await fetch(page, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: `action=${action}`,
  });
}
