import { crc32, deflateRawSync } from "node:zlib";

export interface ZipFile {
  readonly name: string;
  readonly data: Uint8Array;
  readonly deflate?: boolean;
  /** What the headers say instead of the truth. */
  readonly says?: {
    bytes?: number;
    packedBytes?: number;
    crc32?: number;
    flags?: number;
    method?: number;
    mode?: number;
    offset?: number;
  };
}

/** A zip archive whose headers may lie. */
export function zipOf(files: readonly ZipFile[], { entries = files.length }: { entries?: number } = {}): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, data, deflate = false, says = {} } of files) {
    const packed = deflate ? deflateRawSync(data) : Buffer.from(data);
    const nameBytes = Buffer.from(name);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(0x0800 | (says.flags ?? 0), 2);
    common.writeUInt16LE(says.method ?? (deflate ? 8 : 0), 4);
    common.writeUInt32LE(says.crc32 ?? crc32(data), 10);
    common.writeUInt32LE(says.packedBytes ?? packed.length, 14);
    common.writeUInt32LE(says.bytes ?? data.length, 18);
    common.writeUInt16LE(nameBytes.length, 22);
    const local = Buffer.concat([Buffer.from("PK\x03\x04", "latin1"), common, nameBytes, packed]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(((says.mode ?? 0o100644) << 16) >>> 0, 6);
    tail.writeUInt32LE(says.offset ?? offset, 10);
    directory.push(Buffer.from("PK\x01\x02\x14\x03", "latin1"), common, tail, nameBytes);
    parts.push(local);
    offset += local.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(entries, 4);
  end.writeUInt16LE(entries, 6);
  end.writeUInt32LE(central.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...parts, central, Buffer.from("PK\x05\x06", "latin1"), end]);
}
