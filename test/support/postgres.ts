import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Client } from 'pg';
import { findProgram, type Program } from './find-program.ts';
import { freePort } from './free-port.ts';
import { type ServiceProcess, ServiceStartError, startProcess } from './service-process.ts';
import { type Owner, removeFolder, temporaryFolder } from './temporary-folder.ts';

const debianRoot = '/usr/lib/postgresql';

export const postgresProgram: Program = {
  title: 'PostgreSQL',
  names: ['postgres'],
  folders: () => {
    const versions = existsSync(debianRoot) ? readdirSync(debianRoot) : [];
    return versions.sort((a, b) => Number(b) - Number(a)).map((version) => join(debianRoot, version, 'bin'));
  },
  debianPackages: ['postgresql'],
  variable: 'DATABASE_URL',
};

export interface PostgresOptions {
  /** @default a free one */
  readonly port?: number;
  /** Additional arguments for postgres, which override the defaults. */
  readonly args?: readonly string[];
  /** The data folder of a killed server, to restart on its data. @default a new temporary one */
  readonly dir?: string;
}

export interface PostgresServer extends ServiceProcess {
  readonly url: string;
  readonly port: number;
  readonly dir: string;
}

/** PostgreSQL refuses to run as root. As root, it runs as the user of its package, or as nobody. */
function serverOwner(): Owner | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const user = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody');
  if (user === undefined) throw new Error('PostgreSQL does not run as root: add a user called postgres.');
  return { uid: Number(user[2]), gid: Number(user[3]) };
}

/** Runs a program that comes with postgres, and resolves with what it writes. */
async function runProgram(
  program: string,
  args: readonly string[],
  { dir = tmpdir(), owner, input }: { dir?: string; owner?: Owner | undefined; input?: Buffer } = {},
): Promise<Buffer> {
  const command = await findProgram(postgresProgram);
  const child = spawn(join(dirname(realpathSync(command)), program), args, {
    cwd: dir,
    env: { PATH: process.env.PATH, LC_ALL: 'C', HOME: dir },
    ...(owner && { uid: owner.uid, gid: owner.gid }),
  });
  const output: Buffer[] = [];
  let complaint = '';
  child.stdout.on('data', (chunk) => output.push(chunk));
  child.stderr.on('data', (chunk) => (complaint += String(chunk)));
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  return new Promise<Buffer>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(Buffer.concat(output));
      else reject(new Error(`${program} failed: ${complaint.trim()}`));
    });
  });
}

/** Creates a server's data folder, as its owner. */
async function makeData(program: string, args: readonly string[], dir: string, owner: Owner | undefined) {
  await runProgram(program, ['-D', join(dir, 'data'), ...args], { dir, owner });
}

/** Dumps a database that is in use. `restore` puts what was dumped in its place, whoever is connected. */
export async function backUp(url: string): Promise<{ restore(): Promise<void> }> {
  const input = await runProgram('pg_dump', ['-Fc', url]);
  return {
    async restore() {
      const name = new URL(url).pathname.slice(1);
      const client = new Client({ connectionString: new URL('/postgres', url).href });
      await client.connect();
      await client.query(`drop database "${name}" with (force)`);
      await client.query(`create database "${name}"`);
      await client.end();
      await runProgram('pg_restore', ['-d', url], { input });
    },
  };
}

async function answers(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 1_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}

const settings = [
  'fsync=off',
  'full_page_writes=off',
  'unix_socket_directories=',
  'listen_addresses=127.0.0.1',
];

/** Starts a separate PostgreSQL on loopback, with durability switched off, and resolves once it answers. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const command = await findProgram(postgresProgram);
  const owner = serverOwner();
  const dir = options.dir ?? temporaryFolder('postgres', owner);
  if (!existsSync(join(dir, 'data', 'PG_VERSION'))) {
    const args = ['-U', 'tollgate', '--auth=trust', '-E', 'UTF8', '--locale=C', '--no-sync'];
    await makeData('initdb', args, dir, owner);
  }
  for (let attempt = 1; ; attempt += 1) {
    const port = options.port ?? (await freePort());
    const url = `postgres://tollgate@127.0.0.1:${port}/postgres`;
    const given = [...settings.flatMap((setting) => ['-c', setting]), ...(options.args ?? [])];
    try {
      const service = await startProcess({
        command,
        args: ['-D', join(dir, 'data'), '-p', `${port}`, ...given],
        directory: dir,
        owner,
        logFile: join(dir, 'server.log'),
        isReady: () => answers(url),
        // Fast shutdown: terminates open sessions instead of waiting for them.
        stopSignal: 'SIGINT',
      });
      const stop = async () => {
        await service.stop();
        if (options.dir === undefined) removeFolder(dir);
      };
      return { ...service, stop, port, url, dir };
    } catch (error) {
      const mayRetry = error instanceof ServiceStartError && options.port === undefined && attempt < 3;
      if (!mayRetry) throw error;
    }
  }
}

/** Starts a standby, copied from the primary on a port and streaming from it until it is promoted. */
export async function startStandby(primaryPort: number): Promise<PostgresServer> {
  const owner = serverOwner();
  const dir = temporaryFolder('standby', owner);
  const primary = `host=127.0.0.1 port=${primaryPort} user=tollgate`;
  const args = ['-d', primary, '--write-recovery-conf', '--checkpoint=fast', '--no-sync'];
  await makeData('pg_basebackup', args, dir, owner);
  const standby = await startPostgres({ dir });
  const stop = async () => {
    await standby.stop();
    removeFolder(dir);
  };
  return { ...standby, stop };
}
