import type { QuotaPeriod } from './quota.ts';

/** A whole number of units, or no limit at all. A key that a tier does not list has limit 0; unlimited is always explicit. */
export type LimitValue = number | 'unlimited';

/** One text, or one per language (BCP 47 tag -> text). */
export type LocalizedText = string | Readonly<Record<string, string>>;

/** The limits of a tier by key: one value for a key with one period, or one per period. */
export type TierLimits<K extends string = string> = {
  readonly [P in K]?: LimitValue | { readonly [Q in QuotaPeriod]?: LimitValue };
};

/** One plan of the catalog, as the host writes it. */
export interface TierDefinition<K extends string = string> {
  /** Stable name in URLs and in storage: 1 to 64 of a-z, 0-9, `_`, `-`, the first a letter or a digit. */
  readonly slug: string;
  readonly name: LocalizedText;
  readonly description?: LocalizedText | null;
  /**
   * Whether the tier is in the public catalog and can be bought through checkout.
   * @default true
   */
  readonly isPublished?: boolean;
  /**
   * Whether orgs without a subscription are on this tier. Exactly one tier of a catalog has this.
   * @default false
   */
  readonly isDefaultForPersonal?: boolean;
  /** Rank among the tiers (int32), lowest first; a tier of higher rank is an upgrade. */
  readonly sortOrder: number;
  readonly limits: TierLimits<K>;
}

/** One limit of a checked tier; `limit: null` is unlimited. */
export interface TierQuota {
  readonly key: string;
  readonly period: QuotaPeriod;
  readonly limit: number | null;
}

/** One plan of the checked catalog: defaults filled in, limits listed by key and period. */
export interface Tier {
  readonly slug: string;
  readonly name: LocalizedText;
  readonly description: LocalizedText | null;
  readonly isPublished: boolean;
  readonly isDefaultForPersonal: boolean;
  readonly sortOrder: number;
  /** In the order of the host's quota registry. */
  readonly quotas: readonly TierQuota[];
}
