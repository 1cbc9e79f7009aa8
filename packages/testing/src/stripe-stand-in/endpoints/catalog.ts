import { invalidParameter, missing, refused } from '../api-error.ts';
import type { Books } from '../books.ts';
import { type Endpoint, endpoint, PAGED } from '../endpoint.ts';
import type { CouponObject, PriceObject, ProductObject, PromotionCodeObject } from '../objects.ts';
import { decimal, flag, metadata, oneOf, required, shape, text, whole } from '../parameters.ts';

const CURRENCY = /^[a-z]{3}$/;

export function priceOf(books: Books, id: string, param = 'id'): PriceObject {
  const price = books.prices.get(id);
  if (price === undefined) throw missing('price', id, param);
  return price;
}

/** Products, prices, coupons and promotion codes. */
export const catalogEndpoints: readonly Endpoint[] = [
  endpoint(
    'POST',
    '/v1/products',
    { id: text, name: text, description: text, active: flag, metadata },
    ({ books, params }) => {
      const product: ProductObject = {
        id: params.id ?? books.id('prod'),
        object: 'product',
        created: books.now(),
        name: required(params.name, 'name'),
        description: params.description ?? null,
        active: params.active ?? true,
        metadata: params.metadata ?? {},
        livemode: books.livemode,
      };
      if (books.products.has(product.id)) throw refused('Product already exists.', 'resource_already_exists');
      books.products.set(product.id, product);
      books.emit('product.created', product);
      return product;
    },
  ),
  endpoint('GET', '/v1/products/:id', {}, ({ books, id }) => {
    const product = books.products.get(id);
    if (product === undefined) throw missing('product', id);
    return product;
  }),
  endpoint(
    'POST',
    '/v1/prices',
    {
      currency: text,
      product: text,
      unit_amount: whole,
      active: flag,
      nickname: text,
      lookup_key: text,
      metadata,
      recurring: shape({
        interval: oneOf('day', 'week', 'month', 'year'),
        interval_count: whole,
        usage_type: oneOf('licensed'),
      }),
    },
    ({ books, params }) => {
      const product = required(params.product, 'product');
      if (!books.products.has(product)) throw missing('product', product, 'product');
      const currency = required(params.currency, 'currency');
      if (!CURRENCY.test(currency)) throw invalidParameter('currency', `Invalid currency: ${currency}`);
      const recurring = required(params.recurring, 'recurring');
      const price: PriceObject = {
        id: books.id('price'),
        object: 'price',
        created: books.now(),
        active: params.active ?? true,
        currency,
        unit_amount: required(params.unit_amount, 'unit_amount'),
        product,
        lookup_key: params.lookup_key ?? null,
        nickname: params.nickname ?? null,
        metadata: params.metadata ?? {},
        recurring: {
          interval: required(recurring.interval, 'recurring[interval]'),
          interval_count: recurring.interval_count ?? 1,
          usage_type: 'licensed',
        },
        type: 'recurring',
        billing_scheme: 'per_unit',
        livemode: books.livemode,
      };
      books.prices.set(price.id, price);
      books.emit('price.created', price);
      return price;
    },
  ),
  endpoint('GET', '/v1/prices', { ...PAGED, product: text, active: flag }, ({ books, params }) => ({
    url: '/v1/prices',
    list: [...books.prices.values()]
      .reverse()
      .filter(
        ({ product, active }) =>
          (params.product ?? product) === product && (params.active ?? active) === active,
      ),
  })),
  endpoint('GET', '/v1/prices/:id', {}, ({ books, id }) => priceOf(books, id)),
  endpoint(
    'POST',
    '/v1/coupons',
    {
      id: text,
      name: text,
      percent_off: decimal,
      amount_off: whole,
      currency: text,
      duration: oneOf('once', 'forever', 'repeating'),
      duration_in_months: whole,
    },
    ({ books, params }) => {
      if ((params.percent_off === undefined) === (params.amount_off === undefined))
        throw refused('You must specify exactly one of percent_off and amount_off.');
      const coupon: CouponObject = {
        id: params.id ?? books.id('co'),
        object: 'coupon',
        created: books.now(),
        percent_off: params.percent_off ?? null,
        amount_off: params.amount_off ?? null,
        currency: params.currency ?? null,
        duration: params.duration ?? 'once',
        duration_in_months: params.duration_in_months ?? null,
        name: params.name ?? null,
        valid: true,
        livemode: books.livemode,
      };
      books.coupons.set(coupon.id, coupon);
      books.emit('coupon.created', coupon);
      return coupon;
    },
  ),
  endpoint(
    'POST',
    '/v1/promotion_codes',
    { code: text, promotion: shape({ type: oneOf('coupon'), coupon: text }), active: flag },
    ({ books, params }) => {
      const coupon = required(required(params.promotion, 'promotion').coupon, 'promotion[coupon]');
      if (!books.coupons.has(coupon)) throw missing('coupon', coupon, 'promotion[coupon]');
      const made: PromotionCodeObject = {
        id: books.id('promo'),
        object: 'promotion_code',
        created: books.now(),
        active: params.active ?? true,
        code: params.code ?? books.id('CODE').toUpperCase(),
        promotion: { type: 'coupon', coupon },
        livemode: books.livemode,
      };
      books.promotionCodes.set(made.id, made);
      books.emit('promotion_code.created', made);
      return made;
    },
  ),
];

const DISCOUNT = shape({ coupon: text, promotion_code: text });

/** One discount of a list: a coupon, or a promotion code. */
export const discount = DISCOUNT;

/** The coupon a discount refers to. */
export function couponOf(books: Books, given: ReturnType<typeof DISCOUNT>, param: string): string {
  if ((given.coupon === undefined) === (given.promotion_code === undefined))
    throw refused('You may only specify one of these parameters: coupon, promotion_code.');
  if (given.coupon !== undefined) {
    if (!books.coupons.has(given.coupon)) throw missing('coupon', given.coupon, `${param}[coupon]`);
    return given.coupon;
  }
  const id = required(given.promotion_code, `${param}[promotion_code]`);
  const code = books.promotionCodes.get(id);
  if (code === undefined) throw missing('promotion code', id, `${param}[promotion_code]`);
  if (!code.active) throw refused('This promotion code is not active.');
  return code.promotion.coupon;
}
