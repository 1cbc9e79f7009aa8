/**
 * A Map whose entries come and go by the thousand a second, such as what is under way at the moment.
 *
 * A plain Map that is emptied as fast as it is filled rebuilds its table again and again, and V8 links each outgrown table to the next:
 * once one of them is old, young garbage is dragged along from table to table until the next full collection. Here the Map is replaced by
 * a copy before it has to rebuild.
 */
export interface ChurningMap<K, V> {
  readonly size: number;
  get(key: K): V | undefined;
  set(key: K, value: V): void;
  delete(key: K): void;
  clear(): void;
  /** In the order they were first set. */
  entries(): Iterable<[K, V]>;
}

const LEAST_ADDITIONS = 64;

export function createChurningMap<K, V>(): ChurningMap<K, V> {
  let map = new Map<K, V>();
  let additionsLeft = LEAST_ADDITIONS;

  return {
    get size() {
      return map.size;
    },
    get: (key) => map.get(key),
    set(key, value) {
      additionsLeft -= 1;
      if (additionsLeft < 0) {
        map = new Map(map);
        additionsLeft = Math.max(LEAST_ADDITIONS, map.size);
      }
      map.set(key, value);
    },
    delete: (key) => void map.delete(key),
    clear() {
      map = new Map();
      additionsLeft = LEAST_ADDITIONS;
    },
    entries: () => map,
  };
}
