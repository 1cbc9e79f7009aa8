import { missing } from '../api-error.ts';
import { type Endpoint, endpoint, instantFilter, PAGED, within } from '../endpoint.ts';
import { flag, listOf, text } from '../parameters.ts';

const KEPT_S = 30 * 86_400;

export const eventEndpoints: readonly Endpoint[] = [
  endpoint(
    'GET',
    '/v1/events',
    { ...PAGED, type: text, types: listOf(text), created: instantFilter, delivery_success: flag },
    ({ books, params }) => ({
      url: '/v1/events',
      list: [...books.events.values()]
        .reverse()
        .filter(({ created }) => created > books.now() - KEPT_S && within(created, params.created))
        .filter(({ type }) => (params.type ?? type) === type && (params.types?.includes(type) ?? true)),
    }),
  ),
  endpoint('GET', '/v1/events/:id', {}, ({ books, id }) => {
    const event = books.events.get(id);
    if (event === undefined) throw missing('event', id);
    return event;
  }),
];
