import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** The parameters of one operation of Stripe's client, from its type declarations. */
export interface ClientType {
  /** Field -> its type as written. */
  readonly fields: ReadonlyMap<string, string>;
  /** The namespaces in which names in those types are looked up. */
  readonly scope: readonly string[];
}

/** The declarations of one file of Stripe's client: interfaces and string unions by their full names. */
export interface ClientTypes {
  type(name: string): ClientType | null;
  /** The interface that a field's type text names, if any. */
  inner(text: string, scope: readonly string[]): ClientType | null;
  /** The members of the string union that a field's type text names or is. */
  words(text: string, scope: readonly string[]): readonly string[] | null;
}

const PAGINATION = ['limit', 'starting_after', 'ending_before'];

/** @param file - such as `Checkout/Sessions`, relative to the client's resources */
export function readClientTypes(file: string): ClientTypes {
  const main = createRequire(import.meta.url).resolve('stripe');
  const lines = readFileSync(join(dirname(main), '..', 'esm', 'resources', `${file}.d.ts`), 'utf8').split(
    '\n',
  );
  const types = new Map<string, { fields: Map<string, string>; scope: readonly string[] }>();
  const choices = new Map<string, readonly string[]>();
  const stack: string[] = [];
  for (const line of lines) {
    const namespace = /^\s*(?:export )?(?:declare )?namespace (\w+) \{/.exec(line)?.[1];
    const found = /^\s*(?:export )?interface (\w+)( extends PaginationParams)? \{/.exec(line);
    const field = /^\s*(\w+)\??: (.+?);?$/.exec(line);
    const choice = /^\s*(?:export )?type (\w+) = ('.*);$/.exec(line);
    if (namespace !== undefined) stack.push(namespace);
    else if (found?.[1] !== undefined) {
      stack.push(found[1]);
      const inherited = found[2] === undefined ? [] : PAGINATION.map((name) => [name, 'string'] as const);
      types.set(stack.join('.'), { fields: new Map(inherited), scope: [...stack] });
      if (line.trimEnd().endsWith('{}')) stack.pop();
    } else if (/^\s*\}[>;]*$/.test(line)) stack.pop();
    else if (choice?.[1] !== undefined && choice[2] !== undefined)
      choices.set([...stack, choice[1]].join('.'), wordsIn(choice[2]));
    else if (field?.[1] !== undefined && field[2] !== undefined) {
      types.get(stack.join('.'))?.fields.set(field[1], field[2]);
      if (field[2].endsWith('{')) stack.push(field[1]);
    }
  }

  function lookUp<T>(all: ReadonlyMap<string, T>, text: string, scope: readonly string[]): T | null {
    for (const [name] of text.matchAll(/[A-Z]\w*(?:\.[A-Z]\w*)*/g)) {
      for (let depth = scope.length; depth >= 0; depth -= 1) {
        const hit = all.get([...scope.slice(0, depth), name].join('.'));
        if (hit !== undefined) return hit;
      }
    }
    return null;
  }

  return {
    type: (name) => types.get(name) ?? null,
    inner: (text, scope) => lookUp(types, text, scope),
    words: (text, scope) => lookUp(choices, text, scope) ?? (text.includes("'") ? wordsIn(text) : null),
  };
}

function wordsIn(text: string): readonly string[] {
  return [...text.matchAll(/'([^']*)'/g)].map(([, word]) => word ?? '');
}
