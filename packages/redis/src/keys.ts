import { evenTags } from './tags.ts';

/** The keys of one hash tag. Everything the store ever writes is named here and in the key notes of scripts/leases.ts. */
export interface TagKeys {
  /** A process' last batch and its reply, so that a second copy of the batch changes nothing. Expires by itself. */
  readonly record: (process: string) => string;
  /** The store's epoch and the identity of the server that wrote it. Its loss makes every counter unknown. */
  readonly epoch: string;
}

/** The keys of one org. */
export interface OrgKeys {
  readonly tag: number;
  /** Live reservations by id, and a head with bounds on their deadlines and number. */
  readonly leases: string;
  /** The counters of one window, by quota key. */
  readonly counters: (window: string) => string;
}

/** Where an ended reservation is remembered. The script builds the same key. */
export const endedKey = ({ leases }: OrgKeys, id: string) => `${leases.slice(0, -1)}i:${id}`;

/** Where an adjustment is remembered. The script builds the same key. */
export const adjustedKey = ({ leases }: OrgKeys, id: string) => `${leases.slice(0, -1)}a:${id}`;

/**
 * Builds keys. An org's key contains its id, so no two orgs share one. All characters but A-Z, a-z, 0-9, `_` and `-` are written as `%`,
 * hexadecimal digits and `.`, so that no `:`, `|` or brace comes from an id.
 */
export function spellKeys(options: { readonly prefix: string; readonly hashTags: number }): {
  readonly tags: readonly TagKeys[];
  org(org: string): OrgKeys;
} {
  const { prefix, hashTags } = options;
  const names = evenTags(prefix, hashTags);
  return {
    tags: names.map((name) => ({ record: (process) => `{${name}}b:${process}`, epoch: `{${name}}e` })),
    org(org) {
      const tag = hashTags === 1 ? 0 : fnv1a(org) % hashTags;
      const base = `{${names[tag]}}:${encodeOrg(org)}`;
      let last = { window: 'lifetime', key: base };
      return {
        tag,
        leases: `${base}|l`,
        counters(window) {
          // Mostly the same window as in the call before.
          if (last.window !== window) {
            last = { window, key: window === 'lifetime' ? base : `${base}:${window}` };
          }
          return last.key;
        },
      };
    },
  };
}

function encodeOrg(org: string): string {
  if (/^[A-Za-z0-9_-]*$/.test(org)) return org;
  return org.replace(/[^A-Za-z0-9_-]/gu, (character) => `%${Buffer.from(character).toString('hex')}.`);
}

/** Spreads orgs over tags; part of the stored layout. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash >>> 0;
}
