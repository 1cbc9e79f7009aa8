/** A form-encoded value as Stripe's API reads it: text, a list, or named parts. */
export type FormValue = string | readonly FormValue[] | FormParts;
export interface FormParts {
  readonly [name: string]: FormValue;
}

type Node = Map<string, Node> | string;

const MAX_PAIRS = 1_000;

/** Parses `items[0][price]=x&expand[]=y` into nested parts. If a name is given both as text and as parts, the last one wins. */
export function parseForm(text: string): FormParts {
  const root = new Map<string, Node>();
  for (const [name, value] of [...new URLSearchParams(text)].slice(0, MAX_PAIRS))
    put(root, pathOf(name), value);
  return partsOf(root);
}

function pathOf(name: string): string[] {
  const [head = '', ...rest] = name.split('[');
  return [head, ...rest.map((part) => part.replace(/\]$/, ''))];
}

function put(root: Map<string, Node>, path: readonly string[], value: string): void {
  let parts = root;
  for (const [index, step] of path.entries()) {
    const key = step === '' ? String(parts.size) : step;
    if (index === path.length - 1) {
      parts.set(key, value);
      return;
    }
    const next = parts.get(key);
    const inner = next instanceof Map ? next : new Map<string, Node>();
    parts.set(key, inner);
    parts = inner;
  }
}

function partsOf(node: Map<string, Node>): FormParts {
  return Object.assign(
    Object.create(null),
    Object.fromEntries([...node].map(([key, value]) => [key, readNode(value)])),
  );
}

function readNode(node: Node): FormValue {
  if (typeof node === 'string') return node;
  const isList = [...node.keys()].every((key, index) => key === String(index));
  return isList ? [...node.values()].map(readNode) : partsOf(node);
}
