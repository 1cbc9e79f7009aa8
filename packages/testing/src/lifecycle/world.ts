import {
  type Billing,
  type BillingRepository,
  capacity,
  createBilling,
  memoryCounterStore,
  type NoticeName,
  type ResourceInventory,
  type RowCallbackRequest,
} from '@tollgate/core';
import { DEGRADED_MS, OrgOracle, PLAN, type Remembered, type Seen, WARNED_MS } from './oracle.ts';
import { type KeyName, ORGS, type OrgName, type Who } from './steps.ts';

/** A fresh, empty repository that two processes share, and the movable clock it judges by. */
export interface LifecycleStores {
  readonly repository: BillingRepository;
  now(): number;
  advance(ms: number): Promise<void>;
}

const CALLBACK_TIMEOUT_MS = 1_000;
/** How long the claim of a dead process keeps others from an org, as sweeps promise. */
const CLAIM_MS = 6 * CALLBACK_TIMEOUT_MS;
export const SIGHTING_MS = 3_600_000;

/** One process: an engine that can be killed. */
interface Process {
  readonly billing: Billing;
  isDead: boolean;
  /** Calls to the repository or the host's callbacks until it dies; null if it is not to die. */
  callsLeft: number | null;
  isHeard: boolean;
}

/** Two processes, their host, and the truth about it. */
export class World {
  readonly stores: LifecycleStores;
  readonly orgs = new Map<OrgName, OrgOracle>(ORGS.map((org) => [org, new OrgOracle(org)]));
  /** Rows that the host has suspended. */
  readonly off = new Set<string>();
  readonly notices: string[] = [];
  /** Broken promises, in words. They are collected because an error thrown in a callback would not reach the test. */
  readonly broken: string[] = [];
  /** What looks may have found during sweeps, by org. A process that dies leaves such a state behind. */
  readonly found = new Map<OrgName, Remembered[]>();
  /** Actions of the host until an owner deletes a row of that org; null if nobody does. */
  meddlesIn: number | null = null;
  readonly #removes: boolean;
  readonly #skews: [number, number] = [0, 0];
  readonly #keys = new Map<string, string>();
  /** By row: since when looks have found it due, on the repository's clock. */
  readonly #sightings = new Map<string, number>();
  /** By row: when the host last suspended it, on the repository's clock. */
  readonly #suspensions = new Map<string, number>();
  readonly #counters = memoryCounterStore({ clock: { now: () => this.now } });
  readonly #everyone: Process[] = [];
  /** Until when claims of dead processes may hold, on the repository's clock; null once a later sweep has looked at every org. */
  #claimedUntil: number | null = null;
  #repositorySkew = 0;
  #busy = 0;
  #processes: [Process, Process];

  constructor(stores: LifecycleStores, removes: boolean) {
    this.stores = stores;
    this.#removes = removes;
    this.#processes = [this.#start(0), this.#start(1)];
  }

  /** The right time. */
  get now(): number {
    return this.stores.now() - this.#repositorySkew;
  }

  billing(who: Who): Billing {
    return this.#processes[who].billing;
  }

  seenBy(who: Who): Seen {
    return { process: this.now + this.#skews[who], repository: this.stores.now() };
  }

  orgOf(name: string): OrgOracle {
    const org = this.orgs.get(name as OrgName);
    if (org === undefined) throw new Error(`there is no org ${name}`);
    return org;
  }

  async pass(ms: number): Promise<void> {
    await this.stores.advance(ms);
  }

  async skew(whose: Who | 'repository', ms: number): Promise<void> {
    this.#skews.fill(0);
    const repository = whose === 'repository' ? ms : 0;
    const shift = repository - this.#repositorySkew;
    this.#repositorySkew = repository;
    if (shift !== 0) await this.stores.advance(shift);
    if (whose !== 'repository') this.#skews[whose] = ms;
  }

  /** Records what a look of this process would find and store now. */
  mayFind(org: OrgOracle, who: Who): void {
    this.found.set(org.org, [...(this.found.get(org.org) ?? []), org.look(this.seenBy(who)).remembered]);
  }

  /** Records the end of a sweep. What a dead process had claimed is looked at by the first sweep that begins after the claim expired. */
  swept(didDie: boolean): void {
    const now = this.stores.now();
    if (didDie) this.#claimedUntil = now + CLAIM_MS;
    else if (this.#claimedUntil !== null && now >= this.#claimedUntil) this.#claimedUntil = null;
  }

  /**
   * Records which rows of the org a look has found due. A process that died may not have withdrawn earlier sightings, and nobody else can
   * while its claim holds the org. Of several looks the earliest counts by the repository's clock, which may have been set back since.
   */
  sight({ org, remembered }: OrgOracle): void {
    const due = new Set(
      remembered.flags
        .filter(({ state }) => state !== 'flagged')
        .map(({ resource, id }) => `${org}/${resource}/${id}`),
    );
    for (const row of [...this.#sightings.keys()]) {
      if (this.#claimedUntil === null && row.startsWith(`${org}/`) && !due.has(row))
        this.#sightings.delete(row);
    }
    const now = this.stores.now();
    for (const row of due) this.#sightings.set(row, Math.min(now, this.#sightings.get(row) ?? now));
  }

  /** Makes the process die on its `diesAfter`th call from now; with `isHeard`, that call still takes effect. */
  arm(who: Who, diesAfter: number, isHeard: boolean): void {
    this.#processes[who].callsLeft = diesAfter;
    this.#processes[who].isHeard = isHeard;
  }

  /** Replaces a process that is dead or about to die with a new one. */
  restart(who: Who): void {
    this.#processes[who].isDead = true;
    this.#processes[who] = this.#start(who);
  }

  isDead(who: Who): boolean {
    return this.#processes[who].isDead;
  }

  /** Waits until no process has a call in flight. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 3; quiet += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      if (this.#busy > 0) quiet = -1;
    }
  }

  async close(): Promise<void> {
    await this.settle();
    await Promise.all(this.#everyone.map(({ billing }) => billing.close().catch(() => undefined)));
  }

  #start(who: Who): Process {
    const self: { process: Process | null } = { process: null };
    const guard = <T>(work: () => Promise<T>) => this.#call(self, work);
    const repository = new Proxy(this.stores.repository, {
      get: (target, name: keyof BillingRepository) => {
        if (name === 'close') return async () => {};
        const method = target[name] as (...given: unknown[]) => Promise<unknown>;
        return (...given: unknown[]) => guard(() => method.apply(target, given));
      },
    });
    const inventory: ResourceInventory = {
      count: async ({ org, key }) => this.orgOf(org).rows[key as KeyName].length,
      list: async function* (this: World, { org, key }: { org: string; key: string }) {
        yield* [...this.orgOf(org).rows[key as KeyName]];
      }.bind(this),
      find: async ({ org, key, id }) =>
        this.orgOf(org).rows[key as KeyName].find((row) => row.id === id) ?? null,
    };
    const callback = (action: 'suspend' | 'restore' | 'remove') => (row: RowCallbackRequest) =>
      guard(async () => {
        this.#act(action, row, who);
        this.mayFind(this.orgOf(row.org), who);
        this.#meddle(row.org);
        this.mayFind(this.orgOf(row.org), who);
      });
    const billing = createBilling({
      quotas: { devices: capacity(), zones: capacity(), org_users: capacity({ windsDown: false }) },
      tiers: [{ slug: 'free', name: 'Free', isDefaultForPersonal: true, sortOrder: 1, limits: PLAN }],
      inventory,
      access: () => null,
      provider: null,
      counters: { ...this.#counters, close: async () => {} },
      repository,
      clock: { now: () => this.now + this.#skews[who] },
      logger: { debug() {}, info() {}, warn() {}, error() {} },
      limitsTtlMs: 0,
      refusalCountMaxAgeMs: 0,
      overCapacity: { warnedMs: WARNED_MS, degradedMs: DEGRADED_MS },
      lifecycle: {
        suspend: callback('suspend'),
        restore: callback('restore'),
        ...(this.#removes ? { remove: callback('remove') } : {}),
        sightingMs: SIGHTING_MS,
        callbackTimeoutMs: CALLBACK_TIMEOUT_MS,
      },
    }) as Billing;
    const names: NoticeName[] = [
      'capacity.warned',
      'capacity.degraded',
      'capacity.marked',
      'capacity.cleared',
    ];
    for (const name of names) {
      billing.on(name, (notice) => {
        if ('overCapacityAt' in notice) this.notices.push(`${name} ${notice.org} ${notice.overCapacityAt}`);
      });
    }
    const process: Process = { billing, isDead: false, callsLeft: null, isHeard: false };
    self.process = process;
    this.#everyone.push(process);
    return process;
  }

  /** Makes a call of a process to the repository or a callback. A dead process does nothing; one that dies meanwhile gets no answer. */
  async #call<T>({ process }: { readonly process: Process | null }, work: () => Promise<T>): Promise<T> {
    this.#busy += 1;
    try {
      if (process === null) return await work();
      if (process.isDead) throw new Error('this process is gone');
      if (process.callsLeft !== null) {
        process.callsLeft -= 1;
        if (process.callsLeft === 0) {
          process.isDead = true;
          if (process.isHeard) await work();
          throw new Error('this process is gone');
        }
      }
      const answer = await work();
      if (process.isDead) throw new Error('this process is gone');
      return answer;
    } finally {
      this.#busy -= 1;
    }
  }

  /** Deletes a device that is not suspended, in the middle of a sweep. */
  #meddle(name: string): void {
    if (this.meddlesIn === null) return;
    this.meddlesIn -= 1;
    if (this.meddlesIn !== 0) return;
    const { rows } = this.orgOf(name);
    const on = rows.devices.findLast(({ id }) => !this.off.has(`${name}/devices/${id}`));
    rows.devices = rows.devices.filter((row) => row !== on);
  }

  /** Performs the host's action on a row, and checks all that must hold at that moment. */
  #act(action: 'suspend' | 'restore' | 'remove', row: RowCallbackRequest, who: Who): void {
    const { org: name, id, idempotencyKey } = row;
    const key = row.resource as KeyName;
    const org = this.orgOf(name);
    const said = `${action} ${name}/${key}/${id}`;
    const before = this.#keys.get(idempotencyKey);
    if (before !== undefined && before !== said) this.broken.push(`D3: ${said} has the key of ${before}`);
    this.#keys.set(idempotencyKey, said);
    const rowName = `${name}/${key}/${id}`;
    if (action === 'restore') {
      this.off.delete(rowName);
      return;
    }
    const { report } = org.look(this.seenBy(who));
    const flag = report.flagged.find((one) => one.resource === key && one.id === id);
    const needed = action === 'remove' ? ['marked_for_delete'] : ['degraded', 'marked_for_delete'];
    if (flag === undefined || !needed.includes(flag.state))
      this.broken.push(`D2: ${said}, which is ${flag?.state}`);
    const graceMs = action === 'remove' ? WARNED_MS + DEGRADED_MS : WARNED_MS;
    const overForMs = this.now - (report.overCapacityAt ?? Number.POSITIVE_INFINITY);
    if (overForMs < graceMs) this.broken.push(`D4: ${said} after ${overForMs} ms`);
    const sightedForMs = this.stores.now() - (this.#sightings.get(rowName) ?? Number.POSITIVE_INFINITY);
    if (sightedForMs < SIGHTING_MS) this.broken.push(`D4: ${said}, seen due for ${sightedForMs} ms`);
    if (action === 'suspend') {
      this.off.add(rowName);
      this.#suspensions.set(rowName, this.stores.now());
    } else {
      const downForMs = this.stores.now() - (this.#suspensions.get(rowName) ?? Number.POSITIVE_INFINITY);
      if (downForMs < DEGRADED_MS) this.broken.push(`D4: ${said}, suspended for ${downForMs} ms`);
      org.rows[key] = org.rows[key].filter((one) => one.id !== id);
      this.off.delete(rowName);
    }
    const limit = org.limitOf(key, this.seenBy(who).process);
    const left = org.rows[key].filter((one) => !this.off.has(`${name}/${key}/${one.id}`)).length;
    if (limit === null || left < limit) this.broken.push(`D1: ${said} leaves ${left} of ${limit}`);
  }
}
