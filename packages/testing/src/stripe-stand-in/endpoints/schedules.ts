import { invalidParameter, missing, refused } from '../api-error.ts';
import type { Books } from '../books.ts';
import { type Endpoint, endpoint, PAGED, PRORATION } from '../endpoint.ts';
import type { ScheduleObject } from '../objects.ts';
import { either, flag, listOf, oneOf, required, shape, text, whole } from '../parameters.ts';
import { hasEnded } from '../subscriptions.ts';
import { priceOf } from './catalog.ts';
import { subscriptionOf } from './subscriptions.ts';

function scheduleOf(books: Books, id: string): ScheduleObject {
  const schedule = books.schedules.get(id);
  if (schedule === undefined) throw missing('subscription schedule', id);
  return schedule;
}

function active(schedule: ScheduleObject): ScheduleObject {
  if (schedule.status !== 'active')
    throw refused(`You cannot change a subscription schedule with the status \`${schedule.status}\`.`);
  return schedule;
}

export const scheduleEndpoints: readonly Endpoint[] = [
  endpoint('POST', '/v1/subscription_schedules', { from_subscription: text }, ({ books, params }) => {
    const subscription = subscriptionOf(books, required(params.from_subscription, 'from_subscription'));
    if (hasEnded(subscription)) throw refused('You cannot schedule changes of a canceled subscription.');
    if (subscription.schedule !== null)
      throw refused('You cannot migrate a subscription that is already attached to a schedule.');
    const [first] = subscription.items;
    const period = {
      start_date: first?.current_period_start ?? books.now(),
      end_date: first?.current_period_end ?? books.now(),
    };
    const schedule: ScheduleObject = {
      id: books.id('sub_sched'),
      object: 'subscription_schedule',
      created: books.now(),
      customer: subscription.customer,
      subscription: subscription.id,
      released_subscription: null,
      status: 'active',
      phases: [
        {
          ...period,
          items: subscription.items.map(({ price, quantity }) => ({ price: price.id, quantity })),
          proration_behavior: 'create_prorations',
        },
      ],
      current_phase: period,
      end_behavior: 'release',
      livemode: books.livemode,
    };
    books.schedules.set(schedule.id, schedule);
    subscription.schedule = schedule.id;
    books.emit('subscription_schedule.created', schedule);
    books.emit('customer.subscription.updated', subscription);
    return schedule;
  }),
  endpoint('GET', '/v1/subscription_schedules', { ...PAGED, customer: text }, ({ books, params }) => ({
    url: '/v1/subscription_schedules',
    list: [...books.schedules.values()]
      .reverse()
      .filter(({ customer }) => (params.customer ?? customer) === customer),
  })),
  endpoint('GET', '/v1/subscription_schedules/:id', {}, ({ books, id }) => scheduleOf(books, id)),
  endpoint(
    'POST',
    '/v1/subscription_schedules/:id',
    {
      phases: listOf(
        shape({
          items: listOf(shape({ price: text, quantity: whole })),
          start_date: either(whole, oneOf('now')),
          end_date: either(whole, oneOf('now')),
          proration_behavior: PRORATION,
        }),
      ),
      end_behavior: oneOf('release'),
      proration_behavior: PRORATION,
    },
    ({ books, id, params }) => {
      const schedule = active(scheduleOf(books, id));
      const phases = required(params.phases, 'phases');
      let from = schedule.current_phase?.start_date ?? books.now();
      schedule.phases = phases.map((phase, index) => {
        const start = phase.start_date === undefined ? from : moment(books, phase.start_date);
        if (start !== from)
          throw invalidParameter(
            `phases[${index}][start_date]`,
            'A phase must start where the one before it ends.',
          );
        const isLast = index === phases.length - 1;
        if (phase.end_date === undefined && !isLast)
          throw invalidParameter(`phases[${index}][end_date]`, 'Missing end_date.');
        const until = phase.end_date === undefined ? start + 30 * 86_400 : moment(books, phase.end_date);
        from = until;
        return {
          items: required(phase.items, `phases[${index}][items]`).map(({ price, quantity }) => ({
            price: priceOf(books, required(price, 'price'), `phases[${index}][items][0][price]`).id,
            quantity: quantity ?? 1,
          })),
          start_date: start,
          end_date: until,
          proration_behavior: phase.proration_behavior ?? 'create_prorations',
        };
      });
      const [first] = schedule.phases;
      if (first !== undefined)
        schedule.current_phase = { start_date: first.start_date, end_date: first.end_date };
      books.emit('subscription_schedule.updated', schedule);
      return schedule;
    },
  ),
  endpoint(
    'POST',
    '/v1/subscription_schedules/:id/release',
    { preserve_cancel_date: flag },
    ({ books, id }) => {
      const schedule = active(scheduleOf(books, id));
      const subscription =
        schedule.subscription === null ? undefined : books.subscriptions.get(schedule.subscription);
      schedule.status = 'released';
      schedule.released_subscription = schedule.subscription;
      schedule.subscription = null;
      schedule.current_phase = null;
      books.emit('subscription_schedule.released', schedule);
      if (subscription !== undefined) {
        subscription.schedule = null;
        books.emit('customer.subscription.updated', subscription);
      }
      return schedule;
    },
  ),
];

function moment(books: Books, at: number | 'now'): number {
  return at === 'now' ? books.now() : at;
}
