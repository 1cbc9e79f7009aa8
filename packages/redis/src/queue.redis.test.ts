import { describe, expect, it } from 'vitest';
import { createLiveReservations } from './live-reservations.ts';
import { Operation } from './operation.ts';
import { createOrgStates, NEVER } from './org-states.ts';
import { createQueue } from './queue.ts';
import { shapeOf } from './shapes.ts';

const states = createOrgStates(() => ({ tag: 0, leases: '', counters: () => '' }));

class Asked extends Operation<unknown> {
  readonly windows = [];
  readonly name: string;
  readonly #isPatient: boolean;
  readonly #outlives: boolean;
  failure: unknown = null;

  constructor(org: string, name: string, { isPatient = false, outlives = true } = {}) {
    super(states.of(org));
    this.name = name;
    this.#isPatient = isPatient;
    this.#outlives = outlives;
    this.reject = (error) => {
      this.failure = error;
    };
  }
  override get isPatient() {
    return this.#isPatient;
  }
  override get outlivesCaller() {
    return this.#outlives;
  }
  write = () => '';
  read = () => null;
}

const patient = { isPatient: true };
const namesOf = (portions: readonly { readonly operations: readonly Operation<unknown>[] }[]) =>
  portions.map(({ operations }) => operations.map((operation) => (operation as Asked).name));

describe('the queue of a lane', () => {
  it('sends what is patient with the next urgent operation of its own org, in the order asked', () => {
    const queue = createQueue(1_000);
    queue.add(new Asked('a', 'commit a', patient));
    queue.add(new Asked('b', 'commit b', patient));
    expect(queue.due()).toBe(0);
    expect(queue.ripensAt()).toBeGreaterThan(performance.now());
    queue.add(new Asked('b', 'reserve b'));
    queue.add(new Asked('b', 'late commit b', patient));
    expect(queue.due()).toBe(3);
    const now = performance.now();
    expect(namesOf(queue.take(100, now))).toEqual([['commit b', 'reserve b', 'late commit b']]);
    expect(queue.size()).toBe(1);
    expect(namesOf(queue.take(100, now + 1_000))).toEqual([['commit a']]);
    expect(queue.size()).toBe(0);
    expect(queue.ripensAt()).toBe(NEVER);
  });

  it('sends what has waited half its time along with what has waited all of it, and nothing before', () => {
    const queue = createQueue(1_000);
    queue.add(new Asked('c', 'commit c', patient));
    queue.add(new Asked('d', 'commit d', patient));
    const dueAt = queue.ripensAt();
    expect(queue.take(100, dueAt - 1)).toEqual([]);
    expect(namesOf(queue.take(100, dueAt))).toEqual([['commit c'], ['commit d']]);
  });

  it('keeps commits that may still wait out of a batch that somebody waits for', () => {
    const queue = createQueue(1_000);
    queue.add(new Asked('k', 'commit k', patient));
    const dueAt = queue.ripensAt();
    queue.add(new Asked('l', 'reserve l'));
    expect(namesOf(queue.take(100, dueAt - 1))).toEqual([['reserve l']]);
    queue.add(new Asked('l', 'again'));
    expect(namesOf(queue.take(100, dueAt)).flat()).toEqual(['again', 'commit k']);
  });

  it('waits anew for a commit that came after its org was sent', () => {
    const queue = createQueue(1_000);
    queue.add(new Asked('e', 'first', patient));
    const first = queue.ripensAt();
    queue.add(new Asked('e', 'reserve'));
    queue.take(100, performance.now());
    while (performance.now() === first - 1_000);
    queue.add(new Asked('e', 'second', patient));
    expect(queue.ripensAt()).toBeGreaterThan(first);
    expect(namesOf(queue.take(100, first))).toEqual([]);
    expect(namesOf(queue.take(100, NEVER))).toEqual([['second']]);
  });

  it('takes no more than asked for, and the rest of an org behind what others asked meanwhile', () => {
    const queue = createQueue(1_000);
    for (const name of ['1', '2', '3']) queue.add(new Asked('f', name));
    for (const name of ['4', '5']) queue.add(new Asked('g', name));
    expect(namesOf(queue.take(2, 0))).toEqual([['1', '2']]);
    queue.add(new Asked('f', '6'));
    expect(namesOf(queue.take(3, 0))).toEqual([['4', '5'], ['3']]);
    expect(namesOf(queue.take(100, 0))).toEqual([['6']]);
    expect([queue.size(), queue.ripensAt()]).toEqual([0, NEVER]);
  });

  it('refuses whom a batch has passed over, and sends of them only what outlives its caller', () => {
    const queue = createQueue(1_000);
    const asked = [
      new Asked('o', 'first'),
      new Asked('m', 'reserve', { outlives: false }),
      new Asked('m', 'release'),
      new Asked('m', 'commit', patient),
      new Asked('n', 'other reserve', { outlives: false }),
    ];
    for (const operation of asked) queue.add(operation);
    const failures = () => asked.map(({ failure }) => failure);
    queue.refuseOverdue(0);
    expect(failures(), 'no batch has left').toEqual(Array(5).fill(null));
    const passedAt = performance.now();
    expect(namesOf(queue.take(1, passedAt))).toEqual([['first']]);
    const young = new Asked('m', 'young');
    queue.add(young);
    queue.refuseOverdue(60_000);
    expect(failures(), 'it left just now').toEqual(Array(5).fill(null));
    queue.refuseOverdue(0);
    const refused = expect.objectContaining({ code: 'quota_unavailable' });
    expect(failures()).toEqual([null, refused, refused, null, refused]);
    expect(namesOf(queue.take(100, passedAt))).toEqual([['release', 'commit', 'young']]);
    expect([young.failure, young.isAbandoned]).toEqual([null, false]);
    expect([queue.size(), queue.due(), states.of('n').underWay]).toEqual([0, 0, 0]);
  });

  it.each(['refuseOverdue', 'abandon'] as const)(
    'keeps what a caller asks for anew while it is told: %s',
    (how) => {
      const queue = createQueue(1_000);
      const operations = ['p', 'q', 'r'].map((org) => new Asked(org, `settle ${org}`));
      const anew = new Asked('r', 'anew');
      for (const operation of operations) queue.add(operation);
      const [first, second] = operations;
      expect(namesOf(queue.take(1, 0))).toEqual([[first?.name]]);
      if (second !== undefined) second.reject = () => queue.add(anew);
      if (how === 'abandon') queue.abandon('away');
      else queue.refuseOverdue(0);
      expect([queue.size(), queue.due()]).toEqual([3, 3]);
      expect(namesOf(queue.take(100, 0)).flat().sort()).toEqual(['anew', 'settle q', 'settle r']);
      expect([queue.size(), queue.due()]).toEqual([0, 0]);
    },
  );

  it('in an outage tells every caller, and keeps what must still be sent', () => {
    const queue = createQueue(1_000);
    const asked = [
      new Asked('h', 'commit', patient),
      new Asked('i', 'reserve', { outlives: false }),
      new Asked('i', 'release'),
      new Asked('j', 'other reserve', { outlives: false }),
    ];
    for (const operation of asked) queue.add(operation);
    queue.abandon('away');
    expect(asked.map(({ failure }) => failure)).toEqual(['away', 'away', 'away', 'away']);
    expect(queue.size()).toBe(2);
    expect(namesOf(queue.take(100, 0)).flat().sort()).toEqual(['commit', 'release']);
    queue.add(new Asked('j', 'again'));
    expect(namesOf(queue.take(100, 0))).toEqual([['again']]);
  });
});

describe('the states of orgs', () => {
  it('are kept while anything is under way, waiting or in flight, and dropped when there are too many', () => {
    const own = createOrgStates(() => ({ tag: 0, leases: '', counters: () => '' }));
    const queue = createQueue(1_000);
    class Reserve extends Asked {
      override readonly org = own.of('busy');
    }
    const busy = own.of('busy');
    queue.add(new Reserve('busy', 'reserve'));
    queue.take(100, 0);
    const idle = own.of('idle');
    for (let other = 0; other <= 10_000; other += 1) own.of(`org-${other}`);
    expect(own.of('busy')).toBe(busy);
    expect(own.of('idle')).not.toBe(idle);
  });
});

describe('live reservations', () => {
  it('know one that was made once more once', () => {
    const live = createLiveReservations(states);
    const org = states.of('twice');
    const reservation = { org: 'twice', id: 'r', charges: [], rememberMs: 0 };
    live.add(org, reservation, 1_000);
    live.add(org, reservation, 1_000);
    expect([live.size(), live.list(org).length]).toEqual([1, 1]);
    live.remove(org, 'r');
    expect([live.size(), live.list(org).length]).toEqual([0, 0]);
  });

  it('are forgotten one by one, when they are settled and when their leases run out', () => {
    let now = 0;
    const own = createOrgStates(() => ({ tag: 0, leases: '', counters: () => '' }));
    const live = createLiveReservations(own, () => now);
    const org = own.of('several');
    const named = (id: string) => ({ org: 'several', id, charges: [], rememberMs: 0 });
    for (const id of ['a', 'b', 'c', 'd']) live.add(org, named(id), 1_000);
    const left = () => live.list(org).map(({ reservation, leftMs }) => `${reservation.id} ${leftMs}`);
    expect([live.remove(org, 'a'), live.remove(org, 'a')]).toEqual([true, false]);
    expect(left().sort()).toEqual(['b 1000', 'c 1000', 'd 1000']);
    now = 400;
    live.renewed(org, 'c', 1_000);
    now = 1_000;
    expect(left()).toEqual(['c 400']);
    expect(['a', 'b', 'c'].map((id) => live.get(org, id)?.id)).toEqual([undefined, undefined, 'c']);
    expect(live.size()).toBe(3);
    live.tidy();
    expect([live.size(), live.orgs()]).toEqual([1, [org]]);
    live.remove(org, 'c');
    expect([live.size(), live.orgs()]).toEqual([0, []]);
  });
});

describe('the shape of charges', () => {
  const charge = {
    key: 'devices',
    window: 'lifetime',
    amount: 1,
    limit: 5,
    onUnknown: 'uncertain',
    forgetAt: null,
  } as const;

  it('is one for equal charges, and read anew from a list that may have changed', () => {
    const list = [{ ...charge }];
    const before = shapeOf(list);
    expect(shapeOf([charge])).toBe(before);
    list[0] = { ...charge, limit: 100 as never };
    expect(shapeOf(list)).not.toBe(before);
    const fixed = Object.freeze([Object.freeze({ ...charge })]);
    expect(shapeOf(fixed)).toBe(before);
    expect(shapeOf(fixed)).toBe(before);
  });
});
