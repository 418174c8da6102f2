const WINDOW = 16;
/** Any 16 bytes in a row hold a block of 8 bytes that begins at a multiple of 9. */
const BLOCK = 8;
const STRIDE = WINDOW - BLOCK + 1;
/** Windows with fewer different bytes are zeros, small numbers and padding, which appear everywhere. */
const LEAST_DISTINCT = 7;
/** Bits of the table of hashes of blocks: most places of what is searched need no look at the map. */
const TABLE_BITS = 24;

/** Finds any 16 bytes in a row of secrets, as they are, and as text in hexadecimal or base64. */
export interface SecretWindows {
  /** Remembers the secret under a name. */
  add(name: string, secret: Uint8Array): void;
  /** Names of the secrets of which a window was seen, with the form in which it was. */
  findIn(bytes: Uint8Array): Set<string>;
  /** How many blocks of each name are searched for; any window holds one. */
  counts(): Record<string, number>;
}

/** A block of a secret with what is around it, as far as a window that holds the block reaches. */
interface Place {
  readonly name: string;
  readonly around: Buffer;
  /** Where the block begins in it. */
  readonly at: number;
}

/** Whether the window at `at` has enough different bytes. */
function telling(bytes: Uint8Array, at: number): boolean {
  let distinct = 0;
  for (let i = at; i < at + WINDOW; i++) {
    if (bytes.indexOf(bytes[i]!, at) === i) distinct += 1;
    if (distinct >= LEAST_DISTINCT) return true;
  }
  return false;
}

function hasTelling(bytes: Uint8Array): boolean {
  for (let at = 0; at + WINDOW <= bytes.length; at++) if (telling(bytes, at)) return true;
  return false;
}

/** Hash of the 8 bytes at `at`. */
function hashOf(bytes: Buffer, at: number): number {
  const mixed = Math.imul(bytes.readInt32LE(at), 0x9e3779b1) ^ Math.imul(bytes.readInt32LE(at + 4), 0x85ebca6b);
  return Math.imul(mixed ^ (mixed >>> 15), 0xc2b2ae35) >>> (32 - TABLE_BITS);
}

/** Whether what is equal around the block, in the secret and where it was seen, holds a telling window. */
function isSeen({ around, at }: Place, bytes: Buffer, seenAt: number): boolean {
  let [from, to] = [at, at + BLOCK];
  const shift = seenAt - at;
  while (from > 0 && from + shift > 0 && around[from - 1] === bytes[from + shift - 1]) from -= 1;
  while (to < around.length && to + shift < bytes.length && around[to] === bytes[to + shift]) to += 1;
  return hasTelling(around.subarray(from, to));
}

/** Forms of a secret, each of which is looked for. */
function formsOf(name: string, bytes: Buffer): [string, Buffer][] {
  const hex = bytes.toString("hex");
  const forms: [string, Buffer | string][] = [
    [name, bytes],
    [`${name} (hex)`, hex],
    [`${name} (hex)`, hex.toUpperCase()],
  ];
  // The text depends on where in its three bytes the secret begins; the ends depend on what is around it.
  for (let skip = 0; skip < 3; skip++) {
    const whole = bytes.subarray(skip, bytes.length - ((bytes.length - skip) % 3));
    forms.push([`${name} (base64)`, whole.toString("base64")], [`${name} (base64)`, whole.toString("base64url")]);
  }
  return forms.map(([form, text]) => [form, typeof text === "string" ? Buffer.from(text, "latin1") : text]);
}

export function createSecretWindows(): SecretWindows {
  const places = new Map<string, Place[]>();
  const known = new Set<string>();
  const counts: Record<string, number> = {};
  const hashes = new Uint8Array(2 ** TABLE_BITS);
  const remember = (name: string, text: Buffer) => {
    for (let at = 0; at + BLOCK <= text.length; at += STRIDE) {
      const from = Math.max(0, at - BLOCK);
      const around = text.subarray(from, at + WINDOW);
      if (!hasTelling(around)) continue;
      const key = `${at - from} ${around.toString("latin1")}`;
      if (known.has(key)) continue;
      known.add(key);
      const block = text.toString("latin1", at, at + BLOCK);
      const place = { name, around, at: at - from };
      const others = places.get(block);
      if (others === undefined) places.set(block, [place]);
      else others.push(place);
      hashes[hashOf(text, at)] = 1;
      counts[name] = (counts[name] ?? 0) + 1;
    }
  };
  return {
    add(name, secret) {
      for (const [form, text] of formsOf(name, Buffer.from(secret))) remember(form, text);
    },
    findIn(bytes) {
      const found = new Set<string>();
      const text = Buffer.from(bytes);
      for (let at = 0; at + BLOCK <= text.length; at++) {
        if (hashes[hashOf(text, at)] === 0) continue;
        for (const place of places.get(text.toString("latin1", at, at + BLOCK)) ?? [])
          if (isSeen(place, text, at)) found.add(place.name);
      }
      return found;
    },
    counts: () => ({ ...counts }),
  };
}
