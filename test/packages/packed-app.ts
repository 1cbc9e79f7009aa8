import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const root = fileURLToPath(new URL('../..', import.meta.url));

const start = promisify(execFile);

/** Runs a program to its end; answers what it printed, or fails with all of it. */
export async function run(command: string, args: readonly string[], cwd: string): Promise<string> {
  try {
    const { stdout } = await start(command, args, { cwd, maxBuffer: 32 * 1024 * 1024 });
    return stdout;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`${command} ${args.join(' ')} failed\n${stdout}\n${stderr}`, { cause: error });
  }
}

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
}

const manifestOf = (folder: string): Manifest => JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));

/** The version of a package that the workspace itself has: installing it again needs no download. */
export function versionHere(name: string): string {
  return manifestOf(`${root}node_modules/${name}`).version;
}

/** Builds all packages and packs the public ones as they would be published; answers the tarballs by package name. */
export async function packAll(into: string): Promise<ReadonlyMap<string, string>> {
  await run(`${root}node_modules/.bin/tsc`, ['-b', 'tsconfig.build.json'], root);
  const folders = readdirSync(`${root}packages`)
    .map((name) => `${root}packages/${name}`)
    .filter((folder) => manifestOf(folder).private !== true);
  const packed = folders.map(async (folder) => {
    const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', into];
    const report = JSON.parse(await run('npm', args, folder));
    const [{ filename }] = (Array.isArray(report) ? report : Object.values(report)) as [{ filename: string }];
    return [manifestOf(folder).name, join(into, filename)] as const;
  });
  return new Map(await Promise.all(packed));
}
