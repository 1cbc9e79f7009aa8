/** Reads whole numbers one after the other, as msgpack has them. */
export interface NumberReader {
  /** @throws RangeError when there is none left, or something else than a whole number */
  next(): number;
}

/** @param start - where the first begins */
export function numberReader(bytes: Buffer, start = 0): NumberReader {
  let at = start;
  return {
    next() {
      const type = bytes[at++];
      if (type === undefined) throw new RangeError('The reply ended early.');
      if (type < 0x80) return type;
      switch (type) {
        case 0xcc:
        case 0xd0:
          at += 1;
          return type === 0xcc ? bytes.readUInt8(at - 1) : bytes.readInt8(at - 1);
        case 0xcd:
        case 0xd1:
          at += 2;
          return type === 0xcd ? bytes.readUInt16BE(at - 2) : bytes.readInt16BE(at - 2);
        case 0xce:
        case 0xd2:
          at += 4;
          return type === 0xce ? bytes.readUInt32BE(at - 4) : bytes.readInt32BE(at - 4);
        case 0xcf:
        case 0xd3:
          at += 8;
          return Number(bytes.readBigInt64BE(at - 8));
        default:
          if (type >= 0xe0) return type - 0x100;
          throw new RangeError(`The reply holds something that is no whole number (${type}).`);
      }
    },
  };
}

/** Where the first item of a msgpack list begins. */
export function startOfList(bytes: Buffer): number {
  return bytes[0] === 0xdd ? 5 : bytes[0] === 0xdc ? 3 : 1;
}
