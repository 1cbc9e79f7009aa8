import { missing } from '../api-error.ts';
import type { Books } from '../books.ts';
import { type Endpoint, endpoint, instantFilter, PAGED, within } from '../endpoint.ts';
import type { CustomerObject, DeletedCustomerObject } from '../objects.ts';
import { metadata, text } from '../parameters.ts';
import { end } from '../subscriptions.ts';

const DETAILS = { email: text, name: text, description: text, phone: text, metadata } as const;

export function customerOf(books: Books, id: string, param = 'id'): CustomerObject {
  const customer = books.customers.get(id);
  if (customer === undefined) throw missing('customer', id, param);
  return customer;
}

/** Deletes a customer for good: its subscriptions end, and only its id can be retrieved from then on. */
export function deleteCustomer(books: Books, id: string): DeletedCustomerObject {
  const customer = customerOf(books, id);
  for (const subscription of books.subscriptions.values()) {
    if (subscription.customer === id) end(books, subscription);
  }
  const deleted: DeletedCustomerObject = { id, object: 'customer', deleted: true };
  books.customers.delete(id);
  books.deletedCustomers.set(id, deleted);
  books.emit('customer.deleted', customer);
  return deleted;
}

export const customerEndpoints: readonly Endpoint[] = [
  endpoint('POST', '/v1/customers', DETAILS, ({ books, params }) => {
    const customer: CustomerObject = {
      id: books.id('cus'),
      object: 'customer',
      created: books.now(),
      email: params.email ?? null,
      name: params.name ?? null,
      description: params.description ?? null,
      metadata: params.metadata ?? {},
      livemode: books.livemode,
    };
    books.customers.set(customer.id, customer);
    books.cards.set(customer.id, 'none');
    books.emit('customer.created', customer);
    return customer;
  }),
  endpoint(
    'GET',
    '/v1/customers',
    { ...PAGED, email: text, created: instantFilter },
    ({ books, params }) => ({
      url: '/v1/customers',
      list: [...books.customers.values()]
        .reverse()
        .filter(({ email, created }) => (params.email ?? email) === email && within(created, params.created)),
    }),
  ),
  endpoint(
    'GET',
    '/v1/customers/:id',
    {},
    ({ books, id }) => books.deletedCustomers.get(id) ?? customerOf(books, id),
  ),
  endpoint('POST', '/v1/customers/:id', DETAILS, ({ books, id, params }) => {
    const customer = customerOf(books, id);
    customer.email = params.email ?? customer.email;
    customer.name = params.name ?? customer.name;
    customer.description = params.description ?? customer.description;
    customer.metadata = { ...customer.metadata, ...params.metadata };
    books.emit('customer.updated', customer);
    return customer;
  }),
  // Takes no parameters at all.
  {
    method: 'DELETE',
    path: '/v1/customers/:id',
    checks: {},
    run: ({ books, id }) => deleteCustomer(books, id),
  },
];
