/** The path of a request target as it was sent: without query, fragment, scheme and host, and not decoded. */
export function rawPath(target: string): string {
  const path = target.startsWith('/') ? target : target.replace(/^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?#]*/, '');
  const end = path.search(/[?#]/);
  return end === -1 ? path : path.slice(0, end);
}

/** The query of a request target as it was sent, without its `?`. */
export function rawQuery(target: string): string {
  const beforeFragment = target.split('#', 1)[0] ?? '';
  const start = beforeFragment.indexOf('?');
  return start === -1 ? '' : beforeFragment.slice(start + 1);
}

export interface PathMatch {
  /** What comes before the route's own path: where it is mounted. */
  readonly basePath: string;
  /** Parameters by name, as sent. */
  readonly params: ReadonlyMap<string, string>;
}

/**
 * Reads a route's parameters from the end of a raw path, so that no framework has decoded them and the mount point need not be
 * known. Null if the path does not end in the template.
 */
export function matchPath(template: string, path: string): PathMatch | null {
  const wanted = template.split('/').slice(1);
  const given = path.split('/');
  if (given.length <= wanted.length) return null;
  const tail = given.slice(given.length - wanted.length);
  const params = new Map<string, string>();
  for (const [index, segment] of wanted.entries()) {
    const value = tail[index] ?? '';
    const name = /^\{(\w+)\}$/.exec(segment)?.[1];
    if (name === undefined ? value !== segment : value === '') return null;
    if (name !== undefined) params.set(name, value);
  }
  return { basePath: given.slice(0, given.length - wanted.length).join('/'), params };
}

/** A segment decoded once; null when its percent-encoding is broken. */
export function decodeSegment(segment: string): string | null {
  try {
    return decodeURIComponent(segment);
  } catch {
    return null;
  }
}
