/** Reads a sequence of msgpack integers. */
export class NumberReader {
  readonly #bytes: Uint8Array;
  #at: number;

  /** @param start - where the first begins */
  constructor(bytes: Uint8Array, start = 0) {
    this.#bytes = bytes;
    this.#at = start;
  }

  /** @throws RangeError when none is left, or the next value is no integer */
  next(): number {
    const type = this.#byte();
    if (type < 0x80) return type;
    if (type >= 0xe0) return type - 0x100;
    switch (type) {
      case 0xcc:
        return this.#byte();
      case 0xcd:
        return this.#short();
      case 0xce:
        return this.#word();
      case 0xcf:
        return this.#word() * 2 ** 32 + this.#word();
      case 0xd0:
        return (this.#byte() << 24) >> 24;
      case 0xd1:
        return (this.#short() << 16) >> 16;
      case 0xd2:
        return this.#word() | 0;
      case 0xd3:
        return (this.#word() | 0) * 2 ** 32 + this.#word();
      default:
        throw new RangeError(`The reply holds something that is no whole number (${type}).`);
    }
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw new RangeError('The reply ended early.');
    this.#at += 1;
    return byte;
  }

  #short(): number {
    return this.#byte() * 2 ** 8 + this.#byte();
  }

  #word(): number {
    return this.#short() * 2 ** 16 + this.#short();
  }
}

/** Where the first item of a msgpack array begins. */
export function startOfList(bytes: Buffer): number {
  return bytes[0] === 0xdd ? 5 : bytes[0] === 0xdc ? 3 : 1;
}
