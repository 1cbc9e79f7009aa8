/** A store or a provider, which may hold connections. */
export interface Part {
  close(): Promise<void>;
}

const ENGINES = Symbol.for('@tollgate/engines');

type Sharing = { [ENGINES]?: WeakMap<Part, number> };

/** How many engines of this process work with a part. Installed copies of this package share it. */
const engines = (globalThis as Sharing)[ENGINES] ?? new WeakMap<Part, number>();
(globalThis as Sharing)[ENGINES] = engines;

/**
 * Notes that an engine works with these parts.
 *
 * @returns lets go of one: it is closed unless another engine still works with it
 */
export function workWith(parts: Readonly<Record<string, Part | null>>): (part: Part) => Promise<void> {
  const held = new Set(Object.values(parts).filter((part) => part !== null));
  for (const part of held) engines.set(part, (engines.get(part) ?? 0) + 1);
  return async (part) => {
    const others = (engines.get(part) ?? 0) - (held.delete(part) ? 1 : 0);
    engines.set(part, others);
    if (others === 0) await part.close();
  };
}
