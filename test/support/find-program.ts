import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export interface Program {
  /** Its name in messages. */
  readonly title: string;
  /** Accepted names of the executable, preferred first. */
  readonly names: readonly string[];
  /** Folders to search after PATH. */
  readonly folders?: () => readonly string[];
  /** The Debian packages that provide it. */
  readonly debianPackages: readonly string[];
  /** The environment variable to set instead of installing anything. */
  readonly variable?: string;
}

const aptGet: Program = { title: 'APT', names: ['apt-get'], debianPackages: ['apt'] };
const policyFile = '/usr/sbin/policy-rc.d';

/** Prints one line about the tests' services. */
export function say(line: string): void {
  process.stdout.write(`services: ${line}\n`);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export function locateProgram({ names, folders }: Program): string | undefined {
  const places = [...(process.env.PATH ?? '').split(delimiter).filter(Boolean), ...(folders?.() ?? [])];
  return names.flatMap((name) => places.map((place) => join(place, name))).find(isExecutable);
}

async function apt(args: readonly string[]): Promise<{ ok: boolean; output: string }> {
  const child = spawn('apt-get', ['-o', 'DPkg::Lock::Timeout=300', '-y', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    timeout: 900_000,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ ok: false, output: error.message }));
    child.once('close', (code) => resolve({ ok: code === 0, output }));
  });
}

async function installPackages(packages: readonly string[]): Promise<{ ok: boolean; output: string }> {
  // The packages would start system services on well-known ports; the tests need only the programs.
  const forbidServices = !existsSync(policyFile);
  if (forbidServices) writeFileSync(policyFile, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    await apt(['update']);
    return await apt(['install', '--no-install-recommends', ...packages]);
  } finally {
    if (forbidServices) rmSync(policyFile, { force: true });
  }
}

let installing: Promise<unknown> = Promise.resolve();

/**
 * Finds a program, or installs it where possible (on Debian, as root), and resolves with its path.
 * @throws Error saying in one line what to install
 */
export async function findProgram(program: Program): Promise<string> {
  const found = locateProgram(program);
  if (found !== undefined) return found;
  const { title, debianPackages, variable } = program;
  const packages = debianPackages.join(' ');
  const cure = `install it (Debian: apt-get install ${packages})${variable ? ` or set ${variable}` : ''}`;
  const mayInstall =
    process.getuid?.() === 0 && existsSync('/etc/debian_version') && locateProgram(aptGet) !== undefined;
  if (!mayInstall) throw new Error(`${title} is needed by the tests and was not found: ${cure}.`);

  // One at a time: apt holds a lock.
  const mine = installing.then(async () => {
    say(`${title} was not found, installing the Debian package ${packages}`);
    return installPackages(debianPackages);
  });
  installing = mine;
  const { output } = await mine;
  const installed = locateProgram(program);
  if (installed === undefined) {
    throw new Error(`${title} could not be installed: ${cure}.\n${output.slice(-1_000)}`);
  }
  return installed;
}
