import { TollgateError, ulidIds } from '@tollgate/core';
import { type Caller, callerOf } from './credentials.ts';
import type { Resource } from './resources.ts';
import type { HostRow, HostRows } from './rows/host-rows.ts';

const MAX_NAME_LENGTH = 120;
const LIST_LIMIT = 1_000;
const ID = /^[A-Za-z0-9_-]{1,64}$/;

/** What the example's own routes do, without a framework. Bodies are plain data for JSON; refusals are thrown. */
export interface HostAnswers {
  /**
   * Identifies the caller, and checks that the org is theirs.
   * @throws TollgateError `unauthorized`, `invalid_org_id` without an org, `forbidden` for somebody else's org
   */
  enter(header: (name: string) => string | undefined, org: string | undefined): Caller;
  /** @throws TollgateError `invalid_request` for an invalid name */
  create(resource: Resource, org: string, body: unknown): Promise<object>;
  list(resource: Resource, org: string): Promise<object>;
  /** Reading a row counts as using it. @throws TollgateError `resource_not_found` */
  read(resource: Resource, org: string, id: string): Promise<object>;
  /** @throws TollgateError `resource_not_found` */
  remove(resource: Resource, org: string, id: string): Promise<void>;
  openDoor(org: string, id: string): Promise<object>;
}

export function createHostAnswers(rows: HostRows): HostAnswers {
  const ids = ulidIds();

  return {
    enter(header, org) {
      const caller = callerOf(header);
      if (caller === null) throw new TollgateError('unauthorized');
      if (org === undefined || !ID.test(org)) {
        throw new TollgateError('invalid_org_id', { message: 'Name the org in the X-Org header.' });
      }
      if (caller.org !== org) throw new TollgateError('forbidden');
      return caller;
    },
    async create({ key, prefix }, org, body) {
      const id = `${prefix}_${ids.next().toLowerCase()}`;
      const name = nameIn(body) ?? id;
      const createdAt = Date.now();
      await rows.add({ org, key, id, name, createdAt });
      return toWire({ id, name, createdAt, lastUsedAt: null, suspendedAt: null });
    },
    async list({ key }, org) {
      const list = await rows.list({ org, key, limit: LIST_LIMIT });
      return { items: list.map(toWire) };
    },
    async read({ key }, org, id) {
      const at = Date.now();
      const row = ID.test(id) ? await rows.find({ org, key, id }) : null;
      if (row === null) throw new TollgateError('resource_not_found');
      await rows.touch({ org, key, id, at });
      return toWire({ ...row, lastUsedAt: at });
    },
    async remove({ key }, org, id) {
      if (!ID.test(id) || !(await rows.remove({ org, key, id })))
        throw new TollgateError('resource_not_found');
    },
    async openDoor(org, id) {
      if (!ID.test(id)) throw new TollgateError('resource_not_found');
      const at = Date.now();
      // In this example a door may be one of the org's devices; opening it then counts as using the device.
      await rows.touch({ org, key: 'devices', id, at });
      return { id, opened_at: new Date(at).toISOString() };
    },
  };
}

function nameIn(body: unknown): string | null {
  if (body === undefined || body === null) return null;
  const isObject = typeof body === 'object' && !Array.isArray(body);
  const name: unknown =
    isObject && Object.hasOwn(body, 'name') ? (body as { name: unknown }).name : undefined;
  if (isObject && name === undefined) return null;
  if (
    typeof name === 'string' &&
    name.trim() !== '' &&
    name.length <= MAX_NAME_LENGTH &&
    !name.includes('\0')
  ) {
    return name.trim();
  }
  throw new TollgateError('invalid_request', {
    message: `A name must be a text of 1 to ${MAX_NAME_LENGTH} characters.`,
  });
}

function toWire({ id, name, createdAt, lastUsedAt, suspendedAt }: HostRow): object {
  return {
    id,
    name,
    created_at: new Date(createdAt).toISOString(),
    last_used_at: lastUsedAt === null ? null : new Date(lastUsedAt).toISOString(),
    suspended: suspendedAt !== null,
  };
}
