import { createServer, type RequestListener } from 'node:http';
import { type Environment, readEnvironment } from './environment.ts';
import { basePath, type Host, openHost } from './open-host.ts';
import { opened } from './opened.ts';

/** How long requests in flight may take after a signal to stop. */
const DRAIN_MS = 8_000;

/** Runs an example: opens the host and listens. On SIGTERM or SIGINT it drains the requests in flight before it exits. */
export async function serve(framework: string, listener: (host: Host) => RequestListener): Promise<void> {
  try {
    const environment = readEnvironment(process.env);
    const host = await openHost(environment);
    await listen(framework, environment, host, listener(host));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  }
}

async function listen(
  framework: string,
  environment: Environment,
  host: Host,
  listener: RequestListener,
): Promise<void> {
  const server = createServer(listener);
  const listening = new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(environment.port, environment.host, resolve);
  });
  await opened('PORT', listening);
  console.log(banner(framework, host));

  let stopping = false;
  const stop = async (signal: string) => {
    if (stopping) process.exit(1);
    stopping = true;
    console.log(`${signal}: requests under way end, then this process does`);
    const closed = new Promise((resolve) => server.close(resolve));
    // A busy connection becomes idle only once its response is sent, so idle ones are closed repeatedly.
    const sweep = setInterval(() => server.closeIdleConnections(), 50);
    const last = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
    await closed;
    clearInterval(sweep);
    clearTimeout(last);
    await host.close();
    process.exit(0);
  };
  const onSignal = (signal: string) => {
    stop(signal).catch((error: unknown) => {
      console.error('could not end in peace', error);
      process.exit(1);
    });
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}

function banner(framework: string, { origin, description }: Host): string {
  const api = `${origin}${basePath}`;
  return `
Tollgate example on ${framework}: ${origin}/
${description.map((line) => `  ${line}`).join('\n')}

Try (the fourth time the first one answers 429):
  curl -i -X POST ${api}/devices -H 'X-API-Key: demo-admin' -H 'X-Org: acme'
  curl -s ${api}/orgs/acme/billing/usage -H 'X-API-Key: demo-admin'
  curl -i -X POST ${api}/orgs/acme/billing/checkout -H 'X-API-Key: demo-admin' -H 'Content-Type: application/json' -d '{"tier_slug":"pro"}'
`;
}
