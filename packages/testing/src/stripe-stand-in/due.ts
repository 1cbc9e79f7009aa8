import type { Books } from './books.ts';
import { nextPeriodEnd } from './calendar.ts';
import { attempt, bill, type Dunning } from './invoices.ts';
import type { InvoiceObject, ScheduleObject, SubscriptionObject } from './objects.ts';
import { changeItems, end, hasEnded, pause, setPeriod, setStatus } from './subscriptions.ts';

const DAY_S = 86_400;
const INCOMPLETE_S = 23 * 3_600;

interface Due {
  readonly at: number;
  readonly run: () => void;
}

/** Runs everything that has fallen due, in order and each at the instant it fell due. */
export function catchUp(books: Books, dunning: Dunning, announced: Set<string>): void {
  const until = books.now();
  try {
    for (;;) {
      const next = [...dues(books, dunning, announced)]
        .filter(({ at }) => at <= until)
        .sort((a, b) => a.at - b.at)[0];
      if (next === undefined) return;
      books.setTime(next.at);
      next.run();
    }
  } finally {
    books.setTime(null);
  }
}

/** When the next thing falls due, epoch seconds; null if nothing will. */
export function nextDueAt(books: Books, dunning: Dunning, announced: Set<string>): number | null {
  const instants = [...dues(books, dunning, announced)].map(({ at }) => at);
  return instants.length === 0 ? null : Math.min(...instants);
}

function* dues(books: Books, dunning: Dunning, announced: Set<string>): Generator<Due> {
  for (const session of books.sessions.values()) {
    if (session.status !== 'open') continue;
    yield {
      at: session.expires_at,
      run: () => {
        session.status = 'expired';
        books.emit('checkout.session.expired', session);
      },
    };
  }
  for (const subscription of books.subscriptions.values()) {
    if (!hasEnded(subscription)) yield* ofSubscription(books, subscription, dunning, announced);
  }
  for (const invoice of books.invoices.values()) {
    if (invoice.status !== 'open' || invoice.next_payment_attempt === null) continue;
    yield { at: invoice.next_payment_attempt, run: () => retry(books, invoice, dunning) };
  }
}

function* ofSubscription(
  books: Books,
  subscription: SubscriptionObject,
  dunning: Dunning,
  announced: Set<string>,
): Generator<Due> {
  const { status, cancel_at: cancelAt, trial_end: trialEnd } = subscription;
  if (status === 'incomplete') {
    yield {
      at: subscription.created + INCOMPLETE_S,
      run: () => end(books, subscription, 'incomplete_expired'),
    };
    return;
  }
  if (cancelAt !== null) yield { at: cancelAt, run: () => end(books, subscription) };
  if (status === 'trialing' && trialEnd !== null) {
    const note = `trial_will_end ${subscription.id} ${trialEnd}`;
    if (!announced.has(note)) {
      yield {
        at: Math.max(subscription.created, trialEnd - 3 * DAY_S),
        run: () => {
          announced.add(note);
          books.emit('customer.subscription.trial_will_end', subscription);
        },
      };
    }
  }
  if (status === 'paused' || status === 'unpaid') return;
  const [first] = subscription.items;
  if (first === undefined) return;
  const endsAt = first.current_period_end;
  yield {
    at: endsAt,
    run: () => {
      if (cancelAt !== null && cancelAt <= endsAt) end(books, subscription);
      else turn(books, subscription, endsAt, dunning);
    },
  };
}

/** Ends the period: the schedule's next phase begins if it is due, and the next period is billed. */
function turn(books: Books, subscription: SubscriptionObject, at: number, dunning: Dunning): void {
  const wasTrial = subscription.status === 'trialing';
  if (wasTrial && books.cards.get(subscription.customer) !== 'works') {
    const { missing_payment_method: then } = subscription.trial_settings.end_behavior;
    const hasCard = books.cards.get(subscription.customer) === 'declined';
    if (!hasCard && then === 'cancel') {
      end(books, subscription);
      return;
    }
    if (!hasCard && then === 'pause') {
      pause(books, subscription, 'trial_end_without_payment_method');
      return;
    }
  }
  const schedule = subscription.schedule === null ? undefined : books.schedules.get(subscription.schedule);
  if (schedule !== undefined) nextPhase(books, subscription, schedule, at, dunning);
  const [first] = subscription.items;
  if (first === undefined) return;
  setPeriod(subscription, at, nextPeriodEnd(subscription.billing_cycle_anchor, at, first.price.recurring));
  if (subscription.pause_collection !== null) {
    books.emit('customer.subscription.updated', subscription);
    return;
  }
  const invoice = bill(books, subscription, 'subscription_cycle', dunning, { withPeriod: true });
  if (invoice.status !== 'paid') subscription.status = 'past_due';
  else if (wasTrial) subscription.status = 'active';
  books.emit('customer.subscription.updated', subscription);
}

function nextPhase(
  books: Books,
  subscription: SubscriptionObject,
  schedule: ScheduleObject,
  at: number,
  dunning: Dunning,
): void {
  const phase = schedule.phases.find(({ start_date: from }) => from === at);
  if (phase !== undefined) {
    const wanted = phase.items.flatMap(({ price, quantity }) => {
      const found = books.prices.get(price);
      return found === undefined ? [] : [{ price: found, quantity }];
    });
    const changes = subscription.items.map((item, index) => {
      const next = wanted[index];
      return next === undefined
        ? { id: item.id, price: null, quantity: null, deleted: true }
        : { id: item.id, price: next.price, quantity: next.quantity, deleted: false };
    });
    const status = subscription.status;
    subscription.status = 'paused';
    changeItems(books, subscription, changes, { proration: 'none', payment: 'allow_incomplete' }, dunning);
    subscription.status = status;
    schedule.current_phase = { start_date: phase.start_date, end_date: phase.end_date };
    books.emit('subscription_schedule.updated', schedule);
  }
  if (schedule.phases.every(({ start_date: from }) => from <= at)) {
    schedule.status = 'released';
    schedule.released_subscription = subscription.id;
    schedule.subscription = null;
    schedule.current_phase = null;
    subscription.schedule = null;
    books.emit('subscription_schedule.released', schedule);
  }
}

/** Retries the collection, on the dunning schedule. */
function retry(books: Books, invoice: InvoiceObject, dunning: Dunning): void {
  const subscription = books.subscriptions.get(invoice.subscription);
  const isPaid = attempt(books, invoice, dunning);
  if (subscription === undefined || hasEnded(subscription)) return;
  if (isPaid) settle(books, subscription);
  else if (invoice.next_payment_attempt === null) {
    if (dunning.lastly === 'canceled') end(books, subscription);
    else setStatus(books, subscription, dunning.lastly);
  }
}

/** A payment was received: unless another invoice is unpaid, the subscription becomes active again. */
export function settle(books: Books, subscription: SubscriptionObject): void {
  const owes = [...books.invoices.values()].some(
    (one) => one.subscription === subscription.id && one.status === 'open',
  );
  if (!owes && ['past_due', 'unpaid', 'incomplete'].includes(subscription.status))
    setStatus(books, subscription, 'active');
}
