import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** One fenced block of a page. */
export interface Block {
  readonly page: string;
  /** The line of its first line, from 1. */
  readonly line: number;
  readonly language: string;
  readonly code: string;
  /** The file it says it is, in a comment on its first line; null when it is a fragment. */
  readonly file: string | null;
}

export function readPage(page: string): string {
  return readFileSync(`${root}${page}`, 'utf8');
}

/** The fenced blocks of a page that are of a language. */
export function fencedBlocks(page: string, language: string): readonly Block[] {
  const text = readPage(page);
  return [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].flatMap((match) => {
    const [, of = '', code = ''] = match;
    if (of !== language) return [];
    const line = text.slice(0, match.index).split('\n').length + 1;
    return [{ page, line, language, code, file: /^\/\/ (\S+\.ts)\n/.exec(code)?.[1] ?? null }];
  });
}
