const SLOTS = 16_384;

/**
 * Hash tags whose slots lie evenly over a Redis Cluster, so that masters with equal shares of the slots serve equal shares of the orgs.
 * A pure function of its arguments: every process must spell the same tags.
 */
export function evenTags(prefix: string, count: number): readonly string[] {
  if (count === 1) return [prefix];
  return Array.from({ length: count }, (_, index) => {
    const from = Math.ceil((index * SLOTS) / count);
    const to = Math.ceil(((index + 1) * SLOTS) / count);
    for (let attempt = 0; ; attempt += 1) {
      const tag = `${prefix}${index}.${attempt}`;
      const slot = slotOf(tag);
      if (slot >= from && slot < to) return tag;
    }
  });
}

/** The slot of a hash tag: CRC-16/XMODEM, as Redis Cluster defines it. */
export function slotOf(tag: string): number {
  let crc = 0;
  for (const byte of Buffer.from(tag)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
    crc &= 0xffff;
  }
  return crc % SLOTS;
}
